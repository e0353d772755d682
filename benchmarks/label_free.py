"""Decisions without labels: that they find nothing where nothing leaks, and what they find where something does.

    python benchmarks/label_free.py [SET_DIR …] [--draws 20] [--page docs/decisions.md]

A set is a folder as `labelled.py` reads it; thorax phantoms, drawn anew for every run, come in addition. All is decided
by `rank(…).decide()`, at its rate of 10 %, and nobody is told which images are of one patient.

Nothing leaks where the unused images of a set are ranked alone: all of them, then those of a random half of the
patients, each time against all synthetic images and against 600. Something leaks where 10 to 70 % of 200 real images
are used; every draw takes other patients, the last of them in part, and all synthetic images. Its cells: which share of
the used images is called used, and in brackets which share of the calls is wrong (0 where there is none), as means.

A used image gives away an unused one that is all but the same, such as the next slice of a patient who goes by two
names. Each set has rows without such images, and rows with all.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from labelled import Labelled, by_patient, read, take
from table import publish

import fingerprint
from fingerprint import phantoms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fingerprint._images.loading import Slices

HALF = 0.5
SHARES = (0.1, 0.3, HALF, 0.7)
IMAGES, FEWER = 200, 600  # real images of a draw, and the smaller number of synthetic ones
MOST = {True: 140, False: 180}  # used and unused images that the draws need
LEAKS = (0.1, 0.3, 0.5)
SAME = 0.6  # whitened distance below which two slices are all but the same
PHANTOMS = tuple(itertools.product((32, 64), (1, 2, 4), (100, 200), (200, 1000)))  # pixels, slices, real, synthetic
SEEDS = 5  # of every kind of phantoms


def decide(real: Slices, fake: Slices) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and decisions, in the order of the real images."""
    ranking = fingerprint.rank(real, fake)
    place = {name: i for i, name in enumerate(ranking.names)}
    order = [place[name] for name in real.names]
    return ranking.scores[order], ranking.decide().used[order]


def without_twins(labelled: Labelled) -> Labelled:
    """Leave out unused images that are all but the same as a used one."""
    used, unused = (take(labelled.real, np.flatnonzero(labelled.used == label)) for label in (True, False))
    nearest = fingerprint.rank(unused, used, method="nearness", k=1)
    twins = {row.name for row in nearest if row.evidence[0].distance < SAME}
    kept = np.array([name not in twins for name in labelled.real.names])
    return labelled._replace(
        real=take(labelled.real, np.flatnonzero(kept)), used=labelled.used[kept], patients=labelled.patients[kept]
    )


def unused_alone(labelled: Labelled, draws: int) -> list[int]:
    """Return how many images are called used in each run with unused images alone."""
    called = []
    for number in range(draws):
        rng = np.random.default_rng(number)
        patients = by_patient(labelled, False, rng)
        chosen = np.concatenate(patients if number == 0 else patients[: len(patients) // 2])
        some = rng.permutation(len(labelled.fake))[:FEWER]
        real = take(labelled.real, chosen)
        called += [decide(real, fake)[1].sum() for fake in (labelled.fake, take(labelled.fake, some))]
    return called


def phantoms_alone() -> list[int]:
    """Return how many images are called used in each run with phantoms that do not leak."""
    called = []
    for (size, slices, n_real, n_fake), seed in itertools.product(PHANTOMS, range(SEEDS)):
        half = n_real // 2
        demo = phantoms.demo(
            n_used=half, n_unused=half, n_fake=n_fake, leak=0, seed=seed, size=size, slices_per_patient=slices
        )
        called.append(decide(demo.real, demo.fake)[1].sum())
    return called


def leaking_phantoms(leak: float, draws: int) -> Iterator[Labelled]:
    """Draw phantoms of 64 pixels, two slices a patient, and 1,000 synthetic images of a generator that leaks."""
    for seed in range(draws):
        demo = phantoms.demo(
            n_used=MOST[True], n_unused=MOST[False], n_fake=1000, leak=leak, seed=seed, size=64, slices_per_patient=2
        )
        yield Labelled("phantoms", demo.real, demo.used, np.array(demo.groups), demo.fake)


def silent(name: str, called: list[int]) -> str:
    """Return a row of the table of what is found where nothing leaks."""
    return f"| {name} | {np.count_nonzero(called)} of {len(called)} | {max(called)} |"


def found(name: str, sets: Iterable[Labelled]) -> str:
    """Return a row of the table of what is found where something leaks, one draw of every share from each set."""
    calls: dict[float, list[tuple[float, float]]] = {share: [] for share in SHARES}
    areas = []
    for number, labelled in enumerate(sets):
        for share in SHARES:
            rng = np.random.default_rng(number)
            counts = {True: round(share * IMAGES), False: round((1 - share) * IMAGES)}
            chosen = np.concatenate([np.concatenate(by_patient(labelled, one, rng))[:n] for one, n in counts.items()])
            used = labelled.used[chosen]
            scores, called = decide(take(labelled.real, chosen), labelled.fake)
            calls[share].append((called[used].mean(), (called & ~used).sum() / max(1, called.sum())))
            if share == HALF:
                areas.append(fingerprint.evaluate(used, scores, n_bootstrap=100).roc_auc.value)
    cells = []
    for shares in calls.values():
        power, wrong = np.mean(shares, axis=0)
        cells.append(f"{100 * power:.0f} % ({wrong:.2f})" if np.any(shares) else "0")
    return f"| {name} | {np.mean(areas):.2f} | {' | '.join(cells)} |"


def of_sets(folders: list[Path], draws: int) -> Iterator[tuple[str, str]]:
    """Yield the rows of each set: without unused images that are all but the same as a used one, then with all."""
    for folder in folders:
        whole = read(folder)
        parted = without_twins(whole)
        if any((parted.used == label).sum() < most for label, most in MOST.items()):
            raise SystemExit(f"{folder}: expected at least {MOST[True]} used and {MOST[False]} unused images")
        twins = len(whole.real) - len(parted.real)
        without = f"without the {twins} unused images that are all but the same as a used one"
        for labelled, note in ((parted, without), (whole, "with them")):
            yield "nothing leaks", silent(f"{folder.name}, unused images alone, {note}", unused_alone(labelled, draws))
            yield "something leaks", found(f"{folder.name}, {note}", itertools.repeat(labelled, draws))


def of_phantoms(draws: int) -> Iterator[tuple[str, str]]:
    """Yield the rows of phantoms."""
    sizes = "32 and 64 pixels, one to four slices a patient, 100 and 200 real, 200 and 1,000 synthetic images"
    yield "nothing leaks", silent(f"phantoms, {sizes}", phantoms_alone())
    for leak in LEAKS:
        name = f"phantoms, 64 pixels, {100 * leak:.0f} % of 1,000 synthetic images leak one of {MOST[True]}"
        yield "something leaks", found(name, leaking_phantoms(leak, draws))


def main() -> None:
    """Print the rows as they come, then the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--page", type=Path, help="with the marks nothing leaks and something leaks")
    options = parser.parse_args()
    used = " | ".join(f"{100 * share:.0f} % used" for share in SHARES)
    tables = {
        "nothing leaks": [
            "| nothing leaks | runs in which any image is called used | most images called in a run |",
            "|---|---|---|",
        ],
        "something leaks": [f"| something leaks | AUC | {used} |", "|---" * (2 + len(SHARES)) + "|"],
    }
    start = time.perf_counter()
    for mark, line in itertools.chain(of_sets(options.sets, options.draws), of_phantoms(options.draws)):
        tables[mark].append(line)
        print(f"{line} [{time.perf_counter() - start:.0f} s]", file=sys.stderr, flush=True)
    for mark, lines in tables.items():
        publish(options.page, mark, "\n".join(lines))


if __name__ == "__main__":
    main()
