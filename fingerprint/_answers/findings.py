"""Findings: the rules of `check`, each of which looks at a census of the collections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._answers.patients import patients_of
from fingerprint._answers.trial import processed
from fingerprint._base.checks import InputError
from fingerprint._base.public import public
from fingerprint._evidence.reals import least_contrast
from fingerprint._images.slices import concatenate

if TYPE_CHECKING:
    from fingerprint._answers.census import Census
    from fingerprint._answers.patients import Groups

_ORDER = ("error", "warning", "note")
_FEW_REAL, _FEW_PATIENTS, _FEW_FAKE = 20, 20, 500
_SHOWN = 6  # sizes and depths in a sentence
_LEVEL = 0.05  # a p-value that a reference should be able to give


@public
class Finding(NamedTuple):
    """Something that `check` found.

    Parameters
    ----------
    severity : str
        ``"error"``, ``"warning"`` or ``"note"``, see `Check`.
    name : str
        What it is about, such as ``"duplicates_real"``.
    found : str
        What was found, a sentence.
    remedy : str
        What to do, a sentence; empty where there is nothing to do.
    """

    severity: str
    name: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Sides:
    """The collections that are checked.

    Parameters
    ----------
    real, fake : Census
        Of the real and the synthetic images.
    reference : Census or None
        Of real images known to be unused.
    groups
        As they were given.
    called : (str, str)
        What the real images and the reference are called.
    """

    real: Census
    fake: Census
    reference: Census | None
    groups: Groups | None
    called: tuple[str, str]

    @cached_property
    def all(self) -> dict[str, Census]:
        """Return the collections by the names of their arguments."""
        held = {self.called[0]: self.real, "fake": self.fake}
        return held if self.reference is None else held | {self.called[1]: self.reference}

    @cached_property
    def reals(self) -> dict[str, Census]:
        """Return the collections of real images."""
        return {name: one for name, one in self.all.items() if name != "fake"}

    @cached_property
    def least(self) -> float:
        """Return the standard deviation of pixels at or below which an image is flat."""
        held = self.reals.values()
        deep = any(kind.dtype != "uint8" for one in held for kind in one.formats)
        level = (max(one.highest for one in held) - min(one.lowest for one in held)) / 255 if deep else 1.0
        return least_contrast(np.array([contrast for one in held for contrast in one.contrasts]), level)

    @cached_property
    def patients(self) -> list[str] | InputError | None:
        """Return the patient of every real image, then of the reference; or what is wrong with them."""
        known = [one.patients_only for one in self.reals.values()]
        try:
            return patients_of(self.groups, known[0] if len(known) == 1 else concatenate(*known))
        except InputError as error:
            return error


def findings(sides: Sides, *, threads: int) -> list[Finding]:
    """Return all that is found, errors first."""
    rules = (_counts, _unreadable, _formats, _copies, _repeated, _overlap, _patients, _flat, _few)
    rows = [row for rule in rules for row in rule(sides)]
    patients = sides.patients if isinstance(sides.patients, list) else None
    rows += (Finding("warning", *row) for row in processed(sides.all, patients, sides.least, threads=threads))
    return sorted(rows, key=lambda row: _ORDER.index(row.severity))


def _counts(sides: Sides) -> Iterator[Finding]:
    parts = [
        f"{len(one)} in {name}" + f" (and {one.ignored} other files)" * bool(one.ignored)
        for name, one in sides.all.items()
    ]
    formats = sum((one.formats for one in sides.all.values()), Counter())
    every = f"; all {next(iter(formats))}" if len(formats) == 1 else ""
    yield Finding("note", "counts", f"Images: {', '.join(parts)}{every}.", "")


def _unreadable(sides: Sides) -> Iterator[Finding]:
    for name, one in sides.all.items():
        if one.failed:
            first = f"first: {one.failed[0].name}: {one.failed[0].reason}"
            found = f"Files of {name} that cannot be used: {len(one.failed)} ({first})."
            yield Finding("warning", f"unreadable_{name}", found, "Mend them, or know that they are left out.")


def _formats(sides: Sides) -> Iterator[Finding]:
    seen = [(name, one, count) for name, census in sides.all.items() for one, count in census.formats.items()]
    shown = ", ".join(f"{count} of {one} in {name} (first: {one.origin})" for name, one, count in seen[:_SHOWN])
    shown += f", and {len(seen) - _SHOWN} more" * (len(seen) > _SHOWN)
    if len({(one.height, one.width) for _, one, _ in seen}) > 1:
        most = max(seen, key=lambda each: each[2])[1]
        remedy = f"Pass size=({most.height}, {most.width}) to resample all."
        yield Finding("error", "sizes", f"Images of different sizes: {shown}.", remedy)
    if len({one.dtype for _, one, _ in seen}) > 1:
        remedy = "Save all with one depth, or load the deeper ones by load(…, window=(centre, width))."
        yield Finding("error", "depths", f"Images of different depths: {shown}.", remedy)


def _copies(sides: Sides) -> Iterator[Finding]:
    """Find synthetic images that are real ones, and collections that were confused."""
    if isinstance(sides.groups, Mapping):
        n_fake, n_real = (_named(one, sides.groups) for one in (sides.fake, sides.real))
        if n_fake and not n_real:
            place = f"in fake, none in {sides.called[0]}"
            found = f"Images whose patient groups names: {n_fake} of {len(sides.fake)} {place}."
            yield Finding("error", "swapped", found, "Give the real images first, then the synthetic ones.")
    for name, census in sides.reals.items():
        pairs = sides.fake.also_in(census, sides.least)
        if not pairs:
            continue
        i, j = pairs[0]
        names = f"first: {sides.fake.names[i]} is {census.names[j]}"
        number = f"{len(pairs)} of {len(sides.fake)}"
        found = f"Synthetic images that are identical to one of {name}: {number} ({names})."
        if 2 * len(pairs) >= len(sides.fake):
            remedy = f"Make sure that fake and {name} are not the same collection."
            yield Finding("error", f"same_{name}", found, remedy)
        elif census is sides.reference:
            remedy = "Take them out: they were used, or fake holds real images."
            yield Finding("error", f"copies_{name}", found, remedy)
        else:
            yield Finding("warning", f"copies_{name}", found, "That is a leak, unless fake holds real images.")


def _named(census: Census, groups: Mapping[str, object]) -> int:
    return sum(name in groups or PurePosixPath(name).name in groups for name in census.names)


def _repeated(sides: Sides) -> Iterator[Finding]:
    for name, one in sides.all.items():
        pairs = one.repeated(sides.least)
        if pairs:
            i, j = pairs[0]
            names = f"first: {one.names[i]} is {one.names[j]}"
            found = f"Images of {name} that repeat another one: {len(pairs)} of {len(one)} ({names})."
            yield Finding("warning", f"duplicates_{name}", found, "Leave one of each out: it counts twice.")


def _overlap(sides: Sides) -> Iterator[Finding]:
    if sides.reference is None:
        return
    pairs = sides.reference.also_in(sides.real, sides.least)
    if pairs:
        i, j = pairs[0]
        names = f"first: {sides.reference.names[i]} is {sides.real.names[j]}"
        first, second = sides.called
        found = f"Images of {second} that are also in {first}: {len(pairs)} of {len(sides.reference)} ({names})."
        yield Finding("error", "overlap", found, "Leave them out on one side.")


def _patients(sides: Sides) -> Iterator[Finding]:
    patients = sides.patients
    if isinstance(patients, InputError):
        text, _, remedy = str(patients).rpartition("; ")
        yield Finding("error", "groups", f"{text or remedy}.", f"{remedy[0].upper()}{remedy[1:]}." if text else "")
    elif patients is None:
        remedy = "Give groups=, or each image counts as a witness of its own."
        yield Finding("note", "patients", "It is not known which images are of one patient.", remedy)
    else:
        both = sorted(set(patients[: len(sides.real)]) & set(patients[len(sides.real) :]))
        if both:
            found = f"Patients in {' and in '.join(sides.called)}: {len(both)} (first: {both[0]})."
            yield Finding("error", "patients_on_both_sides", found, "Leave them out on one side.")
        first: dict[bytes, str] = {}
        digests = [digest for one in sides.reals.values() for digest in one.digests]
        contrasts = [contrast for one in sides.reals.values() for contrast in one.contrasts]
        several = sum(
            first.setdefault(digest, patient) != patient and contrast > sides.least
            for digest, patient, contrast in zip(digests, patients, contrasts, strict=True)
        )
        if several:
            found = f"Real images that stand under the name of another patient too: {several} of {len(patients)}."
            yield Finding("warning", "patients_with_one_image", found, "Check groups=.")


def _flat(sides: Sides) -> Iterator[Finding]:
    for name, one in sides.all.items():
        flat = [i for i, contrast in enumerate(one.contrasts) if contrast <= sides.least]
        if flat:
            number = f"{len(flat)} of {len(one)} (first: {one.names[flat[0]]})"
            found = f"Flat images of {name}, which show nothing: {number}."
            yield Finding("note", f"flat_{name}", found, "They are no evidence, and can be left out.")


def _few(sides: Sides) -> Iterator[Finding]:
    more = "Give more of this kind by population=, used or not."
    if len(sides.real) < _FEW_REAL:
        called = sides.called[0]
        found = f"{called.capitalize()} images: {len(sides.real)}, too few to see which stands out."
        yield Finding("warning", f"few_{called}", found, more)
    patients = sides.patients if isinstance(sides.patients, list) else None
    if patients is not None and len(set(patients)) == 1:
        remedy = f"There is none to compare with. {more}"
        yield Finding("warning", "one_patient", f"All real images are of one patient, {patients[0]}.", remedy)
    elif patients is not None and len(set(patients)) < _FEW_PATIENTS:
        found = f"Patients: {len(set(patients))}, too few for an answer by patient."
        yield Finding("warning", "few_patients", found, more)
    if len(sides.fake) < _FEW_FAKE:
        found = f"Synthetic images: {len(sides.fake)}, so that a leak must be strong to be seen."
        yield Finding("warning", "few_fake", found, "Give all that you have; 10,000 is a good number.")
    if sides.reference is not None:
        units, count = "Images", len(sides.reference)
        if patients is not None:
            units, count = "Patients", len(set(patients[len(sides.real) :]))
        least = 1 / (count + 1)
        if least > _LEVEL:
            called = sides.called[1]
            found = f"{units} of {called}: {count}, so that no p-value can be below {least:.2g}."
            remedy = f"Give at least {round(1 / _LEVEL) - 1} that were not used."
            yield Finding("warning", f"few_{called}", found, remedy)
