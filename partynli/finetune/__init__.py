"""Soft-label fine-tuning: a distribution is worth something if a small model trained on it predicts people better.

What needs torch is in `partynli.finetune.training`, and is imported when something is trained (extra ``finetune``).
"""
