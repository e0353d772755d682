"""Attribution: from which of several training sets does each synthetic image stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from fingerprint._answers.one_pass import ReadingOptions
from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.output import printable
from fingerprint._base.progress import bar
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Table
from fingerprint._distances.packed import WINDOWS
from fingerprint._evidence import engine
from fingerprint._evidence.reals import prepare_reals
from fingerprint._evidence.scales import pyramid, windows
from fingerprint._images import loading
from fingerprint._images.loading import BLOCK

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._evidence.reals import Reals
    from fingerprint._images.loading import Failure, Source, Task

_Explained: TypeAlias = "tuple[tuple[str, ...], tuple[Failure, ...], Array]"  # names, failed files, (m, s) scores


@public
class Attributed(NamedTuple):
    """The answer for one synthetic image.

    Parameters
    ----------
    name : str
        Of the synthetic image.
    training_set : str or None
        The training set that it stems from; None = undecided.
    margin : float
        By how much more that set explains than the next one.
    scores : tuple of float
        (s,) score of every set, see `Attribution`.
    """

    name: str
    training_set: str | None
    margin: float
    scores: tuple[float, ...]


@public
@dataclass(frozen=True, eq=False, repr=False)
class Attribution(ListResult[Attributed]):
    """Result of `attribute`: a list of `Attributed`, in the order of the synthetic images.

    Parameters
    ----------
    names : tuple of str
        (n,) synthetic images.
    training_sets : tuple of str
        (s,) training sets.
    scores : ndarray
        (n, s) float64: which share of what sets a synthetic image apart the images of a set explain, beyond what as
        many explain by chance. About 0 where it has nothing in common with the set, about 1 for a copy; higher = more
        likely from there.
    margins : ndarray
        (n,) float64: best score less the second best.
    least_margin : float
        Images with a smaller margin are undecided.
    n_real : tuple of int
        (s,) images of each set.
    failed : mapping of str to tuple of Failure
        Files that could not be used, by the names of the training sets and ``"fake"``.
    """

    _row_type = Attributed
    _by_row = ("names", "scores", "margins", "n_real", "training_sets")

    names: tuple[str, ...]
    training_sets: tuple[str, ...]
    scores: Array
    margins: Array
    least_margin: float
    n_real: tuple[int, ...]
    failed: Failures

    def _row(self, i: int) -> Attributed:
        margin = float(self.margins[i])
        best = self.training_sets[int(self.scores[i].argmax())] if margin >= self.least_margin else None
        return Attributed(self.names[i], best, margin, tuple(self.scores[i].tolist()))

    def _content(self) -> dict[str, object]:
        sizes = dict(zip(self.training_sets, self.n_real, strict=True))
        rows = [one._asdict() | {"scores": dict(zip(self.training_sets, one.scores, strict=True))} for one in self]
        return super()._content() | {"n_real": sizes, "rows": rows}

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        return ["name", "training_set", "margin", *self.training_sets], ([*one[:3], *one.scores] for one in self)

    def __str__(self) -> str:
        """Return how many images go to each set, and what failed."""
        answers = [one.training_set for one in self]
        lines = [f"{answers.count(name):6} of {len(self)} from {printable(name)}" for name in self.training_sets]
        lines += [f"{answers.count(None):6} of {len(self)} undecided"] * (None in answers)
        return "\n".join([*lines, *failed_lines(self.failed)])


@public
@recorded
def attribute(
    training_sets: Mapping[str, Source],
    fake: Source,
    *,
    least_margin: float = 0.0,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    block: int = BLOCK,
    memory: str | int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Attribution:
    """Tell for synthetic images which of several training sets their generator was trained on.

    Parameters
    ----------
    training_sets : mapping
        From the name of a training set to its real images, as the real ones of `fingerprint.rank`. At least two; they
        need not have equally many images.
    fake
        Synthetic images of unknown origin, as for `fingerprint.rank`: a stream.
    least_margin : float
        Leave images undecided whose best set does not explain so much more of them than the next one.
    size, window, grey, recursive, on_error, block, memory, threads, executor, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Attribution
        For every synthetic image a score for each set, and a decision. How often it is right depends on the generators:
        try it on synthetic images whose set is known.

    Raises
    ------
    InputError
        As `fingerprint.rank`, or if there are fewer than two sets.

    Notes
    -----
    Images are whitened by what the real ones of all sets share, and compared at several scales, whole and in windows
    (docs/method.md, Whole images). In that space images of different people are close to orthogonal, so that the
    squared cosines of a synthetic image with those of a set add up to its energy in the subspace they span, the
    statistic of the adaptive subspace detector (Kraut, Scharf & McWhorter, Adaptive Subspace Detectors, IEEE
    Transactions on Signal Processing 2001). A generator mixes what it learnt, so all images of a set count, not the
    nearest alone. It does not learn negatives: cosines below 0 are what chance brings, above 0 as often as below, and
    for each image of a set their mean square is taken off. The score is the mean over scales and windows, each weighted
    by the inverse of that mean square: what tells more exactly weighs more. All windows together weigh as one part.

    Examples
    --------
    >>> import fingerprint
    >>> real = fingerprint.phantoms.thorax(20, size=64)
    >>> fake = fingerprint.phantoms.generate(real[:10], 6, leak=1)[0]
    >>> found = fingerprint.attribute({"a": real[:10], "b": real[10:]}, fake)
    >>> [one.training_set for one in found]
    ['a', 'a', 'a', 'a', 'a', 'a']
    """
    given: object = training_sets
    if not isinstance(given, Mapping) or len(given) < 2 or "fake" in given:
        raise InputError(
            "training_sets: expected a mapping from name to images of at least two sets, none of them called 'fake', "
            f"got {checks.describe(training_sets)}"
        )
    least = checks.number("least_margin", least_margin, minimum=0)
    options = ReadingOptions(
        mask=None,
        size=size,
        window=window,
        grey=grey,
        recursive=recursive,
        on_error=on_error,
        block=block,
        memory=memory,
        threads=threads,
        executor=executor,
        progress=progress,
    )
    known = {name: options.load(source, argument=f"training_sets[{name!r}]") for name, source in training_sets.items()}
    real = loading.concatenate(*known.values(), argument="training_sets")
    scales = pyramid(real.height, real.width)
    scales = (*scales, *windows(scales, real.height, real.width))
    way = options.way(real, scales, patches=False)
    explainer = _Explainer(
        prepare_reals(real.pixels, scales, packed=way.packed, threads=way.threads),
        tuple(len(part) for part in known.values()),
    )
    tasks = options.listing(fake, expect=real, argument="fake").plan(way.block)
    done = engine.map_blocks(explainer, explainer.shard, tasks, threads=way.threads, executor=executor)
    names: list[str] = []
    failed: list[Failure] = []
    found = [np.empty((0, len(known)))]
    with bar(progress, unit="image", total=tasks.total, phase="comparing") as advance:
        for part_names, part_failed, part_scores in done:
            names += part_names
            failed += part_failed
            found.append(part_scores)
            advance(len(part_names) + len(part_failed))
    if not names:
        raise loading.none_usable(fake, failed, argument="fake")
    every = np.concatenate(found)
    ordered = np.sort(every, axis=1)
    return Attribution(
        names=tuple(names),
        training_sets=tuple(map(str, known)),
        scores=every,
        margins=ordered[:, -1] - ordered[:, -2],
        least_margin=least,
        n_real=explainer.sizes,
        failed={str(name): part.failed for name, part in known.items()} | {"fake": tuple(failed)},
    )


@dataclass(frozen=True)
class _Explainer:
    """Read blocks of synthetic images and say how much of them each set explains; can be pickled."""

    real: Reals
    sizes: tuple[int, ...]

    def shard(self, blocks: tuple[Task, ...]) -> _Explained:
        """Read several blocks and explain them together."""
        names, failed, scores = zip(*map(self, blocks), strict=True)
        return tuple(chain(*names)), tuple(chain(*failed)), np.concatenate(scores)

    def __call__(self, read: Task) -> _Explained:
        """Read one block and explain it."""
        part = read()
        scores, total = np.zeros((len(self.sizes), len(part))), np.zeros(len(part))
        if len(part):
            for scale, distances in zip(self.real.scales, self.real.distances(part.pixels)[0], strict=True):
                cosines = 1 - distances
                by_set = np.split(cosines, np.cumsum(self.sizes)[:-1])
                negative, count = _energy(np.minimum(cosines, 0)), len(cosines)
                chance = negative / count
                # one more cosine, as large as those of random directions are: there may be no negative one
                weight = (count + 1) / (negative + 1 / count) / (len(WINDOWS) if scale.windowed else 1)
                for row, own in zip(scores, by_set, strict=True):
                    row += weight * (_energy(np.maximum(own, 0)) - len(own) * chance)
                total += weight
            scores /= total
        return part.names, part.failed, scores.T


def _energy(cosines: Array) -> Array:
    """Return the sum of squares of each column, the same bits whatever others there are."""
    total = np.zeros(cosines.shape[1])
    for row in cosines:
        total += row * row
    return total
