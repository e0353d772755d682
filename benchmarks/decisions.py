"""How often decisions are right: ours, and every rule of the literature decided the way its authors decided.

    python benchmarks/decisions.py SET_DIR [SET_DIR …] [--splits 20] [--out table.md]

A set is a folder with the folders `used`, `not_used` and `generated`, and `groups.json` (file name to patient). Every
split is by patient and as large as the challenge of 2023: 80 + 80 labelled real images and 500 synthetic ones to learn
from, then 100 + 100 real images and all remaining synthetic ones to decide on. Nobody is told which images are of one
patient. The table shows means over the splits, and between which values 95 % of the splits lie.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import fingerprint
from fingerprint import scores
from fingerprint.bins import edges as bin_edges
from fingerprint.images import Slices, concatenate
from fingerprint.scores import Neighbours

MEASURES = ("accuracy", "f1", "kappa", "roc_auc")
LEARNT, DECIDED, FAKES = 80, 100, 500


def take(images: Slices, chosen: np.ndarray) -> Slices:
    """Return some images."""
    return Slices(images.pixels[chosen], tuple(images.names[i] for i in chosen))


def split(used: np.ndarray, patients: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the real images to learn from and those to decide on; no patient on both sides, half of each used."""
    parts = [[], []]
    for label in (True, False):
        order = rng.permutation(np.unique(patients[used == label]))
        members = [np.flatnonzero((patients == one) & (used == label)) for one in order]
        cut = np.searchsorted(np.cumsum([len(one) for one in members]), LEARNT) + 1
        parts[0].extend(np.concatenate(members[:cut])[:LEARNT])
        parts[1].extend(np.concatenate(members[cut:])[:DECIDED])
    return np.array(parts[0]), np.array(parts[1])


def neighbours(fake: np.ndarray, real: np.ndarray) -> Neighbours:
    """Return what the statistics of the literature see, from whole matrices of distances."""
    edges = bin_edges()
    others = np.sort(np.where(np.eye(len(real), dtype=bool), np.inf, real), axis=1)[:, : min(50, len(real) - 1)]
    counts = np.array([np.bincount(np.searchsorted(edges, row, side="right"), minlength=len(edges)) for row in fake])
    voted = fake.argmin(axis=0)
    votes = np.bincount(voted, minlength=len(fake))
    copied = fake[voted, np.arange(fake.shape[1])] < others[voted, 0]
    copies = np.bincount(voted[copied], minlength=len(fake))
    return Neighbours(np.sort(fake, axis=1)[:, :50], others, counts, votes, copies, fake.shape[1])


def best_cut(values: np.ndarray, used: np.ndarray) -> float:
    """Return the threshold of the highest accuracy."""
    cuts = np.append(np.unique(values), np.inf)
    return cuts[np.argmax([((values >= cut) == used).mean() for cut in cuts])]


def literature(matrices: dict, dev: np.ndarray, test: np.ndarray, few: np.ndarray, rest: np.ndarray, used: np.ndarray):
    """Yield name, scores and decisions of the rules of others, on the test part."""
    seen = {
        metric: (neighbours(fake[np.ix_(dev, few)], real[np.ix_(dev, dev)]),
                 neighbours(fake[np.ix_(test, rest)], real[np.ix_(test, test)]))
        for metric, (fake, real) in matrices.items()
    }  # fmt: skip
    near = scores.gan_leaks(seen["ssim"][1])
    between = matrices["ssim"][1][np.ix_(test, test)][~np.eye(len(test), dtype=bool)]
    yield "largest SSIM above every real-real SSIM (VCMI)", near, near > -between.min()
    yield "largest SSIM above mean + 3 sd of real-real SSIM (VCMI)", near, near > -between.mean() + 3 * between.std()
    votes = scores.retrieval_votes(seen["ssim"][1])
    yield "best match of a synthetic image by SSIM (VCMI)", votes, votes > 0
    copies = scores.authenticity(seen["euclidean"][1])
    yield "copied by a synthetic image (authenticity, Alaa)", copies, copies > 0
    near = scores.gan_leaks(seen["correlation"][1])
    training, validation = dev[used[dev]], dev[~used[dev]]
    null = -matrices["correlation"][1][np.ix_(training, validation)].min(axis=1)
    yield "correlation above 95 % of training-to-validation (Dar)", near, near > np.quantile(null, 0.95)
    for name, statistic in (("Monte Carlo (Hilprecht)", scores.monte_carlo), ("DOMIAS", scores.domias)):
        found = statistic(seen["euclidean"][1])
        yield f"{name}, above the median", found, found > np.median(found)
    for name, statistic, metric in (
        ("smallest distance (GAN-Leaks)", scores.gan_leaks, "euclidean"),
        ("smallest distance, calibrated (GAN-Leaks)", scores.gan_leaks_calibrated, "euclidean"),
        ("distance / mean of 50 nearest (Carlini)", scores.adaptive, "euclidean"),
        ("tile distance (Carlini)", scores.gan_leaks, "tiles"),
        ("tile distance / mean of 50 nearest (Carlini)", scores.adaptive, "tiles"),
    ):
        learnt, found = (statistic(part) for part in seen[metric])
        yield f"{name}, cut by development", found, found >= best_cut(learnt, used[dev])


def ours(real: Slices, fake: Slices, dev: np.ndarray, test: np.ndarray, few: np.ndarray, rest: np.ndarray, used):
    """Yield name, scores and decisions of this package, on the test part."""
    detector = fingerprint.fit(take(real, dev[used[dev]]), take(real, dev[~used[dev]]), take(fake, few))
    unknown, others = take(real, test), take(fake, rest)
    for count, label in ((len(few), f"{len(few)} synthetic"), (2000, "2,000"), (len(rest), "all")):
        predictions = detector.predict(unknown, take(fake, rest[:count]))
        yield f"**fit and predict**, {label}", predictions.probabilities, predictions.used
    told = detector.predict(unknown, others, share=0.5)
    yield "**fit and predict**, all, told the share", told.probabilities, told.used
    for name, reference in (("no labels", None), ("unused reference", take(real, dev[~used[dev]]))):
        ranking = fingerprint.rank(unknown, others, reference=reference)
        place = {name: i for i, name in enumerate(ranking.names)}
        order = np.array([place[name] for name in unknown.names])
        yield f"**rank and decide**, {name}", ranking.scores[order], ranking.decide().used[order]
    yield "all ones", np.zeros(len(test)), np.ones(len(test), bool)


def measure(folder: Path, splits: int) -> dict[str, list[list[float]]]:
    """Return the measures of every rule on every split."""
    parts = [fingerprint.load(folder / name) for name in ("used", "not_used", "generated")]
    real, fake = concatenate(*parts[:2]), parts[2]
    used = np.arange(len(real)) < len(parts[0])
    groups = json.loads((folder / "groups.json").read_text())
    patients = np.array([groups[name] for name in real.names])
    matrices = {
        metric: (fingerprint.distances(real, fake, metric=metric), fingerprint.distances(real, real, metric=metric))
        for metric in ("ssim", "euclidean", "correlation", "tiles")
    }
    found: dict[str, list[list[float]]] = {}
    for number in range(splits):
        rng = np.random.default_rng(number)
        dev, test = split(used, patients, rng)
        shuffled = rng.permutation(len(fake))
        sides = dev, test, np.sort(shuffled[:FAKES]), shuffled[FAKES:]
        rules = [*ours(real, fake, *sides, used), *literature(matrices, *sides, used)]
        for name, score, called in rules:
            decided = fingerprint.evaluate(used[test], called, n_bootstrap=100)
            ranked = fingerprint.evaluate(used[test], np.asarray(score, float), n_bootstrap=100)
            values = [getattr(decided, one).value for one in MEASURES[:3]] + [ranked.roc_auc.value]
            found.setdefault(name, []).append(values)
        print(f"{folder.name}: split {number + 1} of {splits}", flush=True)
    return found


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = ["| set | rule | accuracy | F1 | kappa | AUC |", "|---|---|---|---|---|---|"]
    for folder in options.sets:
        for name, rows in measure(folder, options.splits).items():
            cells = []
            for column in np.array(rows).T:
                low, high = np.nanpercentile(column, [2.5, 97.5])
                cells.append(f"{np.nanmean(column):.3f} ({low:.2f} to {high:.2f})")
            lines.append(f"| {folder.name} | {name} | {' | '.join(cells)} |")
    print(*lines, sep="\n")
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
