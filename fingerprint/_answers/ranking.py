"""Ranking: real images in the order of the evidence that they were used for training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._answers.origin import Origin
from fingerprint._answers.rows import Group, Match, Row
from fingerprint._answers.withheld import Withheld, withheld
from fingerprint._base import checks, results
from fingerprint._base.checks import InputError
from fingerprint._base.display import SHOWN
from fingerprint._base.failures import Failure, Failures, failed_lines
from fingerprint._base.output import printable
from fingerprint._base.public import public
from fingerprint._base.results import ListResult, Table
from fingerprint._images import loading, symmetries
from fingerprint._statistics import decisions, methods, p_values
from fingerprint._statistics.copies import Copy, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from fingerprint._answers.evidence import Evidence
    from fingerprint._base.types import Array
    from fingerprint._statistics.decisions import Decisions


@public
@dataclass(frozen=True, eq=False, repr=False)
class Ranking(ListResult[Row]):
    """Real images ordered by the evidence that they were used for training, most likely used first.

    A list of `Row`: ``len(ranking)``, ``ranking[0]``, ``ranking[:5]``, ``for row in ranking``, ``"name" in ranking``.
    The fields hold the same by column.

    Higher = more likely used. A low score is no proof that an image was not used.

    The default score adds two kinds of evidence. Whole images: log2 of the distance to similar real images over the
    distance to the nearest synthetic image, after taking away what all images of their kind share; the mean over scales
    and overlapping windows. Patches: how much better they match in one synthetic image than in other real ones. Each
    becomes a tail score of at least 0, is weighed by how much it shows, and both add. An image like most of its
    collection has a score below 1; one of 3 or more stands out. Few images have low scores, since they are compared
    with each other. Scores of different methods, collections, or numbers of synthetic images must not be compared.

    Parameters
    ----------
    names : tuple of str
        (n,) names of the real images.
    scores : ndarray
        (n,) float64, descending.
    matches : tuple of tuple of Match
        (n, up to k) synthetic images, see `Row.evidence`.
    p_values : ndarray, optional
        (n,) float64: share of unused reference images with at least such a score; with groups, of unused patients.
        Only with a reference, and valid as far as unused images, or
        patients, are exchangeable with it.
    q_values : ndarray, optional
        (n,) float64: false discovery rate of calling this image, and all before it, used (Benjamini-Hochberg).
    groups : tuple of str, optional
        (n,) patients.
    n_fake : int
        Number of synthetic images compared.
    failed : mapping of str to tuple of Failure
        Files of ``"real"``, ``"fake"`` and, where they were given, ``"reference"`` and ``"population"`` that could not
        be used, with the reason.
    params : mapping
        What was compared, and how.
    order : ndarray
        (n,) int64 position of each image among the real ones as they were given, less those that failed.
    notes : tuple of str
        What to know about these images before believing the order; often none.
    null : ndarray, optional
        (m,) float64 scores of the reference.
    null_groups : tuple of str, optional
        (m,) patients of the reference.
    extrapolated : ndarray, optional
        (n,) float64: p-value that each image has from its own distances, by which `decide` decides without a reference.
    copies : tuple of Copy
        Images that have a copy among the synthetic ones, identical or nearly; in the order of the ranking.
    ignored : mapping of str to int
        Number of files that are no images, of the same collections, without that of the synthetic images.
    origin : Origin, optional
        Where the images are that `evidence` shows. Not written to files.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> ranking = fingerprint.rank(demo.real, demo.fake)
    >>> len(ranking), ranking[0].rank
    (8, 1)
    """

    _row_type = Row
    _by_row = ("names", "scores", "matches", "p_values", "q_values", "groups")

    names: tuple[str, ...]
    scores: Array
    matches: tuple[tuple[Match, ...], ...]
    p_values: Array | None
    q_values: Array | None
    groups: tuple[str, ...] | None
    n_fake: int
    failed: Failures
    params: Mapping[str, Any]
    order: Array
    notes: tuple[str, ...] = ()
    null: Array | None = None
    null_groups: tuple[str, ...] | None = None
    extrapolated: Array | None = None
    copies: tuple[Copy, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> Ranking:
        """Read what `to_json` wrote.

        Parameters
        ----------
        path : path or str
            The file, or the JSON itself.

        Returns
        -------
        Ranking
            All but the images. Where these were given as paths, `evidence` and `report` read them again.

        Raises
        ------
        InputError
            If the file does not exist, or holds no ranking of this schema.

        Examples
        --------
        >>> import fingerprint
        >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
        >>> ranking = fingerprint.rank(demo.real, demo.fake)
        >>> fingerprint.Ranking.from_json(ranking.to_json()) == ranking
        True
        """
        return results.read(cls, path, _restored)

    def _row(self, i: int) -> Row:
        return Row(
            rank=i + 1,
            name=self.names[i],
            score=float(self.scores[i]),
            p_value=None if self.p_values is None else float(self.p_values[i]),
            q_value=None if self.q_values is None else float(self.q_values[i]),
            group=None if self.groups is None else self.groups[i],
            evidence=self.matches[i],
        )

    def evidence(self, index: int, *, match: int = 0) -> Evidence:
        """Return where a real image and a synthetic one match, to look at.

        Parameters
        ----------
        index : int
            Position in the ranking, from 0, most likely used first.
        match : int
            Which of the synthetic images in ``ranking[index].evidence``.

        Returns
        -------
        Evidence
            With both images; ``.image()`` is a picture of it.

        Raises
        ------
        InputError
            If there is no such image, the images are smaller than 8x8, or the synthetic ones came from an iterator,
            which cannot be read again.
        """
        index = checks.integer("index", index, minimum=-len(self), maximum=len(self) - 1) % len(self)
        found = self.matches[index]
        chosen = found[checks.integer("match", match, minimum=0, maximum=len(found) - 1)]
        return self._ranked_images().evidence([(int(self.order[index]), chosen)])[0]

    def _ranked_images(self) -> Origin:
        """Return where the images are, once it is known that they are those that were ranked."""
        names = self._images.known.names
        if self.order.max() >= len(names) or tuple(names[place] for place in self.order) != self.names:
            raise InputError("real: expected the images that were ranked, found others; rank them again")
        return self._images

    @cached_property
    def _images(self) -> Origin:
        """Where the images are; those of a ranking from a file are read again."""
        if self.origin is not None:
            return self.origin
        return Origin.again(self.provenance, patches=methods.METHODS[self.params["method"]].patches)

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
        p, q = self._tested_groups()
        found = [
            Group(name, score, p.get(name), q.get(name), tuple(members[name]))
            for name, score in p_values.group_means(self.scores, self.groups).items()
        ]
        return tuple(sorted(found, key=lambda group: (-group.score, loading.natural_key(group.name))))

    def _tested_groups(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the p- and q-values of the patients, both empty where no patients of a reference are known."""
        if self.groups is None or self.null is None or self.null_groups is None:
            return {}, {}
        p = p_values.group_p_values(self.scores, self.groups, self.null, self.null_groups)
        return p, dict(zip(p, p_values.q_values(np.array(list(p.values()))).tolist(), strict=True))

    def decide(self, *, false_discovery_rate: float = 0.1) -> Decisions:
        """Decide which images to call used; "no evidence" is a possible answer.

        With a reference by the q-values. Without one by how much nearer the nearest synthetic image is than those
        farther away lead one to expect (docs/decisions.md, Without labels): of an unused image it is assumed that
        synthetic images thin out towards it at least as fast as they do farther away. Nothing tests that.

        Parameters
        ----------
        false_discovery_rate : float
            Largest share of wrong calls, on average, among the images that are called used; 0.0001 to 0.5.

        Returns
        -------
        Decisions
            In the order of the ranking, with the rule and its assumption in words; with groups also of each patient.

        Raises
        ------
        InputError
            If the rate is out of range, or a ranking without a reference was not made by `rank`.
        """
        rate = checks.number("false_discovery_rate", false_discovery_rate, minimum=1e-4, maximum=0.5)
        if self.q_values is not None:
            decided = decisions.by_reference(
                self.names, self.scores, self.q_values, rate, self._tested_groups()[1] or None
            )
        elif self.extrapolated is not None:
            decided = decisions.by_extrapolation(self.names, self.extrapolated, self.groups, rate)
        else:
            raise InputError("decide: without a reference, a ranking has to be made by rank")
        decided = decisions.with_copies(decided, self.copies, self.groups)
        made = None if self.provenance is None else self.provenance.also(false_discovery_rate=rate)
        return replace(decided, provenance=made)

    def withhold(self, *, false_discovery_rate: float = 0.1) -> Withheld:
        """List the synthetic images that give real ones away, to withhold them from a release.

        Parameters
        ----------
        false_discovery_rate : float
            As for `decide`: what it calls used is what has to be protected.

        Returns
        -------
        Withheld
            For each synthetic image the real ones that it gives away. It knows of the `k` synthetic images that `rank`
            kept for each real one; what is left may give away more, so rank it again.

        Raises
        ------
        InputError
            As `decide`.

        Examples
        --------
        >>> import fingerprint
        >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
        >>> fake = [demo.fake.pixels, demo.real.pixels[:1]]
        >>> fingerprint.rank(demo.real, fake, k=1).withhold()[0].gives_away[0].reason
        'identical'
        """
        decided = self.decide(false_discovery_rate=false_discovery_rate)
        return replace(
            withheld(self[:], decided, self.n_fake, formed="forms" in self.params), provenance=decided.provenance
        )

    def __str__(self) -> str:
        """Return a text for people: the first rows, how to read them, and what failed."""
        tested = "" if self.p_values is None else f"{'p':>9} {'q':>9}  "
        forms = symmetries.in_words(self.params.get("forms", ()))
        width = max(len("image"), *(len(printable(name)) for name in self.names[:SHOWN]))
        copied = [sentence(self.copies, "real")] if self.copies else []
        if self.copies and len(self.copies) == len(self):
            copied += ["Every real image is a synthetic one as well: make sure that both are not the same collection."]
        lines = [
            *copied,
            f"{len(self)} real images against {self.n_fake} synthetic ones{forms}, most likely used first",
            f"{'rank':>5}  {'image':<{width}}  {'score':>7}  {tested}synthetic image that gives it away",
        ]
        for row in self[:SHOWN]:
            tested = "" if row.p_value is None else f"{row.p_value:9.4f} {row.q_value:9.4f}  "
            name, evidence = printable(row.name), printable(str(row.evidence[0]))
            lines.append(f"{row.rank:>5}  {name:<{width}}  {row.score:7.3f}  {tested}{evidence}")
        if len(self) > SHOWN:
            lines.append(f"{'…':>5}  {len(self) - SHOWN} more")
        lines.append("Higher = more likely used. A low score is no proof that an image was not used.")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join([*lines, *failed_lines(self.failed)])

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        tested, grouped = self.p_values is not None, self.groups is not None
        header = (
            ["rank", "name", "score"]
            + ["p_value", "q_value"] * tested
            + ["group"] * grouped
            + ["nearest", "distance", "matched", "gain"]
        )
        rows = (
            [row.rank, row.name, row.score]
            + [row.p_value, row.q_value] * tested
            + [row.group] * grouped
            + _best(row.evidence, "distance", min)
            + _best(row.evidence, "gain", max)
            for row in self
        )
        return header, rows

    def plot(self, ax: Any = None) -> Any:
        """Draw the scores in their order, over those of the reference where there is one.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure of its own by default.

        Returns
        -------
        matplotlib.axes.Axes
            To be changed or saved: ``ranking.plot().figure.savefig("scores.png")``.

        Raises
        ------
        InputError
            If matplotlib is missing; it comes with the extra ``report``.

        Examples
        --------
        >>> import fingerprint
        >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
        >>> fingerprint.rank(demo.real, demo.fake).plot().get_ylabel()
        'score (higher = more likely used)'
        """
        return import_module("fingerprint._answers.plots").scores(self, ax)

    def plot_roc(self, truth: Mapping[str, object] | Sequence[object], ax: Any = None) -> Any:
        """Draw the ROC curve against the truth, with its AUC and the interval, by patient where these are known.

        Parameters
        ----------
        truth : mapping or sequence
            Whether each image was used: by its name, or in the order of the ranking.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure of its own by default.

        Returns
        -------
        matplotlib.axes.Axes
            To be changed or saved.

        Raises
        ------
        InputError
            As `fingerprint.evaluate`; if an image has no entry, or matplotlib is missing.

        Examples
        --------
        >>> import fingerprint
        >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
        >>> truth = dict(zip(demo.real.names, demo.used))
        >>> fingerprint.rank(demo.real, demo.fake).plot_roc(truth).get_xlabel()
        'share of unused images called used'
        """
        return import_module("fingerprint._answers.plots").roc(self, truth, ax)

    def report(
        self,
        path: str | PathLike[str],
        *,
        top: int = 20,
        title: str | None = None,
        notes: str = "",
        false_discovery_rate: float = 0.1,
        images: bool = True,
        salt: str | None = None,
        check: Sequence[tuple[str, str, str, str]] = (),
    ) -> str | None:
        """Write one HTML page by which a release is decided: the verdict, what to withhold, the evidence, all images.

        It needs no network and no scripts, and prints. It shows real images: hand it on only where they may go, or
        leave them out by ``images=False``. The synthetic images are read once more, to hash what was compared.

        The file grows by about 100 kB with each picture and by 400 bytes with each real image: a page of 10,000 images
        has 4 MB.

        Parameters
        ----------
        path : path
            File to write.
        top : int
            How many images to show with their evidence, from the most likely used. Where they cannot be shown, because
            the synthetic ones came from an iterator or are gone, the page says why.
        title : str, optional
            Of the page.
        notes : str
            What the page is to say in its field for notes; without, there are lines to write on.
        false_discovery_rate : float
            As for `decide`.
        images : bool
            Without, the page shows no picture. Names of images and patients are hashed, and paths and reasons left out.
        salt : str, optional
            Secret text from which, and the name, each hash follows: the first 12 digits of HMAC-SHA256. A random one by
            default. Without it nobody can guess the name behind a hash, so keep it where the names are.
        check : Check
            What `fingerprint.check` found in the same images, to be shown too.

        Returns
        -------
        str or None
            The salt of the hashed names; None with images.

        Raises
        ------
        InputError
            Without the extra ``report``, or if `top` or the rate is out of range.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import fingerprint
        >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fingerprint.rank(demo.real, demo.fake).report(Path(folder, "ranking.html"), top=2)
        ...     Path(folder, "ranking.html").read_text(encoding="utf-8").count('class="evidence"')
        2
        """
        report = import_module("fingerprint._answers.report")  # which imports this file for its types
        wanted = report.Wanted(title, notes, false_discovery_rate, top, images, salt, check)
        used: str | None = report.write(path, self, None, self.provenance, wanted, self._ranked_images)
        return used


def _restored(content: dict[str, Any]) -> Ranking:
    rows = content["rows"]
    columns = {name: [row[name] for row in rows] for name in Row._fields}
    given = {name: None if columns[name][0] is None else columns[name] for name in ("p_value", "q_value", "group")}
    return Ranking(
        names=tuple(columns["name"]),
        scores=np.array(columns["score"], np.float64),
        matches=tuple(tuple(Match(**match) for match in matches) for matches in columns["evidence"]),
        p_values=_floats(given["p_value"]),
        q_values=_floats(given["q_value"]),
        groups=None if given["group"] is None else tuple(given["group"]),
        n_fake=int(content["n_fake"]),
        failed={side: tuple(Failure(**one) for one in lost) for side, lost in content["failed"].items()},
        params=content["params"],
        order=np.array(content["order"], np.int64),
        notes=tuple(content["notes"]),
        null=_floats(content["null"]),
        null_groups=None if content["null_groups"] is None else tuple(content["null_groups"]),
        extrapolated=_floats(content["extrapolated"]),
        copies=tuple(Copy(**one) for one in content["copies"]),
        ignored=content["ignored"],
    )


def _floats(values: list[float] | None) -> Array | None:
    return None if values is None else np.array(values, np.float64)


def _best(found: tuple[Match, ...], column: str, choose: Callable[..., Match]) -> list[object]:
    """Return name and value of the match with the smallest or largest value, blank where none has one."""
    known = [match for match in found if getattr(match, column) is not None]
    best: Match | None = choose(known, key=lambda match: getattr(match, column), default=None)
    return [None, None] if best is None else [best.name, getattr(best, column)]
