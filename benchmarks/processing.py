"""Do images that were processed like the synthetic ones pass for used, and does telling ways of processing help?

    python benchmarks/processing.py SET_DIR [SET_DIR …] [--parts 200] [--page benchmarks/processing.md]

Nothing leaks in the first table: thorax phantoms, and the unused images of sets as `labelled.py` reads them. Some of
the real images, and all synthetic ones, are processed in one way. Its cells are the AUC of these images against the
others: as if all were scored together, then as the default scores them. The second table has random parts of each set,
of 40 to 200 images of whole patients, unprocessed, with their truth: in how many the default tells ways of processing,
and there the AUC of used against unused images, both ways.
"""

from __future__ import annotations

import argparse
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from copies import auc
from labelled import read
from PIL import Image, ImageFilter
from table import publish

from fingerprint import phantoms
from fingerprint._answers.one_pass import ReadingOptions, RealSide, Scored
from fingerprint._images.slices import Slices
from fingerprint._statistics import methods

if TYPE_CHECKING:
    from collections.abc import Callable

SHARES = (0.5, 0.2)
FAKE = 300  # synthetic images in the first table
IMAGES = 40, 200  # real images in a part of the second one, at least; of whole patients


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((width // factor, height // factor)).resize((width, height)))


def filtered(image: np.ndarray, by: ImageFilter.Filter) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(by))


def compressed(image: np.ndarray) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=20)
    return np.asarray(Image.open(held))


WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "half the size, enlarged": partial(enlarged, factor=2),
    "a quarter of it, enlarged": partial(enlarged, factor=4),
    "blurred, 1 pixel": partial(filtered, by=ImageFilter.GaussianBlur(1)),
    "median of 3 x 3": partial(filtered, by=ImageFilter.MedianFilter(3)),
    "JPEG, quality 20": compressed,
}


def scores(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, Scored]:
    """Return the scores of images that are all scored together, and as the default scores them."""
    default = methods.METHODS["default"]
    named = Slices(np.ascontiguousarray(real), tuple(map(str, range(len(real)))))
    seen = RealSide.of(named, ReadingOptions(), method="default").compare(fake, k=default.k)
    return methods.score(seen.kinds(default))[0], seen.scored(default)


def without_leak(sets: list[Path]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return real and synthetic images of which the former were not used."""
    found = {}
    for size in (64, 128):
        real = phantoms.thorax(100, seed=31, size=size)
        found[f"phantoms, {size}x{size}"] = real, phantoms.generate(real[:50], FAKE, seed=31, leak=0)[0]
    for folder in sets:
        known = read(folder)
        found[folder.name] = known.real.pixels[~known.used], known.fake.pixels[:FAKE]
    return found


def processed(sets: list[Path]) -> list[str]:
    """Return the first table."""
    lines = ["| images | processed | share | scored together | as the default scores |", "|---|---|---|---|---|"]
    for name, (real, fake) in without_leak(sets).items():
        for way, process in WAYS.items():
            made = np.stack([process(image) for image in fake])
            for share in SHARES:
                like = np.random.default_rng(0).permutation(len(real)) < share * len(real)
                some = real.copy()
                some[like] = [process(image) for image in real[like]]
                together, scored = scores(some, made)
                told = f"{auc(scored.scores, like):.3f}" + ("" if scored.alike is None else ", told apart")
                lines.append(f"| {name} | {way} | {100 * share:.0f} % | {auc(together, like):.3f} | {told} |")
                print(lines[-1], flush=True)
    return lines


def unprocessed(sets: list[Path], parts: int) -> list[str]:
    """Return the second table."""
    lines = ["| set | parts | told apart in | there: scored together | there: as the default scores |"]
    lines.append("|---|---|---|---|---|")
    for folder in sets:
        known, rng = read(folder), np.random.default_rng(0)
        people, of, counts = np.unique(known.patients, return_inverse=True, return_counts=True)
        cells = []
        for _ in range(parts):
            order = rng.permutation(len(people))
            enough = 1 + int(np.searchsorted(counts[order].cumsum(), rng.integers(*IMAGES)))
            part = np.isin(of, order[:enough])
            used = known.used[part]
            together, scored = scores(known.real.pixels[part], known.fake)
            if scored.alike is not None and 0 < used.sum() < len(used):
                cells.append((auc(together, used), auc(scored.scores, used)))
        means = [", ".join(f"{value:.3f}" for value in column) for column in zip(*cells, strict=True)] or ["", ""]
        lines.append(f"| {folder.name} | {parts} | {len(cells)} | {means[0]} | {means[1]} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print both tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    publish(options.page, "processed", "\n".join(processed(options.sets)))
    publish(options.page, "unprocessed", "\n".join(unprocessed(options.sets, options.parts)))


if __name__ == "__main__":
    main()
