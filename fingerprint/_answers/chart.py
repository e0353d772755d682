"""The chart of a report: how scores are distributed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array

_BINS = 40
_TICKS = (0, 0.5, *(step * 10**power for power in range(6) for step in (1, 2, 5)))
INK = "#010203"  # stands for the colour of the text, which light and dark pages choose
_STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "fingerprint",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def histogram(scores: Array, null: Array | None, threshold: float | None, *, stretched: bool) -> str:
    """Draw how the scores are distributed.

    Parameters
    ----------
    scores : ndarray
        (n,) float64, descending.
    null : ndarray or None
        (m,) float64 scores of the reference, where there is one.
    threshold : float or None
        Scores from here upwards are called used.
    stretched : bool
        Whether the scores are sums of tail scores, in powers of ten: the axis is then stretched near 0.

    Returns
    -------
    str
        An ``svg`` element in the colour of the text around it.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    # sums of tail scores reach from near 0 to a hundred; others are on scales of their own
    place = np.arcsinh if stretched else np.asarray
    reference = np.empty(0) if null is None else null
    edges = np.histogram_bin_edges(place(np.concatenate([scores, reference, [0.0] * stretched])), _BINS)
    file = io.StringIO()
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(5.4, 2.5), layout="constrained")
        axes = figure.add_subplot()
        axes.stairs(_shares(place(scores), edges), edges, fill=True, color="#4a8ac9", label="ranked images")
        if null is not None:
            heights = _shares(place(null), edges)
            axes.stairs(heights, edges, color="#d2751d", linewidth=1.8, label="reference, known to be unused")
        if threshold is not None:
            axes.axvline(float(place(threshold)), color=INK, linestyle="--", label="called used from here")
        if stretched:
            ticks = [tick for tick in _TICKS if tick <= np.sinh(edges[-1])]
            axes.set_xticks(np.arcsinh(ticks), [f"{tick:g}" for tick in ticks])
        axes.set(xlabel="score", ylabel="% of images")
        axes.legend()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _shares(values: Array, edges: Array) -> Array:
    return np.asarray(100 / len(values) * np.histogram(values, edges)[0])
