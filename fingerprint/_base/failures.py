"""Files that could not be used, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from fingerprint._base.output import printable
from fingerprint._base.public import public

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


class Kept(Protocol):
    """What is kept of images: by their places among images and failures."""

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Return what could not be used, in the order of the stream."""
        ...

    @property
    def lost(self) -> Array:
        """Return the places of these, (n_failed,) int64."""
        ...

    @property
    def n_places(self) -> int:
        """Return the number of images and failures seen."""
        ...

    @property
    def nbytes(self) -> int:
        """Return the bytes of all arrays."""
        ...

    def placed(self, place: Callable[[Array], Array]) -> Any:
        """Return the same for images and failures that stand elsewhere; `place` keeps their order."""
        ...


Failures: TypeAlias = Mapping[str, tuple[Failure, ...]]  # by the argument that named the collection


def placed(failed: tuple[object, ...], lost: Array, n_places: int) -> bool:
    """Whether failures of a file go together with their places in a stream, (n,) int64, ascending."""
    known = all(isinstance(each, Failure) and type(each.name) is type(each.reason) is str for each in failed)
    ends = np.concatenate([[-1], lost, [n_places]])
    return known and lost.shape == (len(ends) - 2,) == (len(failed),) and bool((np.diff(ends) > 0).all())


def merged(parts: Sequence[Kept]) -> tuple[tuple[Failure, ...], Array]:
    """Return the failures of parts of a stream and their places in it, (n,) int64, ascending."""
    failed = [failure for part in parts for failure in part.failed]
    lost = np.concatenate([part.lost for part in parts])
    order = np.argsort(lost)
    return tuple(failed[i] for i in order), lost[order]


def failed_lines(failed: Failures) -> list[str]:
    """Return a line for each file that could not be used, by collection."""
    return [
        printable(f"failed, {side}: {failure.name}: {failure.reason}")
        for side, failures in failed.items()
        for failure in failures
    ]
