"""Sets of explanations in which some of people's are replaced by a model's, or by noise (Chen et al. 2025).

`replacement` does so in nested steps, `validation` by what people said of the model's explanations, `curves` puts the
distances that come out over the share that was replaced.
"""
