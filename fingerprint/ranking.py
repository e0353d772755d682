"""Ranking: real images in the order of the evidence that they were used for training."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fingerprint import _check, _threads, decisions, engine, images, scores, views
from fingerprint import summary as summaries
from fingerprint._check import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from os import PathLike

    from fingerprint.decisions import Decisions
    from fingerprint.images import Failure, Slices, Source
    from fingerprint.scores import Neighbours
    from fingerprint.summary import Summary

Array = NDArray[Any]
Groups = Mapping[str, object] | Callable[[str], object] | Sequence[object]

_SHOWN = 10  # rows of the table in a summary


@dataclass(frozen=True)
class Match:
    """A synthetic image near a real one.

    Parameters
    ----------
    name : str
        Of the synthetic image.
    distance : float
        In the view `Ranking.params` names as ``"distance"``; 0 = identical there.
    """

    name: str
    distance: float


@dataclass(frozen=True)
class Row:
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
        The nearest synthetic images, nearest first.
    """

    rank: int
    name: str
    score: float
    p_value: float | None
    q_value: float | None
    group: str | None
    evidence: tuple[Match, ...]


@dataclass(frozen=True)
class Group:
    """The images of one patient.

    Parameters
    ----------
    name : str
        Of the group.
    score : float
        Mean score of its images: a patient is used with all images or with none, so that their evidence adds up.
    rows : tuple of Row
        Its images, most likely used first.
    """

    name: str
    score: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Ranking:
    """Real images ordered by the evidence that they were used for training, most likely used first.

    A list of `Row`: ``len(ranking)``, ``ranking[0]``, ``for row in ranking``. The fields hold the same by column.

    The default score says how many times the distance from a real image to its nearest synthetic image must be doubled
    to reach the distance between similar real images: 0 = no nearer than that, 1 = half as far. Higher = more likely
    used. A low score is no proof that an image was not used. Scores of different methods, or against different
    numbers of synthetic images, are not comparable.

    Parameters
    ----------
    names : tuple of str
        (n,) names of the real images.
    scores : ndarray
        (n,) float64, descending.
    matches : tuple of tuple of Match
        (n, k) nearest synthetic images, nearest first.
    p_values : ndarray, optional
        (n,) float64: share of unused reference images with at least such a score. Only with a reference, and valid as
        far as unused images are exchangeable with it.
    q_values : ndarray, optional
        (n,) float64: false discovery rate of calling this image, and all before it, used (Benjamini-Hochberg).
    groups : tuple of str, optional
        (n,) patients.
    n_fake : int
        Number of synthetic images compared.
    failed : mapping of str to tuple of Failure
        Files of ``"real"``, ``"fake"`` and ``"reference"`` that could not be used, with the reason.
    params : mapping
        How this ranking was made.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> ranking = fingerprint.rank(demo.real, demo.fake)
    >>> len(ranking), ranking[0].rank
    (8, 1)
    """

    names: tuple[str, ...]
    scores: Array
    matches: tuple[tuple[Match, ...], ...]
    p_values: Array | None
    q_values: Array | None
    groups: tuple[str, ...] | None
    n_fake: int
    failed: Mapping[str, tuple[Failure, ...]]
    params: Mapping[str, object]

    def __len__(self) -> int:
        """Return the number of ranked images."""
        return len(self.names)

    def __getitem__(self, index: int) -> Row:
        """Return the image at a position, from 0, most likely used first."""
        i = range(len(self))[index]
        return Row(
            rank=i + 1,
            name=self.names[i],
            score=float(self.scores[i]),
            p_value=None if self.p_values is None else float(self.p_values[i]),
            q_value=None if self.q_values is None else float(self.q_values[i]),
            group=None if self.groups is None else self.groups[i],
            evidence=self.matches[i],
        )

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the images, most likely used first."""
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        """Return `summary`."""
        return self.summary()

    def by_group(self) -> tuple[Group, ...]:
        """Return the patients, those whose images have the highest mean score first.

        Returns
        -------
        tuple of Group
            Ties in natural order of the names.

        Raises
        ------
        InputError
            If the ranking was made without `groups`.
        """
        if self.groups is None:
            raise InputError("groups: this ranking has none; pass groups= to rank")
        members: dict[str, list[Row]] = {}
        for row, name in zip(self, self.groups, strict=True):
            members.setdefault(name, []).append(row)
        found = [
            Group(name, float(np.mean([row.score for row in rows])), tuple(rows)) for name, rows in members.items()
        ]
        return tuple(sorted(found, key=lambda group: (-group.score, images.natural_key(group.name))))

    def decide(self, *, false_discovery_rate: float = 0.1) -> Decisions:
        """Decide which images to call used; "no evidence" is a possible answer.

        With a reference by the q-values. Without one, only where the scores fall into two groups, which are then taken
        for unused and used images: an assumption that nothing tests.

        Parameters
        ----------
        false_discovery_rate : float
            Largest share of wrong calls, on average, among the images that are called used; 0.0001 to 0.5.

        Returns
        -------
        Decisions
            In the order of the ranking, with the rule and its assumption in words.

        Raises
        ------
        InputError
            If the rate is out of range.
        """
        rate = _check.number("false_discovery_rate", false_discovery_rate, minimum=1e-4, maximum=0.5)
        if self.q_values is not None:
            return decisions.by_reference(self.names, self.scores, self.q_values, rate)
        return decisions.by_mixture(self.names, self.scores, rate)

    def summary(self) -> str:
        """Return a text for people: the first rows, how to read them, and what failed.

        Returns
        -------
        str
            Several lines without a final line break.
        """
        tested = "" if self.p_values is None else f"{'p':>9} {'q':>9}  "
        width = max(len("image"), *(len(name) for name in self.names[:_SHOWN]))
        lines = [
            f"{len(self)} real images against {self.n_fake} synthetic ones, most likely used first",
            f"{'rank':>5}  {'image':<{width}}  {'score':>7}  {tested}nearest synthetic image",
        ]
        for row in (self[i] for i in range(min(_SHOWN, len(self)))):
            tested = "" if row.p_value is None else f"{row.p_value:9.4f} {row.q_value:9.4f}  "
            match = row.evidence[0]
            lines.append(
                f"{row.rank:>5}  {row.name:<{width}}  {row.score:7.3f}  {tested}{match.name} ({match.distance:.4g})"
            )
        if len(self) > _SHOWN:
            lines.append(f"{'…':>5}  {len(self) - _SHOWN} more")
        lines.append("Higher = more likely used. A low score is no proof that an image was not used.")
        for side, failures in self.failed.items():
            lines.extend(f"failed, {side}: {failure.name}: {failure.reason}" for failure in failures)
        return "\n".join(lines)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Write the ranking as CSV: a header, then one line for each real image.

        Parameters
        ----------
        path : path, optional
            File to write.

        Returns
        -------
        str
            What was, or would have been, written. Columns: rank, name, score, p_value and q_value (with a reference),
            group (with groups), nearest, distance.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        tested, grouped = self.p_values is not None, self.groups is not None
        writer.writerow(
            ["rank", "name", "score"] + ["p_value", "q_value"] * tested + ["group"] * grouped + ["nearest", "distance"]
        )
        for row in self:
            writer.writerow(
                [row.rank, row.name, row.score]
                + [row.p_value, row.q_value] * tested
                + [row.group] * grouped
                + [row.evidence[0].name, row.evidence[0].distance]
            )
        return _write(text.getvalue(), path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Write everything as JSON.

        Parameters
        ----------
        path : path, optional
            File to write.

        Returns
        -------
        str
            What was, or would have been, written: an object with params, n_fake, rows and failed.
        """
        rows = [
            {
                "rank": row.rank,
                "name": row.name,
                "score": row.score,
                "p_value": row.p_value,
                "q_value": row.q_value,
                "group": row.group,
                "evidence": [{"name": match.name, "distance": match.distance} for match in row.evidence],
            }
            for row in self
        ]
        failed = {
            side: [{"name": failure.name, "reason": failure.reason} for failure in failures]
            for side, failures in self.failed.items()
        }
        content = {"params": dict(self.params), "n_fake": self.n_fake, "rows": rows, "failed": failed}
        return _write(json.dumps(content, indent=1, ensure_ascii=False) + "\n", path)


def rank(
    real: Source,
    fake: Source,
    *,
    reference: Source | None = None,
    groups: Groups | None = None,
    method: str = "default",
    k: int = 5,
    size: int | tuple[int, int] | None = None,
    recursive: bool = False,
    on_error: str = "collect",
    block: int = 128,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Ranking:
    """Rank real images by the evidence that the generator of the synthetic ones was trained on them.

    Parameters
    ----------
    real, fake : folder, path, list of paths, ndarray, Slices, or iterator of any of these
        Real and synthetic images of the same size and bit depth, see `fingerprint.load`. The synthetic ones are read as
        a stream: there may be more than fit into memory.
    reference : as `real`, optional
        Real images known to be unused, of the same kind as the unused ones among `real`. They give every score a
        p-value and a q-value, and help to tell near from far.
    groups : mapping, callable or sequence, optional
        Patient of every real image: a mapping from file name, a function of the name, or one entry for each real (then
        each reference) image. Images of one patient never serve as each other's yardstick.
    method : str
        ``"default"``: `fingerprint.scores.nearness` in all views of `fingerprint.views.pyramid`; or a statistic of the
        literature, a key of `fingerprint.scores.METHODS`.
    k : int
        How many of the nearest synthetic images to show for every real one.
    size : int or (int, int), optional
        Resample everything to this height and width. Without it, images of different sizes are an error.
    recursive : bool
        Also read the folders inside folders.
    on_error : {"collect", "raise"}
        What to do about a file that cannot be used: list it in `Ranking.failed`, or raise.
    block : int
        Synthetic images to read at a time. Memory grows with it, results do not depend on it.
    threads : int, optional
        Threads to read and compute on; one for each available core by default. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        Where to read and compare the synthetic images instead, for instance on several machines.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Ranking
        Of the real images, most likely used first; equal scores in natural order of the names.

    Raises
    ------
    InputError
        If an argument breaks its rule, a collection holds no usable image, or sizes or bit depths differ.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> ranking = fingerprint.rank(demo.real, demo.fake, groups=demo.groups)
    >>> print(ranking.to_csv().splitlines()[0])
    rank,name,score,group,nearest,distance
    """
    _check.choice("method", method, scores.METHODS)
    _check.integer("k", k, minimum=1)
    _check.integer("block", block, minimum=1)
    chosen = scores.METHODS[method]
    seen = collect(
        real,
        fake,
        reference=reference,
        groups=groups,
        metrics=chosen.metrics,
        k=max(k, chosen.k),
        size=size,
        recursive=recursive,
        on_error=on_error,
        block=block,
        threads=threads,
        executor=executor,
        progress=progress,
    )
    names, patients, n_real = seen.known.names, seen.groups, seen.n_real
    found = scores.score(chosen, seen.neighbours)
    mine, null = found[:n_real], found[n_real:]
    order = sorted(range(n_real), key=lambda i: (-mine[i], images.natural_key(names[i]), i))
    tested = None if reference is None else scores.p_values(mine, null)
    params = {
        "method": method,
        "views": [view.name for view in seen.summary.views],
        "distance": seen.summary.views[0].name,
        "k": k,
        "size": [seen.known.height, seen.known.width],
        "reference": None if reference is None else len(null),
        "grouped": patients is not None,
    }
    return Ranking(
        names=tuple(names[i] for i in order),
        scores=mine[order],
        matches=tuple(_matches(seen.summary, i, k) for i in order),
        p_values=None if tested is None else tested[order],
        q_values=None if tested is None else scores.q_values(tested)[order],
        groups=None if patients is None else tuple(patients[i] for i in order),
        n_fake=seen.summary.n_fake,
        failed=MappingProxyType(seen.failed),
        params=MappingProxyType(params),
    )


@dataclass(frozen=True)
class Collected:
    """Real images after one pass over the synthetic ones.

    Parameters
    ----------
    known : Slices
        The real images, then those of the reference.
    n_real : int
        How many of them are no reference.
    groups : tuple of str or None
        Patient of each.
    summary : Summary
        What the pass left behind.
    neighbours : list of Neighbours
        What the statistics see, one entry for each view.
    failed : dict
        From the name of a collection to its `Failure`s.
    """

    known: Slices
    n_real: int
    groups: tuple[str, ...] | None
    summary: Summary
    neighbours: list[Neighbours]
    failed: dict[str, tuple[Failure, ...]]


def collect(
    real: Source,
    fake: Source,
    *,
    reference: Source | None,
    groups: Groups | None,
    metrics: tuple[str, ...],
    k: int,
    size: int | tuple[int, int] | None,
    recursive: bool,
    on_error: str,
    block: int,
    threads: int | None,
    executor: Executor | None,
    progress: bool,
    called: tuple[str, str, str] = ("real", "reference", "fake"),
) -> Collected:
    """Read both sides and compare every real image with every synthetic one, in one pass; arguments as for `rank`.

    `metrics` are compared at full resolution; none = the views of `fingerprint.views.pyramid`. `called` is what the
    messages call the three collections.
    """
    threads = _threads.resolve(threads)
    reading: dict[str, Any] = {"size": size, "recursive": recursive, "on_error": on_error}
    slices = known = images.load(real, threads=threads, argument=called[0], **reading)
    failed = {called[0]: slices.failed}
    if reference is not None:
        unused = images.load(reference, threads=threads, argument=called[1], **reading)
        known = images.concatenate(slices, unused, argument=called[1])
        failed[called[1]] = unused.failed
    patients = None if groups is None else _patients(groups, known)
    compared = tuple(views.View(1, metric) for metric in metrics) or views.pyramid(known.height, known.width)
    codes = None if patients is None else np.unique(patients, return_inverse=True)[1]
    prepared = summaries.prepare(known.pixels, compared, groups=codes, threads=threads)
    worker = engine.Worker(prepared, k)
    blocks = images.plan(fake, block=block, expect=known, argument=called[2], **reading)
    total = images.count(fake, recursive=recursive, argument=called[2]) if progress else None
    with _threads.bar(progress, unit="image", total=total) as advance:
        summary = engine.summarise(worker, blocks, threads=threads, executor=executor, advance=advance)
    failed[called[2]] = summary.failed
    if not summary.n_fake:
        raise images.none_usable(fake, summary.failed, argument=called[2])
    return Collected(
        known=known,
        n_real=len(slices),
        groups=None if patients is None else tuple(patients),
        summary=summary,
        neighbours=scores.neighbours(prepared, summary),
        failed=failed,
    )


def _matches(summary: Summary, real: int, k: int) -> tuple[Match, ...]:
    """Return the nearest synthetic images of one real image in the first view."""
    near = zip(summary.indices[0, real, :k], summary.distances[0, real, :k], strict=True)
    return tuple(Match(summary.fakes[index], float(distance)) for index, distance in near if index >= 0)


def _patients(groups: Groups, slices: Slices) -> list[str]:
    """Return the group of every image as text."""
    if isinstance(groups, Mapping):
        missing = [name for name in slices.names if name not in groups and PurePosixPath(name).name not in groups]
        if missing:
            raise InputError(
                f"groups: expected an entry for every real and reference image, found none for {missing[0]!r} "
                f"({len(missing)} missing); add them, keyed by the name or the file name"
            )
        return [str(groups[name] if name in groups else groups[PurePosixPath(name).name]) for name in slices.names]
    if callable(groups):
        return [str(groups(name)) for name in slices.names]
    if isinstance(groups, str) or not isinstance(groups, Sequence | np.ndarray):
        raise InputError(f"groups: expected a mapping, a function or a sequence, got {_check.describe(groups)}")
    if len(groups) != len(slices) + len(slices.failed):
        raise InputError(
            f"groups: expected one entry for each real and reference image, {len(slices)}, got {len(groups)}"
        )
    if slices.failed:
        raise InputError(
            f"groups: a sequence cannot be matched to the images, because {len(slices.failed)} files failed (first: "
            f"{slices.failed[0].name}: {slices.failed[0].reason}); pass a mapping from name to group"
        )
    return [str(group) for group in groups]


def _write(text: str, path: str | PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    return text
