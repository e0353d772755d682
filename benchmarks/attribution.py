"""Which share of generated images is attributed to the set that their generator was trained on, not to another.

    python benchmarks/attribution.py SET_DIR [SET_DIR …] [--draws 10] [--page docs/audit.md]

A set is a folder as `labelled.py` reads it. First the used images of a set are one training set and as many unused ones
the other: all, and random draws of 100 + 100. Then the used images of all sets are one training set each, all images at
the size of the smallest; that many of them are in other sets, too, pixel for pixel. Beside `attribute` stands the set
of the nearest image; where it is in several sets, each is named in turn. Cells: the share of generated images that is
right, the mean over the draws.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
from labelled import Labelled, read, take
from table import publish

import fingerprint
from fingerprint._images.loading import Slices, concatenate

FEW = 100
NEAREST = ("euclidean", "correlation", "ssim")
RULES = ("**attribute**", *(f"nearest image, {metric}" for metric in NEAREST))
Sets: TypeAlias = dict[str, np.ndarray]


def distances(real: Slices, fake: Slices) -> list[np.ndarray]:
    """Return the distances of all images by each metric."""
    return [fingerprint.distances(real, fake, metric=metric) for metric in NEAREST]


def shares(real: Slices, fake: Slices, matrices: list[np.ndarray], sets: Sets, right: str) -> list[float]:
    """Return the share of synthetic images that every rule attributes to the right one of some sets."""
    answers = fingerprint.attribute({name: take(real, chosen) for name, chosen in sets.items()}, fake)
    found = [float(np.mean([answer.training_set == right for answer in answers]))]
    for matrix in matrices:
        nearest = np.array([matrix[chosen].min(axis=0) for chosen in sets.values()])
        named = nearest == nearest.min(axis=0)
        found.append(float((named[list(sets).index(right)] / named.sum(axis=0)).mean()))
    return found


def halves(labelled: Labelled, count: int, draws: int, matrices: list[np.ndarray]) -> np.ndarray:
    """Return the shares of used against unused images of one set."""
    found = []
    for number in range(draws):
        rng = np.random.default_rng(number)
        used, unused = (rng.permutation(np.flatnonzero(labelled.used == label))[:count] for label in (True, False))
        found.append(shares(labelled.real, labelled.fake, matrices, {"used": used, "unused": unused}, "used"))
    return np.mean(found, axis=0)


def shared(real: Slices, chosen: np.ndarray) -> float:
    """Return the share of the images of a set that other sets have as well, pixel for pixel."""
    contents = [image.tobytes() for image in real.pixels]
    others = set(np.delete(np.array(contents, object), chosen))
    return float(np.mean([contents[i] in others for i in chosen]))


def row(sets: str, name: str, found: np.ndarray | list[float]) -> str:
    """Return a row of the table, and print it as it comes."""
    line = f"| {sets} | {name} | {' | '.join(f'{share:.3f}' for share in found)} |"
    print(line, file=sys.stderr, flush=True)
    return line


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    lines = [f"| training sets | generated from | {' | '.join(RULES)} |", "|---" * (2 + len(RULES)) + "|"]
    size = sys.maxsize
    for folder in options.sets:
        labelled = read(folder)
        size = min(size, labelled.real.height)
        matrices = distances(labelled.real, labelled.fake)
        most = min(labelled.used.sum(), (~labelled.used).sum())
        for count, draws in ((most, 1), (FEW, options.draws)):
            sets = f"used and unused images, {count} + {count}"
            lines.append(row(sets, labelled.name, halves(labelled, count, draws, matrices)))
    every = [read(folder, size) for folder in options.sets]
    real = concatenate(*(take(one.real, np.flatnonzero(one.used)) for one in every))
    ends = np.cumsum([one.used.sum() for one in every])
    sets = dict(zip([one.name for one in every], np.split(np.arange(len(real)), ends[:-1]), strict=True))
    found = [shares(real, one.fake, distances(real, one.fake), sets, one.name) for one in every]
    label = f"used images of all {len(every)} sets"
    for one, values in zip(every, found, strict=True):
        both = f"{label}; {100 * shared(real, sets[one.name]):.0f} % of its own in others"
        lines.append(row(both, one.name, values))
    lines.append(row(label, "all, each set counting alike", np.mean(found, axis=0)))
    publish(options.page, "attribution", "\n".join(lines))


if __name__ == "__main__":
    main()
