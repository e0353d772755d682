"""The metrics of features, (n, d) float: Euclidean, L2 and cosine distance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._distances.side import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fingerprint._base.types import Array
    from fingerprint._distances.side import Side

_PANEL = 128  # rows of a panel


def prepare(values: Array, metrics: tuple[str, ...], threads: int) -> dict[str, Array]:  # noqa: ARG001
    """Return the features as they are, and as unit vectors for the cosine distance."""
    from fingerprint._kernels import gaps

    values = np.ascontiguousarray(values, dtype=np.float64)
    arrays = {metric: values for metric in metrics if metric != "cosine"}
    if "cosine" in metrics:
        # scaled by the largest first: squares neither overflow nor vanish
        scaled = values / np.where(values.any(axis=1), np.abs(values).max(axis=1, initial=0), 1)[:, None]
        squared = np.empty((len(scaled), 1))
        gaps.squared_gaps(scaled, np.zeros((scaled.shape[1], 1)), squared)
        arrays["cosine"] = scaled / np.where(squared > 0, np.sqrt(squared), 1)
    return arrays


def panels(a: Side, b: Side, out: dict[str, Array]) -> Iterator[Callable[[], None]]:
    """Yield the tasks that fill `out`, each some rows of one matrix."""
    for metric, matrix in out.items():
        for rows in parts_of(a.count, _PANEL):
            yield partial(_fill, a.arrays[metric][rows], b.arrays[metric], metric, matrix[rows])


def _fill(left: Array, right: Array, metric: str, out: Array) -> None:
    from fingerprint._kernels import gaps

    squared = np.empty((len(left), len(right)))
    gaps.squared_gaps(left, np.ascontiguousarray(right.T), squared)
    if metric != "cosine":
        out[:] = np.sqrt(squared / left.shape[1] if metric == "euclidean" else squared)
        return
    out[:] = squared / 2  # of unit vectors; exact for near ones, where 1 - cosine cancels
    out[np.logical_xor.outer(left.any(axis=1), right.any(axis=1))] = 1
