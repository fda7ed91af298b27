"""A run as a folder of tables, and such a folder made into a run again."""
