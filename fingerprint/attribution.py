"""Attribution: from which of several training sets does each generated image stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint import _check, _output, collection, comparable
from fingerprint._check import InputError
from fingerprint.collection import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint._types import Array
    from fingerprint.images import Failure, Source


class Attributed(NamedTuple):
    """The answer for one generated image.

    Parameters
    ----------
    name : str
        Of the generated image.
    source : str or None
        The training set that it stems from; None = undecided.
    margin : float
        How many doublings nearer that set is than the next one.
    """

    name: str
    source: str | None
    margin: float


@dataclass(frozen=True)
class Attribution:
    """Result of `attribute`: a list of `Attributed`, in the order of the generated images.

    Parameters
    ----------
    names : tuple of str
        (n,) generated images.
    sources : tuple of str
        (s,) training sets.
    scores : ndarray
        (n, s) float64, in doublings: how often the distance to the nearest image of a set must be doubled to reach
        similar generated images. Higher = more likely from there; comparable along a row.
    margins : ndarray
        (n,) float64: best score less the second best.
    least_margin : float
        Images with a smaller margin are undecided.
    n_compared : int
        Images of each set that were compared: the size of the smallest.
    failed : mapping of str to tuple of Failure
        Files that could not be used, by ``"generated"`` and the names of the sets.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    scores: Array
    margins: Array
    least_margin: float
    n_compared: int
    failed: Mapping[str, tuple[Failure, ...]]

    def __len__(self) -> int:
        """Return the number of generated images."""
        return len(self.names)

    def __getitem__(self, index: int) -> Attributed:
        """Return the answer for the image at a position, from 0."""
        margin = float(self.margins[index])
        source = self.sources[int(self.scores[index].argmax())] if margin >= self.least_margin else None
        return Attributed(self.names[index], source, margin)

    def __iter__(self) -> Iterator[Attributed]:
        """Iterate over the answers."""
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        """Return how many images go to each set, and what failed."""
        answers = [one.source for one in self]
        lines = [f"{answers.count(source):6} of {len(self)} from {source}" for source in self.sources]
        lines += [f"{answers.count(None):6} of {len(self)} undecided"] * (None in answers)
        return "\n".join([*lines, *_output.failed_lines(self.failed)])

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Return name, source, margin and the score of every set as CSV, and write it to `path` where given."""
        rows = (
            [one.name, one.source or "", one.margin, *row] for one, row in zip(self, self.scores.tolist(), strict=True)
        )
        return _output.write_csv(["name", "source", "margin", *self.sources], rows, path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return all of it as JSON, and write it to `path` where given."""
        rows = [
            one._asdict() | {"scores": dict(zip(self.sources, row, strict=True))}
            for one, row in zip(self, self.scores.tolist(), strict=True)
        ]
        content = {"n_compared": self.n_compared, "least_margin": self.least_margin, "rows": rows}
        return _output.write_json(content | {"failed": self.failed}, path)


def attribute(
    generated: Source,
    sources: Mapping[str, Source],
    *,
    least_margin: float = 0.0,
    size: int | tuple[int, int] | None = None,
    recursive: bool = False,
    on_error: str = "collect",
    block: int = 256,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Attribution:
    """Tell for generated images which of several training sets their generator was trained on.

    Parameters
    ----------
    generated
        Generated images of unknown origin, as the real ones of `fingerprint.rank`.
    sources : mapping
        From the name of a training set to its real images, as the synthetic ones of `fingerprint.rank`. At least two.
        Sets of different sizes are made comparable: a larger one counts as an average over all its subsets of the size
        of the smallest.
    least_margin : float
        Leave images undecided whose best set is not at least so many doublings nearer than the next one.
    size, recursive, on_error, block, threads, executor, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Attribution
        For every generated image a score for each set, and a decision. How often it is right depends on the generators:
        try it on generated images whose set is known.

    Raises
    ------
    InputError
        As `fingerprint.rank`, or if there are fewer than two sets.

    Examples
    --------
    >>> import fingerprint
    >>> real = fingerprint.phantoms.thorax(20, size=64)
    >>> generated = fingerprint.phantoms.generate(real[:10], 6, leak=1)[0]
    >>> found = fingerprint.attribute(generated, {"a": real[:10], "b": real[10:]})
    >>> [one.source for one in found]
    ['a', 'a', 'a', 'a', 'a', 'a']
    """
    given: object = sources
    if not isinstance(given, Mapping) or len(given) < 2:
        raise InputError(
            f"sources: expected a mapping from name to images of at least two sets, got {_check.describe(sources)}"
        )
    least = _check.number("least_margin", least_margin, minimum=0)
    reading = Reading(size, recursive, on_error, block, threads, executor, progress)
    known = reading.load(generated, argument="generated")
    every = {
        str(name): collection.collect(
            known, source, reading, k=comparable.KEPT, called=("generated", "", f"sources[{name!r}]")
        )
        for name, source in sources.items()
    }
    count, found = comparable.side_by_side(list(every.values()))
    ordered = np.sort(found.T, axis=1)
    return Attribution(
        names=known.names,
        sources=tuple(every),
        scores=found.T,
        margins=ordered[:, -1] - ordered[:, -2],
        least_margin=least,
        n_compared=count,
        failed={"generated": known.failed} | {name: seen.summary.failed for name, seen in every.items()},
    )
