"""Explanations that models give for every label of an item (Chen et al. 2025): asked for, taken apart, and picked.

Beiduo Chen, Siyao Peng, Anna Korhonen and Barbara Plank. 2025. A Rose by Any Other Name: LLM-Generated Explanations Are
Good Proxies for Human Explanations to Collect Label Distributions on NLI. https://arxiv.org/abs/2412.13942

`asking` makes the plan, `answers` reads what came back, `picking` takes as many explanations as are wanted, `flags`
finds those that argue for another label, `files` writes them, `published` compares with the published files, and
`variability` tells how much the explanations of a set differ.
"""
