"""Sets of real images whose truth is known, and random draws from them that keep patients whole.

A set is a folder with the folders `used`, `not_used` and `generated`, and optionally `groups.json` (file name to
patient). The truth is used for measuring only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import fingerprint
from fingerprint._images.loading import Slices, concatenate

if TYPE_CHECKING:
    from pathlib import Path


class Labelled(NamedTuple):
    """Real images, which of them were used and the patient of each, and synthetic images."""

    name: str
    real: Slices
    used: np.ndarray
    patients: np.ndarray
    fake: Slices


def groups(folder: Path) -> dict[str, str] | None:
    """Return the patient of every file name, where the set has them."""
    file = folder / "groups.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def read(folder: Path, size: int | None = None) -> Labelled:
    """Read a set into memory; without patients every image is one of its own."""
    used, unused, fake = (fingerprint.load(folder / name, size=size) for name in ("used", "not_used", "generated"))
    real, known = concatenate(used, unused), groups(folder)
    patients = np.array([name if known is None else known[name] for name in real.names])
    return Labelled(folder.name, real, np.arange(len(real)) < len(used), patients, fake)


def take(images: Slices, chosen: np.ndarray) -> Slices:
    """Return some images."""
    return Slices(images.pixels[chosen], tuple(images.names[i] for i in chosen))


def by_patient(labelled: Labelled, label: bool, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the used or the unused images of each patient, the patients in random order."""
    among = labelled.used == label
    order = rng.permutation(np.unique(labelled.patients[among]))
    return [np.flatnonzero(among & (labelled.patients == one)) for one in order]
