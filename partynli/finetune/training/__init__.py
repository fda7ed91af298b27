"""The part that needs torch and transformers (extra ``finetune``): networks, the loop, checkpoints."""
