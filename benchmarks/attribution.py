"""Which share of generated images is attributed to the set that their generator was trained on, not to another.

    python benchmarks/attribution.py SET_DIR [SET_DIR …] [--draws 10] [--page docs/audit.md]

A set is a folder as `labelled.py` reads it. The used images are one training set and as many unused ones the other:
all, and random draws of 100 + 100. Every generated image belongs to the used ones. Beside `attribute` stands the set of
the nearest image. Cells: the share that goes to the used images, the mean over the draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from labelled import Labelled, read, take
from table import publish

import fingerprint

FEW = 100
NEAREST = ("euclidean", "correlation", "ssim")


def shares(labelled: Labelled, count: int, draws: int, matrices: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the share of every rule, by its name."""
    found: dict[str, list[float]] = {}
    for number in range(draws):
        rng = np.random.default_rng(number)
        used, unused = (rng.permutation(np.flatnonzero(labelled.used == label))[:count] for label in (True, False))
        sets = {"used": take(labelled.real, used), "unused": take(labelled.real, unused)}
        answers = fingerprint.attribute(sets, labelled.fake)
        found.setdefault("**attribute**", []).append(np.mean([answer.training_set == "used" for answer in answers]))
        for metric, matrix in matrices.items():
            nearer = matrix[used].min(axis=0) < matrix[unused].min(axis=0)
            found.setdefault(f"nearest image, {metric}", []).append(nearer.mean())
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for folder in options.sets:
        labelled = read(folder)
        matrices = {metric: fingerprint.distances(labelled.real, labelled.fake, metric=metric) for metric in NEAREST}
        most = min(labelled.used.sum(), (~labelled.used).sum())
        for count, draws in ((most, 1), (FEW, options.draws)):
            columns[f"{folder.name}, {count} + {count}"] = shares(labelled, count, draws, matrices)
    names = next(iter(columns.values()))
    lines = [
        f"| rule | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
        *(f"| {name} | {' | '.join(f'{column[name]:.3f}' for column in columns.values())} |" for name in names),
    ]
    publish(options.page, "attribution", "\n".join(lines))


if __name__ == "__main__":
    main()
