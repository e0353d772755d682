"""Summary: what one pass leaves behind, as a file, so that machines that share nothing can do a pass together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fingerprint._base import checks, display, output, packing
from fingerprint._base.checks import InputError
from fingerprint._base.failures import failed_lines
from fingerprint._base.frozen import Frozen
from fingerprint._base.provenance import Provenance, is_url
from fingerprint._base.public import public
from fingerprint._evidence import engine
from fingerprint._evidence.summary import Findings, join
from fingerprint._images import checkpoint
from fingerprint._images.checkpoint import Held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from typing import Self

    from fingerprint._base.failures import Failure
    from fingerprint._images.loading import Source

_SOURCES = {"real", "fake", "reference", "population"}  # of `summarise`, and its settings
_SETTINGS = {
    "part",
    "groups",
    "method",
    "k",
    "mask",
    "symmetries",
    "size",
    "window",
    "grey",
    "recursive",
    "on_error",
    "memory",
}
_OF_A_PART = ("part", "of how many", "the list of synthetic images")


@public
@dataclass(frozen=True, eq=False, repr=False)
class Summary(Frozen):
    """All that one pass over synthetic images leaves behind about the real ones; `fingerprint.summarise` makes it.

    It holds no pixels. Its size depends on the number of real images, and a little on how many synthetic files there
    were.

    Parameters
    ----------
    held : object
        What was compared, what was read, and what came of it; for the library alone.
    patients : mapping of str to str, optional
        Patient of each real image by its name, where known.
    provenance : Provenance, optional
        When, by which version, from what and how it was made. Not compared.
    """

    held: object
    patients: Mapping[str, str] | None = None
    provenance: Provenance | None = field(default=None, compare=False)

    @property
    def n_real(self) -> int:
        """The number of real images: those of reference and population too."""
        return int(_held(self).kept.counts.shape[1])

    @property
    def n_fake(self) -> int:
        """The number of synthetic images."""
        return _held(self).kept.n_fake

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The synthetic files that could not be used."""
        return _held(self).kept.settled().failed

    @property
    def complete(self) -> bool:
        """Whether it is about all images of its collection: not where a checkpoint of a stopped call was loaded."""
        return _held(self).complete

    def __repr__(self) -> str:
        part = _held(self).about.get("part")
        of = "" if part is None else f", part {part} of {_held(self).about['of how many']}"
        rest = "" if self.complete else ", not complete"
        return f"<Summary: {self.n_real} real images, {self.n_fake} synthetic ones{of}{rest}>"

    def _repr_html_(self) -> str:
        made = {} if self.provenance is None else {**self.provenance.sources, **self.provenance.settings}
        return display.facts(repr(self), {"failed": len(self.failed)} | made)

    def __str__(self) -> str:
        """Return what it is about, and what failed."""
        return "\n".join([repr(self)[1:-1], *failed_lines({"fake": self.failed})])

    def save(self, path: str | PathLike[str]) -> None:
        """Write it, to be read by `Summary.load` or `fingerprint.merge`.

        Parameters
        ----------
        path : path
            File to write: JSON and raw arrays under one checksum.
        """
        made = None if self.provenance is None else output.plain(self.provenance)
        patients = None if self.patients is None else dict(self.patients)
        replace(_held(self), call={"provenance": made, "patients": patients}).save(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what `save` wrote, or a checkpoint.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Summary
            As it was.

        Raises
        ------
        InputError
            If there is no such file, it is cut, damaged or changed, or of another version.
        """
        held = checkpoint.load(path, engine.CLASSES, argument="path")
        if not isinstance(held.kept, Findings):
            raise InputError(f"path: expected a Summary, got a checkpoint of something else in {path}")
        call: Mapping[str, Any] = held.call or {}
        made, patients = call.get("provenance"), call.get("patients")
        if not (_is_text(patients) and _is_provenance(made)):
            raise InputError(f"path: expected a Summary, got other contents in {path}")
        return cls(replace(held, call=None), patients, None if made is None else Provenance(**made))


def _is_text(patients: object) -> bool:
    """Whether this can be the patients of a file."""
    known = isinstance(patients, dict) and all(isinstance(each, str) for each in patients.values())
    return patients is None or known


def _is_provenance(made: object) -> bool:
    """Whether this can be the provenance of a file."""
    if not isinstance(made, dict) or {*made} != {"version", "date", "sources", "settings"}:
        return made is None
    texts = isinstance(made["version"], str) and isinstance(made["date"], str)
    parts = (made["sources"], _SOURCES), (made["settings"], _SETTINGS)
    return texts and all(isinstance(part, dict) and {*part} == names for part, names in parts)


def findings_of(summary: Summary, about: Mapping[str, Any], model: Findings, argument: str) -> Findings:
    """Return what was found, once it is known to be of all images and about what is asked for.

    `model` is what is found in no image.
    """
    held = _whole(summary, argument)
    if "part" in held.about:
        raise InputError(f"{argument}: expected a Summary of all parts, got {summary}; merge them")
    if differ := checkpoint.differences(held.about, about):
        raise InputError(
            f"{argument}: the Summary was made of something else: {differ}; pass the same arguments to both calls"
        )
    if not packing.like(held.kept, model):
        raise InputError(f"{argument}: expected a Summary of these images, got one of other shape; make it again")
    return held.kept


def source_of(summary: Summary) -> Source:
    """Return the synthetic images where they are files in the one place from which all were read; else none.

    A Summary may come from strangers, so that a URL that it names is not opened.
    """
    source = None if summary.provenance is None else summary.provenance.sources["fake"]
    return source if isinstance(source, str) and not is_url(source) else iter(())


def _held(summary: Summary) -> Held[Findings]:
    assert isinstance(summary.held, Held)
    return summary.held


def _whole(summary: Summary, argument: str) -> Held[Findings]:
    if not summary.complete:
        raise InputError(f"{argument}: expected a Summary of all images, got {summary}; let the call that made it end")
    return _held(summary)


@public
def merge(summaries: Sequence[Summary | str | PathLike[str]]) -> Summary:
    """Merge the Summaries of parts of the synthetic images, exactly and in any order.

    Parameters
    ----------
    summaries : sequence of Summary or path
        Of different synthetic images, compared with the same real ones in the same way. Those that `part` made are put
        in the order of their numbers, and none may be missing; others follow one another as they are given, like the
        sources of a list.

    Returns
    -------
    Summary
        What `fingerprint.summarise` returns for all synthetic images at once, bit for bit.

    Raises
    ------
    InputError
        If they do not go together, one is missing, or one is there twice.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> parts = [fingerprint.summarise(demo.real, demo.fake[start : start + 10]) for start in range(0, 40, 10)]
    >>> whole = fingerprint.merge(parts)
    >>> whole
    <Summary: 8 real images, 40 synthetic ones>
    >>> fingerprint.rank(demo.real, whole).scores.tolist() == fingerprint.rank(demo.real, demo.fake).scores.tolist()
    True
    """
    if isinstance(summaries, str | Summary) or not hasattr(summaries, "__iter__"):
        raise InputError(f"summaries: expected a list of Summaries or paths, got {checks.describe(summaries)}")
    given = list(summaries)
    if not given:
        raise InputError("summaries: expected at least one, got none")
    heads = []
    for each in given:  # one at a time, as all together may not fit into memory
        part = _loaded(each)
        held = _whole(part, "summaries")
        heads.append((held.about, held.record.digest, part.provenance))
        about, other = ({**about, "part": None} for about, _, _ in (heads[0], heads[-1]))
        if differ := checkpoint.differences(about, other):
            raise InputError(f"summaries: expected parts of one comparison, got {differ}")
    count = heads[0][0].get("of how many")
    if count is None:
        digests = [digest for _, digest, _ in heads]
        twice = [i for i, digest in enumerate(digests) if digest and digests.index(digest) < i]
        if twice:
            raise InputError(f"summaries: expected different images, got those of number {twice[0] + 1} twice")
        order = list(range(len(given)))
    else:
        order = _in_order([about["part"] for about, _, _ in heads], count)
    first = _loaded(given[order[0]])
    rest = (_held(_loaded(given[i])) for i in order[1:])
    try:
        held = checkpoint.joined(_held(first), rest, join)
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"summaries: expected parts of one comparison, got other contents ({error!r:.100})") from None
    about = {name: value for name, value in held.about.items() if name not in _OF_A_PART}
    made = _made([heads[i][2] for i in order], cut=count is not None)
    return Summary(replace(held, about=about), first.patients, made)


def _loaded(each: Summary | str | PathLike[str]) -> Summary:
    return each if isinstance(each, Summary) else Summary.load(each)


def _in_order(numbers: list[int], count: int) -> list[int]:
    """Return where the parts stand, by their numbers; raise where one is missing or there twice."""
    missing = [str(i) for i in range(1, count + 1) if i not in numbers]
    if missing:
        raise InputError(f"summaries: expected all {count} parts, found no part {', '.join(missing[:10])}")
    if len(numbers) > count:
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise InputError(f"summaries: expected each part once, found part {twice} twice")
    return [numbers.index(i) for i in range(1, count + 1)]


def _made(parts: Sequence[Provenance | None], *, cut: bool) -> Provenance | None:
    """Return how a whole could have been made at once; `cut` says that its parts are of one source."""
    known = [each for each in parts if each is not None]
    if len(known) < len(parts):
        return None
    first, fakes = known[0], [each.sources["fake"] for each in known]
    fake = fakes[0] if cut or len(parts) == 1 else fakes
    return replace(first, sources={**first.sources, "fake": fake}, settings={**first.settings, "part": None})
