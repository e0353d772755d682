"""Check: what is wrong with collections of images, and what to do about it, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fingerprint._answers import findings
from fingerprint._answers.census import Census
from fingerprint._answers.findings import Finding, Sides
from fingerprint._base import concurrency
from fingerprint._base.checks import InputError
from fingerprint._base.failures import Failures, failed_lines
from fingerprint._base.output import printable
from fingerprint._base.progress import bar
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import ListResult
from fingerprint._images import loading
from fingerprint._images.loading import BLOCK

if TYPE_CHECKING:
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Grey, OnError
    from fingerprint._images.loading import Source


@public
@dataclass(frozen=True, eq=False, repr=False)
class Check(ListResult[Finding]):
    """Result of `check`: a list of `Finding`, errors first, then warnings, then notes.

    A report can show it as it is: ``for severity, name, found, remedy in check``, or ``check.to_dict()["rows"]``.
    ``check.verdict`` is one sentence; `warnings` and `errors` are the sentences of those rows.

    Parameters
    ----------
    names : tuple of str
        (n,) what each finding is about, such as ``"duplicates_real"``; each name once.
    severities : tuple of str
        (n,) ``"error"``: `fingerprint.rank` would refuse, or its answer would be wrong. ``"warning"``: the answer would
        be weak, or needs a second look. ``"note"``: good to know.
    found : tuple of str
        (n,) what was found.
    remedies : tuple of str
        (n,) what to do about it.
    n_real, n_fake, n_reference : int
        Usable images; those of `unused` count as reference, and 0 where there was none.
    failed : mapping of str to tuple of Failure
        Files that could not be used, of ``"real"``, ``"fake"`` and ``"reference"``; or of ``"used"``, ``"fake"`` and
        ``"unused"``.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, size=64)
    >>> fingerprint.check(demo.real, demo.real).errors
    ('Synthetic images that are identical to one of real: 24 of 24 (first: real_001.png is real_001.png).',)
    """

    _row_type = Finding
    _by_row = ("names", "severities", "found", "remedies")
    _derived = ("verdict",)

    names: tuple[str, ...]
    severities: tuple[str, ...]
    found: tuple[str, ...]
    remedies: tuple[str, ...]
    n_real: int
    n_fake: int
    n_reference: int
    failed: Failures

    def _row(self, i: int) -> Finding:
        return Finding(self.severities[i], self.names[i], self.found[i], self.remedies[i])

    @property
    def errors(self) -> tuple[str, ...]:
        """What was found that has to be mended first."""
        return tuple(one.found for one in self if one.severity == "error")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found that weakens the answer."""
        return tuple(one.found for one in self if one.severity == "warning")

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        counts = [
            f"{len(lines)} {word}{'s' * (len(lines) > 1)}"
            for lines, word in ((self.errors, "error"), (self.warnings, "warning"))
            if lines
        ]
        if not counts:
            return "Nothing was found that stands in the way."
        return f"{' and '.join(counts)}: {'mend the errors first' if self.errors else 'read before you go on'}."

    def __str__(self) -> str:
        """Return the verdict, and a line for each finding with what to do."""
        lines = [printable(f"{one.severity}: {one.found} {one.remedy}".rstrip()) for one in self]
        return "\n".join([self.verdict, *lines, *failed_lines(self.failed)])


@public
@recorded
def check(
    real: Source,
    fake: Source,
    *,
    reference: Source | None = None,
    unused: Source | None = None,
    groups: Groups | None = None,
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "collect",
    threads: int | None = None,
    progress: bool | None = None,
) -> Check:
    """Look at collections of images before anything is computed: what is wrong with them, and what to do.

    It finds files that cannot be used; different sizes and depths; images that occur twice, on one side or on both;
    collections that were confused; flat images; patients on both sides, or two patients with one image; too few images
    or patients for an answer; and images that were processed differently.

    Every image is read once, and its pixels are let go of. Processing alone is looked at in a sample: up to 512 images
    of each collection, evenly spread, are ranked, and their spectra are worked out.

    Parameters
    ----------
    real, fake
        Real and synthetic images, as for `fingerprint.rank`. They may differ in size and depth. An iterator is
        consumed, and has to be made anew for `fingerprint.rank`.
    reference : optional
        Real images known to be unused, as for `fingerprint.rank`.
    unused : optional
        The same before an `fingerprint.audit`, whose used images are then given as `real`: findings say used and unused
        instead of real and reference.
    groups : mapping, callable or sequence, optional
        Patient of every real image, see `fingerprint.rank`; a sequence names first `real`, then `reference`/`unused`.
    size, window, grey, recursive, on_error, threads, progress
        As for `fingerprint.rank`.

    Returns
    -------
    Check
        What was found, errors first.

    Raises
    ------
    InputError
        If an argument breaks its rule, both `reference` and `unused` are given, or a collection holds no usable image.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=600, size=64)
    >>> found = fingerprint.check(demo.real, demo.fake, groups=demo.groups)
    >>> print(found.verdict)
    Nothing was found that stands in the way.
    """
    if reference is not None and unused is not None:
        raise InputError("unused: expected none beside a reference, got both; give all of them as one")
    first, second = ("real", "reference") if unused is None else ("used", "unused")
    known = reference if unused is None else unused
    given = {first: real, "fake": fake} | ({} if known is None else {second: known})
    arguments = {name: "real" if name == first else name for name in given}
    workers = concurrency.resolve(threads)
    plans = {
        name: loading.listing(
            source,
            size=size,
            window=window,
            grey=grey,
            on_error=on_error,
            recursive=recursive,
            argument=arguments[name],
        ).plan(BLOCK)
        for name, source in given.items()
    }
    totals = [plan.total for plan in plans.values()]
    total = None if None in totals else sum(one or 0 for one in totals)
    with bar(progress, unit="image", total=total, phase="checking") as advance:
        seen = {
            name: Census.of(plan, given[name], threads=workers, advance=advance, argument=arguments[name])
            for name, plan in plans.items()
        }
    sides = Sides(seen[first], seen["fake"], seen.get(second), groups, called=(first, second))
    rows = findings.findings(sides, threads=workers)
    return Check(
        names=tuple(one.name for one in rows),
        severities=tuple(one.severity for one in rows),
        found=tuple(one.found for one in rows),
        remedies=tuple(one.remedy for one in rows),
        n_real=len(seen[first]),
        n_fake=len(seen["fake"]),
        n_reference=len(seen[second]) if second in seen else 0,
        failed={name: tuple(one.failed) for name, one in seen.items()},
    )
