"""Pictures of rankings and measures, as axes of matplotlib that a program can change and save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._statistics.evaluation import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._answers.ranking import Ranking

_DIRECTION = "score (higher = more likely used)"
_NAMED = 3  # images whose names stand beside their scores


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


def scores(ranking: Ranking, ax: Any) -> Any:
    """Draw scores in their order, over the band in which nine of ten of the reference lie."""
    ax = axes_of(ax)
    ranks = np.arange(1, len(ranking) + 1)
    if ranking.null is not None:
        low, high = np.quantile(ranking.null, (0.05, 0.95))
        ax.axhspan(low, high, color="0.88", label="nine of ten unused images of the reference")
        ax.legend(frameon=False)
    ax.plot(ranks, ranking.scores, ".", color="#3b6ea8")
    for rank, name, score in zip(ranks[:_NAMED], ranking.names, ranking.scores, strict=False):
        ax.annotate(name, (rank, score), xytext=(6, 0), textcoords="offset points", fontsize="small", va="center")
    ax.set(xlabel=f"rank of {len(ranking)} real images", ylabel=_DIRECTION)
    return ax


def roc(ranking: Ranking, truth: Mapping[str, object] | Sequence[object], ax: Any) -> Any:
    """Draw how many of the used images are found at each share of unused ones that are called used."""
    if isinstance(truth, Mapping):
        lacking = [name for name in ranking.names if name not in truth]
        if lacking:
            raise InputError(f"truth: expected an entry for every image, found none for {lacking[0]!r}")
        truth = [truth[name] for name in ranking.names]
    labels = np.asarray(list(truth))
    if len(labels) != len(ranking) or len(np.unique(labels)) < 2:
        raise InputError(
            f"truth: expected one entry for each of {len(ranking)} images, of used and of unused ones, got "
            f"{len(labels)} of {len(np.unique(labels))} kinds"
        )
    found = evaluate(labels, ranking.scores, groups=ranking.groups)
    ax, used = axes_of(ax), labels.astype(bool)
    last = np.append(np.flatnonzero(np.diff(ranking.scores)), len(used) - 1)  # equal scores are called together
    called = [np.concatenate([[0], np.cumsum(side)[last] / side.sum()]) for side in (~used, used)]
    auc = found.roc_auc
    ax.plot([0, 1], [0, 1], ":", color="0.6", label="chance")
    label = f"AUC {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f})"
    ax.plot(*called, color="#3b6ea8", label=label)
    ax.plot(0.01, found.tpr_at_1_percent_fpr.value, "o", color="#b4472e", label="at 1 % of the unused images")
    ax.set(xlabel="share of unused images called used", ylabel="share of used images found", aspect="equal")
    ax.legend(frameon=False, loc="lower right", fontsize="small")
    return ax
