"""Names of images: their natural order, and the indices that refer to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sort key that orders the numbers in names by value: ``img2`` before ``img10``.

    Parameters
    ----------
    name : str
        Any text. Different texts have different keys.

    Returns
    -------
    tuple
        To be compared with other such keys only.

    Examples
    --------
    >>> sorted(["img10", "img2", "img02"], key=natural_key)
    ['img02', 'img2', 'img10']
    """
    parts: list[object] = re.split("([0-9]+)", name)
    for i in range(1, len(parts), 2):
        digits = str(parts[i]).lstrip("0")
        parts[i] = (len(digits), digits)
    return (parts, name)


def in_order(names: Sequence[str]) -> list[int]:
    """Return the positions of names in natural order, equal ones as they come."""
    return sorted(range(len(names)), key=lambda i: natural_key(names[i]))


def united(parts: Sequence[tuple[Sequence[str], Array]]) -> tuple[list[str], list[Array]]:
    """Return all names in natural order, each once, and the indices of every part into these; -1 stays -1."""
    names = sorted({name for own, _ in parts for name in own}, key=natural_key)
    position = {name: i for i, name in enumerate(names)}
    # the appended -1 is what an index of -1 picks
    return names, [np.array([*(position[name] for name in own), -1])[indices] for own, indices in parts]


def referenced(names: Sequence[str], indices: Array) -> tuple[tuple[str, ...], Array]:
    """Return the names that are referred to, and the indices into these alone; -1 stays -1."""
    used = np.unique(indices[indices >= 0])
    position = np.full(len(names) + 1, -1, dtype=np.int64)
    position[used] = np.arange(len(used))
    return tuple(names[i] for i in used), position[indices]
