"""Patients: of whom each real image is, as the caller says it or the files do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError

if TYPE_CHECKING:
    from fingerprint._images.loading import Slices

PATIENT_ID = "PatientID"  # as groups: the patient that each file names
Groups = Mapping[str, object] | Callable[[str], object] | Sequence[object] | Literal["PatientID"]

_UNKNOWN = {"", "none", "nan", "nat", "<na>"}  # what stands in tables for a patient who is not known


def patients_of(groups: Groups | None, slices: Slices) -> list[str] | None:
    """Return the group of every image as text; if none are given, what the files say, where that parts the images."""
    if groups is None:
        return list(slices.groups) if slices.groups and len(set(slices.groups)) > 1 else None
    if isinstance(groups, str) and groups == PATIENT_ID:
        if slices.groups is None:
            raise InputError(
                "groups: expected files that all name their patient (DICOM with PatientID, NIfTI), those of reference "
                "and population too, got others among them; give the patient of each by groups= instead"
            )
        return list(slices.groups)
    found = [str(group) for group in _given(groups, slices)]
    unknown = [i for i, group in enumerate(found) if group.strip().lower() in _UNKNOWN]
    if unknown:
        raise InputError(
            f"groups: expected the patient of every real image, got {found[unknown[0]]!r} for "
            f"{slices.names[unknown[0]]!r} ({len(unknown)} unknown); name them, give each a name of its own, or leave "
            "these images out"
        )
    return found


def _given(groups: Groups, slices: Slices) -> Sequence[object]:
    """Return the group of every image."""
    if isinstance(groups, Mapping):
        missing = [name for name in slices.names if name not in groups and PurePosixPath(name).name not in groups]
        if missing:
            raise InputError(
                f"groups: expected an entry for every real image, those of reference and population too, found "
                f"none for {missing[0]!r} ({len(missing)} missing); add them, keyed by the name or the file name"
            )
        return [groups[name] if name in groups else groups[PurePosixPath(name).name] for name in slices.names]
    if callable(groups):
        return [groups(name) for name in slices.names]
    if isinstance(groups, str) or not isinstance(groups, Sequence | np.ndarray):
        raise InputError(
            f"groups: expected a mapping, a function, a sequence or 'PatientID', got {checks.describe(groups)}"
        )
    if len(groups) != len(slices) + len(slices.failed):
        raise InputError(
            f"groups: expected one entry for each real image, then reference and population, {len(slices)} in all, "
            f"got {len(groups)}"
        )
    if slices.failed:
        raise InputError(
            f"groups: a sequence cannot be matched to the images, because {len(slices.failed)} files failed (first: "
            f"{slices.failed[0].name}: {slices.failed[0].reason}); pass a mapping from name to group"
        )
    return groups
