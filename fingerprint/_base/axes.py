"""Axes of matplotlib that pictures of results are drawn on."""

from __future__ import annotations

from typing import Any

from fingerprint._base.checks import InputError

BLUE, RED = "#3b6ea8", "#b4472e"


def axes_of(ax: Any) -> Any:
    """Return the axes that were given, or those of a new figure, which no global state knows."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError('plot: needs matplotlib; pip install "synthetic-fingerprint[report]"') from None
    found = Figure(figsize=(5.5, 3.6), layout="constrained").subplots()
    found.spines[["top", "right"]].set_visible(False)
    return found
