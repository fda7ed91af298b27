"""The Hugging Face Hub: a folder sent in one commit, and fetched again."""
