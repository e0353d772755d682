"""Files that could not be used, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from fingerprint._base.output import printable
from fingerprint._base.public import public

if TYPE_CHECKING:
    from fingerprint._base.types import Array


@public
class Failure(NamedTuple):
    """A file that could not be used.

    Parameters
    ----------
    name : str
        Of the file or of the image in it, as it would stand in `Slices.names`.
    reason : str
        Why, and what to do about it where that is known.
    """

    name: str
    reason: str


Failures: TypeAlias = Mapping[str, tuple[Failure, ...]]  # by the argument that named the collection


def placed(failed: tuple[object, ...], lost: Array, n_places: int) -> bool:
    """Whether failures of a file go together with their places in a stream, (n,) int64, ascending."""
    known = all(isinstance(each, Failure) and type(each.name) is type(each.reason) is str for each in failed)
    ends = np.concatenate([[-1], lost, [n_places]])
    return known and lost.shape == (len(ends) - 2,) == (len(failed),) and bool((np.diff(ends) > 0).all())


def failed_lines(failed: Failures) -> list[str]:
    """Return a line for each file that could not be used, by collection."""
    return [
        printable(f"failed, {side}: {failure.name}: {failure.reason}")
        for side, failures in failed.items()
        for failure in failures
    ]
