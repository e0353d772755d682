"""What a ranking is made of: its rows, their matches, and the rows of one patient."""

from __future__ import annotations

from typing import NamedTuple

from fingerprint._base.public import public


@public
class Match(NamedTuple):
    """A synthetic image that is evidence for a real one.

    Parameters
    ----------
    name : str
        Of the synthetic image, with the form in which it matches where it is not as it is, see `symmetries` of
        `fingerprint.rank`.
    distance : float or None
        Of the whole images, at the scale that `Ranking.params` names as ``"distance"``; 0 = identical there. None where
        it is not among the nearest.
    gain : float or None
        Its net gain: by how much better it matches the patches than other real images do, a log2 ratio
        (docs/method.md, Patches). None where it is not among the best.
    position : int or None
        Of the synthetic image among the usable ones, from 0, in the order in which they come. It tells images of one
        name apart, and the forms of an image share it.
    """

    name: str
    distance: float | None
    gain: float | None = None
    position: int | None = None

    def __str__(self) -> str:
        """Return the name and what is known of it."""
        known = {"distance": self.distance, "gain": self.gain}
        notes = [f"{label} {value:.3g}" for label, value in known.items() if value is not None]
        return f"{self.name} ({', '.join(notes)})"


@public
class Rectangle(NamedTuple):
    """A patch of a real image and where it matches in a synthetic one.

    Parameters
    ----------
    row, column : int
        Upper and left edge in the real image, in pixels.
    fake_row, fake_column : int
        The same in the synthetic image, which is mirrored where the evidence says so.
    gain : float
        See `Match`.
    """

    row: int
    column: int
    fake_row: int
    fake_column: int
    gain: float


@public
class Row(NamedTuple):
    """One real image and the evidence that it was used for training.

    Parameters
    ----------
    rank : int
        From 1, the most likely used.
    name : str
        Of the real image.
    score : float
        Higher = more likely used; see `Ranking`.
    p_value, q_value : float or None
        Where a reference was given, see `Ranking`.
    group : str or None
        Patient, where groups were given.
    evidence : tuple of Match
        The synthetic images that give it away: first the one that stands out most, then the best of the other kind.
    """

    rank: int
    name: str
    score: float
    p_value: float | None
    q_value: float | None
    group: str | None
    evidence: tuple[Match, ...]


@public
class Group(NamedTuple):
    """The images of one patient.

    Parameters
    ----------
    name : str
        Of the group.
    score : float
        Mean score of its images: a patient is used with all images or with none, so that their evidence adds up.
    p_value, q_value : float or None
        Where a reference was given: share of the unused patients with at least such a mean score, and false discovery
        rate of calling this patient, and all with a smaller p-value, used.
    rows : tuple of Row
        Its images, most likely used first.
    """

    name: str
    score: float
    p_value: float | None
    q_value: float | None
    rows: tuple[Row, ...]
