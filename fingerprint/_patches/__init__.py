"""Patches, two stories: where each one matches best (`matches`), and what matches are worth as evidence (`gains`).

`matches` and `match_search`: the public, exact search for patches of any size, by difference or correlation.
`gains`, `gain_reals` and `gain_search`: the fast search on cells that `rank` adds up.
"""
