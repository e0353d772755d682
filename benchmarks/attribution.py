"""Which share of generated images is attributed to the set that their generator was trained on, not to another.

    python benchmarks/attribution.py [SET_DIR …] [--draws 10] [--subsets SET_DIR …] [--page docs/audit.md]

A set is a folder as `labelled.py` reads it. First the used images of a set are one training set and as many unused ones
the other: all, and random draws of 100 + 100. Then the used images of all sets are one training set each, all images at
the size of the smallest; that many of them are in other sets, too, pixel for pixel. Beside `attribute` stands the set
of the nearest image; where it is in several sets, each is named in turn. Cells: the share of generated images that is
right, the mean over the draws.

The used images of `--subsets` have no patient in common, as `generators/train.py --part 1/5` makes them. Each is a
training set, and has a row in a second table, for every other generated image. There, several images of a generator are
attributed together as well, to the set of the highest mean score: random draws of so many, and all. In further rows the
remaining generated images are known, too, and are part of the training set of their generator.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from labelled import Labelled, read, take
from table import publish

import fingerprint
from fingerprint._images.loading import Slices, concatenate

FEW = 100
NEAREST = ("euclidean", "correlation", "ssim")
TOGETHER = (3, 10)
DRAWS = 1000  # of images that are attributed together
RULES = ("**attribute**", *(f"nearest image, {metric}" for metric in NEAREST))
Sets: TypeAlias = dict[str, np.ndarray]


def distances(real: Slices, fake: Slices) -> list[np.ndarray]:
    """Return the distances of all images by each metric."""
    return [fingerprint.distances(real, fake, metric=metric) for metric in NEAREST]


def attributed(real: Slices, fake: Slices, sets: Sets) -> fingerprint.Attribution:
    """Attribute synthetic images to some of the real ones."""
    return fingerprint.attribute({name: take(real, chosen) for name, chosen in sets.items()}, fake)


def shares(answers: fingerprint.Attribution, matrices: list[np.ndarray], sets: Sets, right: str) -> list[float]:
    """Return the share of synthetic images that every rule attributes to the right one of some sets."""
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
        sets = {"used": used, "unused": unused}
        found.append(shares(attributed(labelled.real, labelled.fake, sets), matrices, sets, "used"))
    return np.mean(found, axis=0)


def together(answers: fingerprint.Attribution, right: str, count: int) -> float:
    """Return in which share of draws so many synthetic images are right, attributed by their mean score."""
    rng, place = np.random.default_rng(0), answers.training_sets.index(right)
    drawn = np.stack([rng.permutation(len(answers))[:count] for _ in range(DRAWS)])
    return float((answers.scores[drawn].mean(axis=1).argmax(axis=1) == place).mean())


def pooled(every: list[Labelled]) -> tuple[Slices, Sets]:
    """Return the used images of several sets, and where those of each are."""
    real = concatenate(*(take(one.real, np.flatnonzero(one.used)) for one in every))
    ends = np.cumsum([one.used.sum() for one in every])
    return real, dict(zip([one.name for one in every], np.split(np.arange(len(real)), ends[:-1]), strict=True))


def known(every: list[Labelled], real: Slices, sets: Sets) -> tuple[Slices, Sets]:
    """Return the same with every other generated image of each set added to it."""
    seen = [take(one.fake, np.arange(0, len(one.fake), 2)) for one in every]
    ends = len(real) + np.cumsum([0, *map(len, seen)])
    added = (np.arange(first, end) for first, end in pairwise(ends))
    parts = zip(sets.items(), added, strict=True)
    return concatenate(real, *seen), {name: np.append(own, more) for (name, own), more in parts}


def subsets(folders: list[Path]) -> list[str]:
    """Return the table of training sets without common patients, first by real images, then with generated ones."""
    every = [read(folder) for folder in folders]
    people = [name for one in every for name in np.unique(one.patients[one.used])]
    if len(set(people)) < len(people):
        raise SystemExit("--subsets: some patients are in several sets")
    many = (*(f"{count} images together" for count in TOGETHER), "all together")
    lines = [
        f"| {' | '.join(('known', 'generated from', *RULES, *many))} |",
        "|---" * (2 + len(RULES) + len(many)) + "|",
    ]
    real, sets = pooled(every)
    for label, (images, parts) in {
        "real images": (real, sets),
        "real images and half of the generated ones": known(every, real, sets),
    }.items():
        rows = []
        for one in every:
            asked = take(one.fake, np.arange(1, len(one.fake), 2))
            answers = attributed(images, asked, parts)
            rows.append(shares(answers, distances(images, asked), parts, one.name))
            rows[-1] += [together(answers, one.name, count) for count in TOGETHER]
            rows[-1].append(float(answers.scores.mean(axis=0).argmax() == answers.training_sets.index(one.name)))
            lines.append(row(label, f"{one.name}, {one.used.sum()} images", rows[-1]))
        lines.append(row(label, "all, each set counting alike", np.mean(rows, axis=0)))
    return lines


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


def whole(folders: list[Path], draws: int) -> list[str]:
    """Return the table of used and unused images of each set, and of the used ones of all."""
    lines = [f"| training sets | generated from | {' | '.join(RULES)} |", "|---" * (2 + len(RULES)) + "|"]
    size = sys.maxsize
    for folder in folders:
        labelled = read(folder)
        size = min(size, labelled.real.height)
        matrices = distances(labelled.real, labelled.fake)
        most = min(labelled.used.sum(), (~labelled.used).sum())
        for count, number in ((most, 1), (FEW, draws)):
            sets = f"used and unused images, {count} + {count}"
            lines.append(row(sets, labelled.name, halves(labelled, count, number, matrices)))
    every = [read(folder, size) for folder in folders]
    real, sets = pooled(every)
    found = [shares(attributed(real, one.fake, sets), distances(real, one.fake), sets, one.name) for one in every]
    label = f"used images of all {len(every)} sets"
    for one, values in zip(every, found, strict=True):
        both = f"{label}; {100 * shared(real, sets[one.name]):.0f} % of its own in others"
        lines.append(row(both, one.name, values))
    return [*lines, row(label, "all, each set counting alike", np.mean(found, axis=0))]


def main() -> None:
    """Print the tables, or put them between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--subsets", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, help="with the marks attribution, where there are sets, and subsets")
    options = parser.parse_args()
    if options.sets:
        publish(options.page, "attribution", "\n".join(whole(options.sets, options.draws)))
    if options.subsets:
        publish(options.page, "subsets", "\n".join(subsets(options.subsets)))


if __name__ == "__main__":
    main()
