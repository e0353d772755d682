"""Withheld: the synthetic images that give real ones away, so that they can be left out of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fingerprint._answers.rows import Match
from fingerprint._base.display import SHOWN
from fingerprint._base.output import printable
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Table
from fingerprint._images import symmetries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fingerprint._answers.rows import Row
    from fingerprint._statistics.copies import Copy
    from fingerprint._statistics.decisions import Decisions


@public
class GivenAway(NamedTuple):
    """A real image that a synthetic one gives away.

    Parameters
    ----------
    name : str
        Of the real image.
    rank : int
        Its own, from 1, in the ranking.
    group : str or None
        Its patient, where groups were given.
    match : int
        From 1, the synthetic image that is the strongest evidence for this real one.
    reason : str
        ``"identical"`` or ``"near copy"``: the synthetic image is the real one, see `Copy`. ``"called used"``, or
        ``"patient called used"``: the decision on the real image, or on its patient, rests on such matches.
    distance, gain : float or None
        As in `Match`.
    """

    name: str
    rank: int
    group: str | None
    match: int
    reason: str
    distance: float | None
    gain: float | None


@public
class WithheldImage(NamedTuple):
    """A synthetic image to withhold.

    Parameters
    ----------
    name : str
        Of the synthetic image.
    position : int or None
        As in `Match`.
    gives_away : tuple of GivenAway
        Real images, the one that it is the strongest evidence for first.
    """

    name: str
    position: int | None
    gives_away: tuple[GivenAway, ...]


@public
@dataclass(frozen=True, eq=False, repr=False)
class Withheld(ListResult[WithheldImage]):
    """The synthetic images to withhold from a release, since they give real ones away: a list of `WithheldImage`.

    For each real image that is called used, and each of a patient who is: its copy, and the synthetic images that the
    ranking kept as its evidence. Those that are the strongest evidence of a real image come first.

    What is left may still give something away: rank it again, without the images of this list.

    Parameters
    ----------
    names : tuple of str
        (n,) synthetic images.
    positions : tuple of int or None
        (n,) as in `Match`.
    gives_away : tuple of tuple of GivenAway
        (n,) real images.
    n_fake : int
        Number of synthetic images in all.
    n_real : int
        Number of real images that are called used, or are of a patient who is.
    false_discovery_rate : float
        Of the decision.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> fake = [demo.fake.pixels, demo.real.pixels[:1]]
    >>> withheld = fingerprint.rank(demo.real, fake, k=1).withhold()
    >>> [(image.position, [real.reason for real in image.gives_away]) for image in withheld]
    [(40, ['identical'])]
    """

    _row_type = WithheldImage
    _by_row = ("names", "positions", "gives_away")

    names: tuple[str, ...]
    positions: tuple[int | None, ...]
    gives_away: tuple[tuple[GivenAway, ...], ...]
    n_fake: int
    n_real: int
    false_discovery_rate: float

    def _row(self, i: int) -> WithheldImage:
        return WithheldImage(self.names[i], self.positions[i], self.gives_away[i])

    @property
    def n_strongest(self) -> int:
        """How many of the images are the strongest evidence for a real one; they come first."""
        return sum(min(real.match for real in reals) == 1 for reals in self.gives_away)

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        if not self.names:
            return "No synthetic image to withhold: no real image is called used. That does not prove that none was."
        reals = "1 real image" if self.n_real == 1 else f"{self.n_real:,} real images"
        strongest, further = self.n_strongest, len(self) - self.n_strongest
        return (
            f"Withhold {len(self):,} of {self.n_fake:,} synthetic images, which give {reals} away: {strongest:,} as "
            f"strongest evidence, {further:,} as further evidence. Then rank the rest again: it may give away more."
        )

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`: one row for each pair of a synthetic and a real image."""
        columns = ["name", "position", "real", *GivenAway._fields[1:]]
        return columns, ([row.name, row.position, *real] for row in self for real in row.gives_away)

    def __str__(self) -> str:
        """Return the verdict, and the first images with what they give away."""
        lines = [self.verdict]
        for row in self[:SHOWN]:
            first, *others = row.gives_away
            more = f" and {len(others)} more" * bool(others)
            lines.append(printable(f"  {row.name}: {first.name} ({first.reason}){more}"))
        return "\n".join(lines + [f"  … {len(self) - SHOWN} more"] * (len(self) > SHOWN))


def withheld(rows: Sequence[Row], decided: Decisions, n_fake: int, *, formed: bool = False) -> Withheld:
    """Return the synthetic images that give away what was decided on.

    Parameters
    ----------
    rows : sequence of Row
        Of a ranking.
    decided : Decisions
        On the same images.
    n_fake : int
        Number of synthetic images.
    formed : bool
        Whether their names say in which form they match; those to withhold are named without it.

    Returns
    -------
    Withheld
        The strongest evidence first, then in the order of the ranking.
    """
    patients = {one.name for one in decided.by_group or () if one.used}
    called = [row for row, used in zip(rows, decided.used, strict=True) if used or row.group in patients]
    copies = {copy.position: copy for copy in decided.copies}
    found: dict[object, tuple[str, int | None, list[GivenAway]]] = {}
    pairs: list[tuple[int, Row, Match, str]] = []
    for row in called:
        reason = "called used" if decided.used[row.rank - 1] else "patient called used"
        pairs += _evidence(row, reason, copies.get(row.rank - 1))
    for number, row, match, reason in sorted(pairs, key=lambda pair: (pair[0], pair[1].rank)):
        key = match.name if match.position is None else match.position
        name = symmetries.original(match.name) if formed else match.name
        held = found.setdefault(key, (name, match.position, []))
        if any(real.rank == row.rank for real in held[2]):  # in another form
            continue
        held[2].append(GivenAway(row.name, row.rank, row.group, number, reason, match.distance, match.gain))
    return Withheld(
        names=tuple(name for name, _, _ in found.values()),
        positions=tuple(position for _, position, _ in found.values()),
        gives_away=tuple(tuple(reals) for _, _, reals in found.values()),
        n_fake=n_fake,
        n_real=len(called),
        false_discovery_rate=decided.false_discovery_rate,
    )


def _evidence(row: Row, reason: str, copy: Copy | None) -> Iterator[tuple[int, Row, Match, str]]:
    """Yield the synthetic images that point to a real one, each with its number; its copy is the first."""
    if copy is None:
        yield from ((number, row, match, reason) for number, match in enumerate(row.evidence, 1))
        return
    same = [match for match in row.evidence if (match.name, match.position) == (copy.fake, copy.fake_position)]
    first = same[0] if same else Match(copy.fake, None, None, copy.fake_position)
    yield 1, row, first, "near copy" if copy.difference else "identical"
    others = (match for match in row.evidence if match not in same)
    yield from ((number, row, match, reason) for number, match in enumerate(others, 2))
