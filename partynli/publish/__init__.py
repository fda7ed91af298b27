"""A run as a dataset: written as tables, described by a card, screened, sent to the Hugging Face Hub, and read back."""
