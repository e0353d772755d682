"""Names of images: their natural order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fingerprint._base.types import Array

_DIGITS = re.compile("([0-9]+)")


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
    parts: list[object] = list(_DIGITS.split(name))
    for i in range(1, len(parts), 2):
        digits = str(parts[i]).lstrip("0")
        parts[i] = (len(digits), digits)
    return (parts, name)


def in_order(names: Sequence[str]) -> list[int]:
    """Return the positions of names in natural order, equal ones as they come."""
    return sorted(range(len(names)), key=lambda i: natural_key(names[i]))


def ranks(images: Array, names: Sequence[str] | Mapping[int, str]) -> Array:
    """Return the rank of each image, (n,) int64: by the natural order of its name, then by its number."""
    numbers, which = np.unique(images, return_inverse=True)
    order = sorted(range(len(numbers)), key=lambda i: natural_key(names[int(numbers[i])]))
    return np.asarray(np.argsort(order)[which])
