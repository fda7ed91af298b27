"""Model judgment distributions from the scores of answer options (Chen et al. 2024, 2025).

A prompt lists the labels as options, and what is kept is how likely the model finds each of their letters before it
answers. `wording` and `design` say which prompts there are of an item, `asking` makes a plan of them. What the scores
say is read by `partynli.analysis.mjd`.
"""
