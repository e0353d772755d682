"""Pictures of rankings, as axes of matplotlib that a program can change and save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base.axes import BLUE, RED, axes_of
from fingerprint._base.checks import InputError
from fingerprint._statistics.evaluation import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._answers.ranking import Ranking
    from fingerprint._statistics.intervals import Estimate

_DIRECTION = "score (higher = more likely used)"


def scores(ranking: Ranking, ax: Any) -> Any:
    """Draw scores in their order, over the band in which nine of ten of the reference lie."""
    ax = axes_of(ax)
    ranks = np.arange(1, len(ranking) + 1)
    if ranking.null is not None:
        low, high = np.quantile(ranking.null, (0.05, 0.95))
        ax.axhspan(low, high, color="0.88", label="nine of ten unused images of the reference")
        ax.legend(frameon=False)
    ax.plot(ranks, ranking.scores, ".", color=BLUE)
    top = (1, ranking.scores[0])
    ax.annotate(ranking.names[0], top, xytext=(6, 0), textcoords="offset points", fontsize="small", va="center")
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
    auc, tpr = found.roc_auc, found.tpr_at_1_percent_fpr
    ax.plot([0, 1], [0, 1], ":", color="0.6", label="chance")
    ax.plot(*called, color=BLUE, label=f"AUC {_with_interval(auc)}")
    ax.plot(0.01, tpr.value, "o", color=RED, label=f"TPR at 1 % FPR {_with_interval(tpr)}")
    ax.set(xlabel="share of unused images called used", ylabel="share of used images found", aspect="equal")
    ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1))  # off the curve
    return ax


def _with_interval(found: Estimate) -> str:
    return f"{found.value:.2f} (95 %: {found.low:.2f} to {found.high:.2f})"
