"""Files that could not be used, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fingerprint._base.public import public

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@public
@dataclass(frozen=True)
class Failure:
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


def failed_lines(failed: Mapping[str, Sequence[Failure]]) -> list[str]:
    """Return a line for each file that could not be used, by collection."""
    return [
        f"failed, {side}: {failure.name}: {failure.reason}" for side, failures in failed.items() for failure in failures
    ]
