"""Demo data: thorax phantoms drawn by our own code, and a generator that leaks some of those that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base import output
from fingerprint._base.checks import InputError, describe, integer, number
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import Result, Table
from fingerprint._images.loading import Slices
from fingerprint.phantoms._anatomy import OUTSIDE, Pen, draw, oval, random, smooth

if TYPE_CHECKING:
    from os import PathLike

    from fingerprint._base.types import Array

CHANGES = ("blended", "shifted", "smoothed", "noisy", "contrast")

_STEPS = {8: 1, 16: 257}  # of each depth in a grey level, so that 255 becomes 65535
_REAL, _NOVEL, _LEAK, _ORDER = range(1, 5)  # independent streams of random numbers under one seed


@public
@dataclass(frozen=True, eq=False, repr=False)
class Demo(Result):
    """Real and synthetic images with the truth about them.

    Parameters
    ----------
    real : Slices
        n_real images, used and unused ones in random order; their names say nothing about it.
    fake : Slices
        n_fake images of a generator that was given the used ones alone.
    used : ndarray
        (n_real,) bool, True where the generator was given the image.
    groups : tuple of str
        The patient of each real image. No patient has both used and unused images.
    source : ndarray
        (n_fake,) int64, the index of the real image that a synthetic one leaks, or -1 where it is novel.
    change : tuple of str
        What happened to each leaked image on the way, one of `CHANGES`, or ``"novel"``.
    """

    real: Slices
    fake: Slices
    used: Array
    groups: tuple[str, ...]
    source: Array
    change: tuple[str, ...]

    def __str__(self) -> str:
        """Return the numbers in one line."""
        leaked = int((self.source >= 0).sum())
        return (
            f"{len(self.real)} real images, {int(self.used.sum())} of them used, and {len(self.fake)} synthetic ones, "
            f"{leaked} of which show a used one"
        )

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        return ["name", "used", "patient"], zip(self.real.names, self.used.tolist(), self.groups, strict=True)

    def leaks(self) -> Table:
        """Return columns and rows: name, source and change of the synthetic images."""
        sources = (None if i < 0 else self.real.names[i] for i in self.source)
        return ["name", "source", "change"], zip(self.fake.names, sources, self.change, strict=True)

    def _content(self) -> dict[str, object]:
        tables = {"real": self.table(), "fake": self.leaks()}
        return {
            side: [dict(zip(columns, row, strict=True)) for row in rows] for side, (columns, rows) in tables.items()
        }


@public
def thorax(n: int, *, seed: int = 0, size: int = 256, slices_per_patient: int = 1, bits: int = 8) -> Array:
    """Draw axial thorax slices at heart level, in a lung window.

    Image i depends on `seed` and i, not on `n`. Neighbouring slices of a patient follow each other: image i shows
    patient ``i // slices_per_patient``.

    Parameters
    ----------
    n : int
        Number of images, at least 0.
    seed : int
        Another seed draws other patients.
    size : int
        Height and width in pixels, 32 to 2048.
    slices_per_patient : int
        1 to 16 slices, some millimetres apart.
    bits : {8, 16}
        Depth; 16 bits hold 257 times the grey levels of 8 bits, more finely.

    Returns
    -------
    ndarray
        (n, size, size) uint8 or uint16.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> from fingerprint.phantoms import thorax
    >>> thorax(3, size=64).shape
    (3, 64, 64)
    """
    n, seed = integer("n", n, minimum=0), integer("seed", seed, minimum=0)
    size = integer("size", size, minimum=32, maximum=2048)
    slices = integer("slices_per_patient", slices_per_patient, minimum=1, maximum=16)
    if integer("bits", bits, minimum=8, maximum=16) not in _STEPS:
        raise InputError(f"bits: expected 8 or 16, got {bits}")
    pixels = np.empty((n, size, size), f"uint{bits}")
    for i in range(n):
        pixels[i] = _quantise(draw(_REAL, seed, *divmod(i, slices), size), bits)
    return pixels


@public
def generate(used: Array, n: int, *, seed: int = 0, leak: float = 0.1) -> tuple[Array, Array, tuple[str, ...]]:
    """Stand in for a generative model that has memorised some of the used images.

    Every image is one more thorax of its own, a little smoother than real ones. With probability `leak` a large part
    of it comes from a used image: only blended in, or also shifted, smoothed, noisy, or with less contrast.
    Image i depends on `used`, `seed` and i, not on `n`; a novel image does not depend on `used`.

    Parameters
    ----------
    used : ndarray
        (n_used, size, size) uint8 or uint16, as `thorax` draws them.
    n : int
        Number of images to generate, at least 0.
    seed : int
        Another seed gives other images.
    leak : float
        Expected share of images that leak, 0 to 1.

    Returns
    -------
    pixels : ndarray
        (n, size, size), dtype of `used`.
    source : ndarray
        (n,) int64, index into `used` of what was leaked, or -1 where the image is novel.
    change : tuple of str
        One of `CHANGES` for each image, or ``"novel"``.

    Raises
    ------
    InputError
        If `used` is no such array, or a number is out of its range.

    Examples
    --------
    >>> from fingerprint.phantoms import generate, thorax
    >>> pixels, source, change = generate(thorax(4, size=64), 6, leak=0.5)
    >>> source[:3].tolist(), change[:3]
    ([0, -1, -1], ('shifted', 'novel', 'novel'))
    """
    n, seed = integer("n", n, minimum=0), integer("seed", seed, minimum=0)
    leak = number("leak", leak, minimum=0, maximum=1)
    _check_used(used)
    size, bits = used.shape[1], 8 * used.dtype.itemsize
    pixels, source, change = np.empty((n, size, size), used.dtype), np.full(n, -1, np.int64), ["novel"] * n
    for i in range(n):
        rng = random(_LEAK, seed, i)
        image = draw(_NOVEL, seed, i, 0, size, noise=0.4)
        if rng.uniform() < leak:
            source[i], change[i] = rng.integers(len(used)), CHANGES[rng.integers(len(CHANGES))]
            kept = used[source[i]] / np.float32(_STEPS[bits])
            _leak(rng, kept, image, change[i])
        pixels[i] = _quantise(smooth(image, rng.uniform(1, 3) * (size / 256) ** 2), bits)
    return pixels, source, tuple(change)


@public
@recorded
def demo(
    *,
    n_used: int = 50,
    n_unused: int = 50,
    n_fake: int = 1000,
    leak: float = 0.1,
    seed: int = 0,
    size: int = 256,
    slices_per_patient: int = 1,
) -> Demo:
    """Draw real images, give some of them to a generator that leaks, and keep the truth.

    Parameters
    ----------
    n_used, n_unused : int
        Real images that the generator is given, at least 1, and not given.
    n_fake : int
        Synthetic images.
    leak : float
        Expected share of synthetic images that leak a used one, 0 to 1. At 0 nothing tells used from unused.
    seed : int
        Another seed draws everything anew.
    size : int
        Height and width in pixels, 32 to 2048.
    slices_per_patient : int
        1 to 16 neighbouring slices of each patient, all used or all unused.

    Returns
    -------
    Demo
        Images and truth.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> from fingerprint.phantoms import demo
    >>> d = demo(n_used=2, n_unused=3, n_fake=4, size=32)
    >>> len(d.real), int(d.used.sum()), d.fake.names[0]
    (5, 2, 'fake_0001.png')
    """
    n_used, n_unused = integer("n_used", n_used, minimum=1), integer("n_unused", n_unused, minimum=0)
    n_fake = integer("n_fake", n_fake, minimum=0)
    slices = integer("slices_per_patient", slices_per_patient, minimum=1, maximum=16)
    seen = -(-n_used // slices)  # patients that the generator is given
    pixels = thorax(seen * slices + n_unused, seed=seed, size=size, slices_per_patient=slices)
    order = random(_ORDER, seed).permutation(np.r_[:n_used, seen * slices : len(pixels)])
    labels = random(_ORDER, seed, 1).permutation(-(-len(pixels) // slices)) + 1  # numbers tell nothing
    used = order < n_used
    fake, source, change = generate(pixels[:n_used], n_fake, seed=seed, leak=leak)
    place = np.append(np.argsort(order)[:n_used], -1)  # where each used image stands among the reals; -1 stays -1
    return Demo(
        real=Slices(pixels[order], tuple(f"real_{i + 1:03d}.png" for i in range(len(order)))),
        fake=Slices(fake, tuple(f"fake_{i + 1:04d}.png" for i in range(n_fake))),
        used=used,
        groups=tuple(f"patient_{labels[i // slices]:03d}" for i in order),
        source=place[source],
        change=change,
    )


@public
def write_demo(folder: str | PathLike[str], **options: Any) -> Demo:
    """Write demo data as PNG files, with the truth beside them.

    ``real/`` and ``fake/`` hold the images, ``truth.csv`` the columns name, used (0 or 1) and patient of the real
    ones, ``leaks.csv`` name, source and change of the synthetic ones, ``groups.json`` the patient of each real one.

    Parameters
    ----------
    folder : path
        New, or empty.
    **options
        As `demo` takes them.

    Returns
    -------
    Demo
        What was written.

    Raises
    ------
    InputError
        If the folder is not empty or no folder, or an option is out of its range.

    Examples
    --------
    >>> import tempfile
    >>> from fingerprint.phantoms import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_demo(folder, n_used=1, n_unused=1, n_fake=2, size=32)
    >>> written.real.names
    ('real_001.png', 'real_002.png')
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"folder: expected a new or empty folder, got {folder}, which exists; name another one")
    data = demo(**options)
    _write_images(folder / "real", data.real)
    _write_images(folder / "fake", data.fake)
    data.to_csv(folder / "truth.csv")
    output.write_csv(*data.leaks(), folder / "leaks.csv")
    output.write_json(dict(zip(data.real.names, data.groups, strict=True)), folder / "groups.json")
    return data


def _write_images(folder: Path, images: Slices) -> None:
    from PIL import Image

    folder.mkdir(parents=True)
    for pixels, name in zip(images.pixels, images.names, strict=True):
        Image.fromarray(pixels).save(
            folder / name, compress_level=1, compress_type=3
        )  # run lengths: the fastest, and small


def _check_used(used: object) -> None:
    if (
        not isinstance(used, np.ndarray)
        or used.ndim != 3
        or used.dtype not in (np.uint8, np.uint16)
        or not (len(used) and used.shape[1] == used.shape[2] and 32 <= used.shape[1] <= 2048)
    ):
        raise InputError(
            "used: expected an (n, size, size) array of uint8 or uint16 with n of at least 1 and size from 32 to "
            f"2048, got {describe(used)}"
        )


def _leak(rng: np.random.Generator, kept: Array, image: Array, change: str) -> None:
    """Blend a large, soft-edged part of a used image, changed in one way, into an image."""
    size = len(kept)
    kept = smooth(kept, 2 * (size / 256) ** 2)  # models lose the finest grain
    if change == "shifted":
        move = np.maximum(1, np.round(rng.uniform(1, 3, 2) * size / 256)) * rng.choice([-1, 1], 2)
        kept = np.roll(kept, move.astype(int), (0, 1))
    elif change == "smoothed":
        kept = smooth(kept, rng.uniform(4, 10) * (size / 256) ** 2)
    elif change == "noisy":
        kept = kept + np.float32(rng.uniform(8, 20)) * rng.standard_normal(kept.shape, np.float32)
    elif change == "contrast":
        kept = OUTSIDE + (kept - OUTSIDE) * np.float32(rng.uniform(0.75, 0.92)) + np.float32(rng.uniform(0, 12))
    reach = rng.uniform(0.65, 1.05) - 0.15 * (change == "blended")
    x, y = rng.normal(0, 0.1, 2)
    pen = Pen(image)
    box, part = pen.cover((x, y - 0.07), oval(1.25 * reach, 0.85 * reach), soft=size / 16)
    pen.blend(box, part, kept[box])


def _quantise(image: Array, bits: int) -> Array:
    return np.round(np.clip(image, 0, 255) * np.float32(_STEPS[bits])).astype(f"uint{bits}")
