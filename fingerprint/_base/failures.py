"""Files that could not be used, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from fingerprint._base.output import printable
from fingerprint._base.public import public


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


def failed_lines(failed: Failures) -> list[str]:
    """Return a line for each file that could not be used, by collection."""
    return [
        printable(f"failed, {side}: {failure.name}: {failure.reason}")
        for side, failures in failed.items()
        for failure in failures
    ]
