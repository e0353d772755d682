"""Does the default score lose to the better of its two kinds of evidence, on sets of known truth and on planted copies?

    python benchmarks/kinds.py SET_DIR [SET_DIR …] [--copies SET_DIR …] [--phantoms] [--draws 2] [--page PAGE]

Sets are folders as `labelled.py` reads them; copies are planted as `copies.py` does, into slices that no generator has
seen. A cell is AUC, TPR at 1 % FPR. The sum of normal tail scores is what the default was until 0.1. Patients are
unknown. The last columns say by how much the AUC of the default, and of that sum, exceeds that of the better kind.
Below the table stands in which rows the default loses.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import copies
import labelled
import numpy as np
from scipy.stats import norm
from table import publish

import fingerprint
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._statistics import methods

LOSS = 0.003  # of the AUC, which is said
LEAST = np.array([[np.log2(10 / 9)], [20.0]])  # standard deviations of the normal tail scores


def normal_sum(statistics: np.ndarray) -> np.ndarray:
    """Return the sum of normal tail scores, with the 25 % quantile as mean and its distance to the 5 % one as sd."""
    low, middle = np.quantile(statistics, (0.05, 0.25), axis=1)[:, :, None]
    return -norm.logsf((statistics - middle) / np.maximum(middle - low, LEAST)).sum(axis=0) / np.log(10)


def measures(real: fingerprint.Slices, fake: object, used: np.ndarray) -> np.ndarray:
    """Return AUC and TPR at 1 % FPR of default, whole images, patches and the sum of normal tail scores."""
    options = ReadingOptions(on_error="raise")
    kinds = RealSide.of(real, options, method="default").compare(fake, k=2).kinds(methods.METHODS["default"])
    found = []
    for scores in (methods.score(kinds)[0], *kinds, normal_sum(kinds)):
        strict = np.sort(scores[~used])[::-1][int(0.01 * (~used).sum())]
        found.append((copies.auc(scores, used), (scores[used] > strict).mean()))
    return np.array(found)


def planted(folder: Path | None, draws: int) -> list[tuple[str, np.ndarray]]:
    """Return the measures of each change, the mean over draws and both ways to choose what is copied."""
    sources = [
        copies.from_phantoms(seed) if folder is None else copies.from_folder(folder, seed) for seed in range(draws)
    ]
    rows = []
    for change in copies.CHANGES:
        for by in ("patient", "slice"):
            found = []
            for seed, source in enumerate(sources):
                hidden = copies.choose(source, by, seed)
                names = tuple(f"real_{i}" for i in range(len(source.real)))
                fake = copies.plant(source, change, hidden, seed)
                found.append(measures(fingerprint.Slices(source.real, names), fake, hidden))
            rows.append((f"{source.name}, {change.__name__}, by {by}", np.mean(found, axis=0)))
            print(line(*rows[-1]), flush=True)
    return rows


def gains(found: np.ndarray) -> np.ndarray:
    """Return by how much the AUC of the default, and of the sum of normal tail scores, exceeds the better kind."""
    return found[[0, 3], 0] - found[1:3, 0].max()


def line(name: str, found: np.ndarray) -> str:
    """Return a row of the table."""
    cells = [*(f"{auc:.3f}, {tpr:.2f}" for auc, tpr in found), *(f"{gain:+.3f}" for gain in gains(found))]
    return f"| {name} | {' | '.join(cells)} |"


def losses(rows: list[tuple[str, np.ndarray]]) -> str:
    """Return in which rows the default loses."""
    lost = {name: gains(found)[0] for name, found in rows if gains(found)[0] < -LOSS}
    kept = len(rows) - len(lost)
    text = f"The default is at most {LOSS} of the AUC below the better kind in {kept} of {len(rows)} rows."
    return f"{text} The others: {'; '.join(f'{name}: {gain:+.3f}' for name, gain in lost.items())}." if lost else text


def main() -> None:
    """Print the rows as they come, then the table, or put it into a page at the mark kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--copies", nargs="*", type=Path, default=[])
    parser.add_argument("--phantoms", action="store_true")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    rows = []
    for folder in options.sets:
        found = labelled.read(folder)
        rows.append((folder.name, measures(found.real, found.fake, found.used)))
        print(line(*rows[-1]), flush=True)
    for folder in [*options.copies, *itertools.repeat(None, options.phantoms)]:
        rows += planted(folder, options.draws)
    head = ["set", "default", "whole images", "patches", "sum of normal tail scores", "default", "that sum"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(line(*row) for row in rows), "", losses(rows)]
    publish(options.page, "kinds", "\n".join(lines))


if __name__ == "__main__":
    main()
