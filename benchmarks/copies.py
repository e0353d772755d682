# ruff: noqa: ARG001  (every change takes the same arguments)
"""Planted copies: which statistic finds a real slice that was changed in one way and hidden among synthetic ones?

    python benchmarks/copies.py                     # thorax phantoms
    python benchmarks/copies.py data/ldm data/gan   # folders with used/, not_used/, generated/ and groups.json

Of 120 real slices that no generator has seen, 60 are changed and hidden among 500 images: half of them synthetic, half
slices of other patients changed in the same way, so that the change itself gives nothing away. Copied are all slices of
half the patients, or any half of the slices: then neighbours of a copied slice count as not copied. The table holds the
AUC, the mean over several draws.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accuracy import LABELS, OURS
from PIL import Image
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

import fingerprint
from fingerprint import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

REAL, HIDDEN, OTHERS = 120, 60, 500
SAME = 0.93  # correlation of reduced slices above which they are taken to show one patient, whatever the groups say
BODY = 40  # grey level above which a pixel belongs to the patient or the table


def clip(values: np.ndarray) -> np.ndarray:
    """Round to 8-bit pixels."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def scale(image: np.ndarray, pixels: float) -> float:
    """Return a length given in pixels of a slice of 256 x 256 in pixels of this one."""
    return pixels * min(image.shape) / 256


def noise(image, host, rng):
    """Gaussian noise of 10 grey levels."""
    return clip(image + rng.normal(0, 10, image.shape))


def blur(image, host, rng):
    """Gaussian blur of 1 to 2 pixels."""
    return clip(ndimage.gaussian_filter(image.astype(float), scale(image, rng.uniform(1, 2))))


def jpeg(image, host, rng):
    """JPEG of quality 15 to 40."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(15, 41)))
    return np.asarray(Image.open(file))


def gamma(image, host, rng):
    """Gamma of 0.6 to 0.8 or the inverse."""
    return clip(255 * (image / 255) ** np.exp(rng.choice([-1, 1]) * rng.uniform(0.22, 0.5)))


def window(image, host, rng):
    """Grey levels from 0 to 50 up to 190 to 255 stretched to the full range."""
    low, high = rng.uniform(0, 50), rng.uniform(190, 255)
    return clip((image - low) * 255 / (high - low))


def shift(image, host, rng):
    """Moved by 3 to 8 pixels, in either direction."""
    reach = round(scale(image, 8))
    steps = rng.integers(-reach, reach + 1, 2)
    while abs(steps).max() < scale(image, 3):
        steps = rng.integers(-reach, reach + 1, 2)
    return ndimage.shift(image, steps, order=0, mode="nearest")


def affine(image, angle, zoom):
    """Turn and zoom about the middle."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array([[c, -s], [s, c]]) / zoom
    middle = (np.array(image.shape) - 1) / 2
    return clip(
        ndimage.affine_transform(image.astype(float), matrix, middle - matrix @ middle, order=1, mode="nearest")
    )


def rotation(image, host, rng):
    """Turned by 2 to 4 degrees."""
    return affine(image, np.deg2rad(rng.choice([-1, 1]) * rng.uniform(2, 4)), 1)


def zoom(image, host, rng):
    """Zoomed in or out by 5 to 10 %."""
    return affine(image, 0, 1 + rng.choice([-1, 1]) * rng.uniform(0.05, 0.1))


def mirror(image, host, rng):
    """Turned left to right."""
    return image[:, ::-1].copy()


def paste(image, host, rng):
    """A rectangle of 1/8 to 1/3 of the slice, inside the body's bounding box, in another patient's slice."""
    rows, columns = (np.flatnonzero((image > BODY).mean(axis=axis) > 0.05) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    area = rng.uniform(1 / 8, 1 / 3) * image.size
    height = int(min(np.sqrt(area) * np.exp(rng.uniform(-0.2, 0.2)), bottom - top))
    width = int(min(area / height, right - left))
    y, x = rng.integers(top, bottom - height + 1), rng.integers(left, right - width + 1)
    here = np.s_[y : y + height, x : x + width]
    out = host.copy()
    out[here] = image[here]
    return out


def blend(image, host, rng):
    """Mixed with 40 % of another patient's slice."""
    return clip(0.6 * image + 0.4 * host)


def warp(image, host, rng):
    """Warped smoothly by up to 4 pixels."""
    field = np.stack([ndimage.gaussian_filter(rng.normal(size=image.shape), scale(image, 20)) for _ in range(2)])
    field *= scale(image, 4) / np.sqrt((field**2).sum(axis=0)).max()
    grid = np.mgrid[: image.shape[0], : image.shape[1]]
    return clip(ndimage.map_coordinates(image.astype(float), grid + field, order=1, mode="nearest"))


def rescaling(image, host, rng):
    """Scaled down to 30 to 60 % and up again."""
    small = [round(side * rng.uniform(0.3, 0.6)) for side in image.shape[::-1]]
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BICUBIC)
    return np.asarray(shrunk.resize(image.shape[::-1], Image.Resampling.BICUBIC))


CHANGES = (noise, blur, jpeg, gamma, window, shift, rotation, zoom, mirror, paste, blend, warp, rescaling)


@dataclass(frozen=True)
class Source:
    """Real slices that no generator has seen, slices of other patients, and synthetic images."""

    name: str
    real: np.ndarray
    groups: np.ndarray
    hosts: np.ndarray
    synthetic: np.ndarray


def read(files: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file)) for file in files])


def reduced(images: np.ndarray) -> np.ndarray:
    """Return images of 64 x 64 less their mean, as unit vectors."""
    n, height, width = images.shape
    small = images.reshape(n, 64, height // 64, 64, width // 64).mean(axis=(2, 4)).reshape(n, -1)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.linalg.norm(small, axis=1, keepdims=True)


def from_folder(folder: Path, seed: int) -> Source:
    """Draw slices from a folder as `accuracy.py` reads it.

    Pseudo-patients are now and then wrong, and a host that shows a patient of the real slices would be a copy that
    nobody planted. So slices that look the same are put in one group, and such hosts and synthetic images left out; and
    so are real slices that look the same as one that the generator was trained on.
    """
    rng = np.random.default_rng(seed)
    patients = json.loads((folder / "groups.json").read_text())
    files = sorted((folder / "not_used").iterdir())
    seen = reduced(read(sorted((folder / "used").iterdir())))
    files = [file for file, vector in zip(files, reduced(read(files)), strict=True) if (seen @ vector).max() < SAME]
    files = [files[i] for i in np.sort(rng.choice(len(files), REAL, replace=False))]
    real = read(files)
    names = np.array([patients[file.name] for file in files])
    vectors = reduced(real)
    together = (names[:, None] == names) | (vectors @ vectors.T > SAME)
    groups = connected_components(together)[1]

    def draw(part: str) -> np.ndarray:
        files = sorted((folder / part).iterdir())
        images = read([files[i] for i in rng.permutation(len(files))[:OTHERS]])
        return images[(reduced(images) @ vectors.T).max(axis=1) < SAME][: OTHERS // 2]

    return Source(folder.name, real, groups, draw("used"), draw("generated"))


def from_phantoms(seed: int) -> Source:
    """Draw phantoms: four slices each of 30 patients, slices of others, and what a generator without a leak makes."""
    draw = fingerprint.phantoms.thorax
    real, hosts = draw(REAL, seed=2 * seed, slices_per_patient=4), draw(OTHERS // 2, seed=2 * seed + 1)
    synthetic = fingerprint.phantoms.generate(hosts, OTHERS // 2, seed=seed, leak=0)[0]
    return Source("phantoms", real, np.arange(REAL) // 4, hosts, synthetic)


def choose(source: Source, by: str, seed: int) -> np.ndarray:
    """Choose about 60 of the real slices to copy: any, or all slices of some patients."""
    rng = np.random.default_rng(seed)
    hidden = np.zeros(len(source.real), bool)
    if by == "slice":
        hidden[rng.choice(len(hidden), HIDDEN, replace=False)] = True
    for patient in rng.permutation(np.unique(source.groups)):
        if hidden.sum() < HIDDEN:
            hidden |= source.groups == patient
    return hidden


def plant(source: Source, change: Callable[..., np.ndarray], hidden: np.ndarray, seed: int) -> np.ndarray:
    """Return the synthetic images with changed copies of the hidden slices among them."""
    rng = np.random.default_rng([seed, CHANGES.index(change)])

    def changed(image: np.ndarray) -> np.ndarray:
        return change(image, source.hosts[rng.integers(len(source.hosts))], rng)

    copies = [changed(image) for image in (*source.hosts, *source.real[hidden])]
    fake = np.concatenate([source.synthetic, copies])
    return fake[rng.permutation(len(fake))]


def auc(scores: np.ndarray, hidden: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    count = hidden.sum()
    return (rankdata(scores)[hidden].sum() - count * (count + 1) / 2) / (count * (~hidden).sum())


def by_rank(method: str, real: np.ndarray, fake: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the scores of a method of `rank`, in the order of the real images."""
    names = tuple(f"real_{i}" for i in range(len(real)))
    ranking = fingerprint.rank(
        fingerprint.Slices(real, names), fake, groups=None if groups is None else groups.tolist(), method=method
    )
    scores = dict(zip(ranking.names, ranking.scores, strict=True))
    return np.array([scores[name] for name in names])


def table(draws: list[list[Source]], methods: list[str], *, changes: list[str]) -> list[str]:
    """Return the lines of the table, and print them as they come; of every set several draws."""
    chosen = [change for change in CHANGES if change.__name__ in changes]
    lines = [
        "| set | copied | groups | statistic | " + " | ".join(change.__name__ for change in chosen) + " |",
        "|---|---|---|---|" + "---|" * len(chosen),
    ]
    print(*lines, sep="\n", flush=True)
    for sources, by in itertools.product(draws, ("patient", "slice")):
        hidden = [choose(source, by, seed) for seed, source in enumerate(sources)]
        planted = [
            [plant(source, change, copied, seed) for change in chosen]
            for seed, (source, copied) in enumerate(zip(sources, hidden, strict=True))
        ]
        for known, method in itertools.product((False, True), methods):
            if known and method not in OURS:  # most others do without patients
                continue
            found = [
                [auc(by_rank(method, source.real, fake, source.groups if known else None), copied) for fake in fakes]
                for source, fakes, copied in zip(sources, planted, hidden, strict=True)
            ]
            cells = " | ".join(f"{value:.3f}" for value in np.mean(found, axis=0))
            told = "known" if known else "unknown"
            lines.append(f"| {sources[0].name} | by {by} | {told} | {LABELS[method]} | {cells} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--changes", nargs="+", default=[change.__name__ for change in CHANGES])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    seeds = range(options.draws)
    draws = [[from_folder(folder, seed) for seed in seeds] for folder in options.sets]
    lines = table(draws or [[from_phantoms(seed) for seed in seeds]], options.methods, changes=options.changes)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
