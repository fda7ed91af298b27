"""What is said of a dataset beside its tables: the card that people read, and Croissant for machines."""
