"""How often decisions are right: ours, and every rule of the literature decided the way its authors decided.

    python benchmarks/decisions.py SET_DIR [SET_DIR …] [--splits 20] [--rules rank] [--page docs/decisions.md]

A set is a folder as `labelled.py` reads it. Every split is by patient and as large as the challenge of 2023: 80 + 80
labelled real images and 500 synthetic ones to learn from, then 100 + 100 real images and all remaining synthetic ones
to decide on. Nobody is told which images are of one patient. The table shows means over the splits, and between which
values 95 % of the splits lie.

The real images of each part are the population of the other, as `challenge run` does it, where a row does not say
otherwise.

Whether a cut learnt with 500 synthetic images carries over to more is seen beside a detector that is fitted anew on the
same labelled images, with the very synthetic images that it then decides with: they have no labels, so that whoever has
them can do so, and what sharing them is worth by itself is seen at 500, where both cuts are learnt at that number.

With `--rules`, the rows of other rules keep what the page has.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from labelled import Labelled, by_patient, read, take
from table import between, publish

import fingerprint
from fingerprint._base.histogram import edges as bin_edges
from fingerprint._statistics import attacks
from fingerprint._statistics.neighbourhood import Neighbourhood

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURES = ("accuracy", "f1", "kappa", "roc_auc")
LEARNT, DECIDED, FAKES, MORE = 80, 100, 500, 2000
FEW = 20  # unknown images that someone may ask about
Answer = tuple[str, np.ndarray, np.ndarray]  # name of a rule, its scores and its decisions on the test part


class Split(NamedTuple):
    """Real images to learn from and to decide on, no patient on both sides, half of each used; and synthetic ones."""

    dev: np.ndarray
    test: np.ndarray
    few: np.ndarray
    rest: np.ndarray


def split(labelled: Labelled, rng: np.random.Generator) -> Split:
    """Part a set at random."""
    parts: tuple[list[int], list[int]] = [], []
    for label in (True, False):
        members = by_patient(labelled, label, rng)
        cut = np.searchsorted(np.cumsum([len(one) for one in members]), LEARNT) + 1
        parts[0].extend(np.concatenate(members[:cut])[:LEARNT])
        parts[1].extend(np.concatenate(members[cut:])[:DECIDED])
    shuffled = rng.permutation(len(labelled.fake))
    return Split(np.array(parts[0]), np.array(parts[1]), np.sort(shuffled[:FAKES]), shuffled[FAKES:])


def neighbours(fake: np.ndarray, real: np.ndarray) -> Neighbourhood:
    """Return what the statistics of the literature see, from whole matrices of distances."""
    edges = bin_edges()
    others = np.sort(np.where(np.eye(len(real), dtype=bool), np.inf, real), axis=1)[:, : min(50, len(real) - 1)]
    counts = np.array([np.bincount(np.searchsorted(edges, row, side="right"), minlength=len(edges)) for row in fake])
    voted = fake.argmin(axis=0)
    votes = np.bincount(voted, minlength=len(fake))
    copied = fake[voted, np.arange(fake.shape[1])] < others[voted, 0]
    copies = np.bincount(voted[copied], minlength=len(fake))
    return Neighbourhood(np.sort(fake, axis=1)[:, :50], others, counts, votes, copies, fake.shape[1])


def best_cut(values: np.ndarray, used: np.ndarray) -> float:
    """Return the threshold of the highest accuracy."""
    cuts = np.append(np.unique(values), np.inf)
    return cuts[np.argmax([((values >= cut) == used).mean() for cut in cuts])]


def matrices(labelled: Labelled) -> dict:
    """Return the distances that the rules of others need."""
    real, fake = labelled.real, labelled.fake
    return {
        metric: (fingerprint.distances(real, fake, metric=metric), fingerprint.distances(real, real, metric=metric))
        for metric in ("ssim", "euclidean", "correlation", "tiles")
    }


def literature(matrices: dict, used: np.ndarray, parts: Split) -> Iterator[Answer]:
    """Yield the rules of others."""
    dev, test, few, rest = parts
    seen = {
        metric: (neighbours(fake[np.ix_(dev, few)], real[np.ix_(dev, dev)]),
                 neighbours(fake[np.ix_(test, rest)], real[np.ix_(test, test)]))
        for metric, (fake, real) in matrices.items()
    }  # fmt: skip
    near = attacks.gan_leaks(seen["ssim"][1])
    between = matrices["ssim"][1][np.ix_(test, test)][~np.eye(len(test), dtype=bool)]
    yield "largest SSIM above every real-real SSIM (VCMI)", near, near > -between.min()
    yield "largest SSIM above mean + 3 sd of real-real SSIM (VCMI)", near, near > -between.mean() + 3 * between.std()
    votes = attacks.retrieval_votes(seen["ssim"][1])
    yield "best match of a synthetic image by SSIM (VCMI)", votes, votes > 0
    copies = attacks.authenticity(seen["euclidean"][1])
    yield "copied by a synthetic image (authenticity, Alaa)", copies, copies > 0
    near = attacks.gan_leaks(seen["correlation"][1])
    training, validation = dev[used[dev]], dev[~used[dev]]
    null = -matrices["correlation"][1][np.ix_(training, validation)].min(axis=1)
    yield "correlation above 95 % of training-to-validation (Dar)", near, near > np.quantile(null, 0.95)
    for name, statistic in (("Monte Carlo (Hilprecht)", attacks.monte_carlo), ("DOMIAS", attacks.domias)):
        found = statistic(seen["euclidean"][1])
        yield f"{name}, above the median", found, found > np.median(found)
    for name, statistic, metric in (
        ("smallest distance (GAN-Leaks)", attacks.gan_leaks, "euclidean"),
        ("smallest distance, calibrated (GAN-Leaks)", attacks.gan_leaks_calibrated, "euclidean"),
        ("distance / mean of 50 nearest (Carlini)", attacks.adaptive, "euclidean"),
        ("tile distance (Carlini)", attacks.gan_leaks, "tiles"),
        ("tile distance / mean of 50 nearest (Carlini)", attacks.adaptive, "tiles"),
    ):
        learnt, found = (statistic(part) for part in seen[metric])
        yield f"{name}, cut by development", found, found >= best_cut(learnt, used[dev])


def fitted(labelled: Labelled, parts: Split, rng: np.random.Generator) -> Iterator[Answer]:
    """Yield the rules of this package that learn from labels."""
    dev, test, few, rest = parts
    used, unused = (take(labelled.real, dev[labelled.used[dev] == label]) for label in (True, False))
    unknown, others, development = take(labelled.real, test), take(labelled.fake, rest), take(labelled.fake, few)
    detector = fingerprint.fit(used, unused, development, population=unknown)
    known = {"population": [used, unused]}
    samples = {
        f"all {count:,}" if count == len(rest) else f"{count:,}": take(labelled.fake, rest[:count])
        for count in sorted({FAKES, min(MORE, len(rest)), len(rest)})
    }
    predicted = {
        f"fitted with {FAKES} synthetic images, decides with {number} others": detector.predict(unknown, fake, **known)
        for number, fake in samples.items()
    }
    for number, fake in samples.items():
        anew = fingerprint.fit(used, unused, fake, population=unknown)
        name = f"fitted anew with the synthetic images that it decides with, {number}"
        predicted[name] = anew.predict(unknown, fake, **known)
    told = detector.predict(unknown, others, share=0.5, **known)
    predicted[f"fitted with {FAKES} synthetic images, decides with all others, told the share"] = told
    for name, found in predicted.items():
        yield f"**fit and predict**, {name}", found.probabilities, found.used
    alone = fingerprint.fit(used, unused, development)
    found = alone.predict(unknown, others)
    yield "fit and predict without population, decides with all others", found.probabilities, found.used
    for name, population in (("without population", None), ("the labelled images are the population", [used, unused])):
        order = rng.permutation(len(test))
        probabilities = np.empty(len(test))
        for some in np.split(order, len(test) // FEW):
            asked = take(labelled.real, test[some])
            probabilities[some] = alone.predict(asked, others, population=population).probabilities
        yield f"fit and predict, {FEW} unknown images at a time, {name}", probabilities, probabilities >= 0.5


def ranked(labelled: Labelled, parts: Split) -> Iterator[Answer]:
    """Yield the rules of this package that do not, and the trivial one."""
    dev, test, _, rest = parts
    unused = take(labelled.real, dev[~labelled.used[dev]])
    unknown, others = take(labelled.real, test), take(labelled.fake, rest)
    for name, reference in (("no labels", None), ("unused reference", unused)):
        ranking = fingerprint.rank(unknown, others, reference=reference)
        place = {name: i for i, name in enumerate(ranking.names)}
        order = np.array([place[name] for name in unknown.names])
        yield f"**rank and decide**, {name}", ranking.scores[order], ranking.decide().used[order]
    yield "all ones", np.zeros(len(test)), np.ones(len(test), bool)


def measure(folder: Path, splits: int, rules: str | None) -> dict[str, list[list[float]]]:
    """Return the measures of every rule, or of some, on every split."""
    labelled = read(folder)
    used = labelled.used
    if min(used.sum(), (~used).sum()) < LEARNT + DECIDED or len(labelled.fake) < 2 * FAKES:
        raise SystemExit(f"{folder}: too small for {LEARNT} + {DECIDED} images and {FAKES} synthetic ones; --splits 0")
    compared = matrices(labelled) if rules in (None, "literature") else {}
    found: dict[str, list[list[float]]] = {}
    for number in range(splits):
        start = time.perf_counter()
        rng = np.random.default_rng(number)
        parts = split(labelled, rng)
        truth = used[parts.test]
        answers = {
            "fit": lambda parts=parts, rng=rng: fitted(labelled, parts, rng),
            "rank": lambda parts=parts: ranked(labelled, parts),
            "literature": lambda parts=parts: literature(compared, used, parts),
        }
        chosen = answers if rules is None else (rules,)
        for name, score, called in chain.from_iterable(answers[rule]() for rule in chosen):
            decided = fingerprint.evaluate(truth, called, n_bootstrap=100)
            ordered = fingerprint.evaluate(truth, np.asarray(score, float), n_bootstrap=100)
            values = [getattr(decided, one).value for one in MEASURES[:3]] + [ordered.roc_auc.value]
            found.setdefault(name, []).append(values)
        seconds = time.perf_counter() - start
        print(f"{folder.name}: split {number + 1} of {splits} [{seconds:.1f} s]", file=sys.stderr, flush=True)
    return found


def table(sets: list[Path], splits: int, rules: str | None, before: list[str]) -> str:
    """Return the table of all rules on all sets; rows of rules that are not measured are those of before."""
    rows = {tuple(line.split(" | ")[:2]): line for line in before}
    for folder in sets:
        for name, measured in measure(folder, splits, rules).items():
            cells = []
            for column in np.array(measured).T:
                low, high = np.nanpercentile(column, [2.5, 97.5])
                cells.append(f"{np.nanmean(column):.3f} ({low:.2f} to {high:.2f})")
            rows[f"| {folder.name}", name] = f"| {folder.name} | {name} | {' | '.join(cells)} |"
    return "\n".join(["| set | rule | accuracy | F1 | kappa | AUC |", "|---|---|---|---|---|---|", *rows.values()])


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--rules", choices=("fit", "rank", "literature"), help="only these (default: all)")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    kept = between(options.page, "decisions").splitlines()[2:] if options.rules and options.page else []
    publish(options.page, "decisions", table(options.sets, options.splits, options.rules, kept))


if __name__ == "__main__":
    main()
