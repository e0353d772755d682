"""Scores, p- and q-values, decisions, intervals and measures. Nothing here reads an image.

`attacks` holds the statistics of the literature: a new one is a function there and its line in `methods`. `default` is
the score of this library, on what `neighbourhood` shows; `fixed_count` is the same for a fixed number of synthetic
images. `p_values` and `decisions` call images and patients used, `copies` those that need no statistics; `evaluation`,
`roc`, `flagged` and `intervals` measure how well; `data_copying` and `logistic` serve `audit` and `fit`.
"""
