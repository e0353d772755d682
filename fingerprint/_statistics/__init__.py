"""Scores, p- and q-values, decisions, intervals and measures. Nothing here reads an image."""
