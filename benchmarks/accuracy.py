"""How well every method tells used from unused real images, on sets of known truth.

    python benchmarks/accuracy.py SET_DIR [SET_DIR …] [--page docs/accuracy.md] [--summary README.md]

A set is a folder as `labelled.py` reads it; where `generators/train.py` made it, its settings are told. Patients are
unknown to the methods, except in one row of the default. In another one, noise stands for the generated images, as a
control. Intervals are 95 % bootstrap intervals over patients. Of a patient, the mean score counts. The three tables are
printed, or put between the marks sets, summary and accuracy of a page. The same sets give the same tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from labelled import Labelled, groups, read
from table import publish

import fingerprint
from fingerprint import METHODS
from fingerprint._images.loading import Slices

LABELS = dict(METHODS) | {"default": f"**default**: {METHODS['default']}"}
KNOWN = "default, patients known"
CONTROL = "control: default, on noise with the spectrum of the generated images"
KINDS = ("nearness", "patches")
OURS = ("default", *KINDS)
ARGUMENTS = ("part", "size", "steps", "n_fake", "seed", "threads")  # of generators/train.py


def measure(found: Labelled, method: str, *, grouped: bool = False) -> fingerprint.Evaluation:
    """Rank a set by one method and compare with the truth."""
    start = time.perf_counter()
    patients = found.patients.tolist() if grouped else None
    ranking = fingerprint.rank(found.real, found.fake, groups=patients, method=method)
    compared = fingerprint.evaluate(found.used[ranking.order], ranking.scores, groups=found.patients[ranking.order])
    seconds = time.perf_counter() - start
    print(f"{found.name}: {method}: {compared.roc_auc} [{seconds:.1f} s]", file=sys.stderr, flush=True)
    return compared


def noise(images: Slices) -> Slices:
    """Return noise with the mean and the mean spectrum of 8-bit images, which knows nothing else of them."""
    rng, middle = np.random.default_rng(0), images.pixels.mean()
    power = [np.abs(np.fft.fft2(one - middle, norm="ortho")) ** 2 for one in images.pixels]
    amplitude = np.sqrt(np.mean(power, axis=0))
    pixels = np.empty_like(images.pixels)
    for out in pixels:
        drawn = middle + np.fft.ifft2(np.fft.fft2(rng.normal(size=out.shape)) * amplitude).real
        out[:] = np.clip(np.rint(drawn), 0, 255)
    return Slices(pixels, images.names)


def measures(folder: Path, found: Labelled) -> dict[str, fingerprint.Evaluation]:
    """Return what every method does on a set."""
    by_method = {method: measure(found, method) for method in METHODS}
    known = {KNOWN: measure(found, "default", grouped=True)} if groups(folder) else {}
    control = {CONTROL: measure(found._replace(fake=noise(found.fake)), "default")}
    return {"default": by_method.pop("default"), **known, **by_method, **control}


def row(*cells: object) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*names: str) -> list[str]:
    """Return the first lines of a table."""
    return [row(*names), "|---" * len(names) + "|"]


def made(folder: Path, found: Labelled) -> str:
    """Return what a set consists of, and how its generator was trained."""
    file, used = folder / "settings.json", int(found.used.sum())
    people = [len(np.unique(found.patients[found.used == label])) for label in (True, False)]
    trained = "by other code"
    if file.exists():
        settings = json.loads(file.read_text(encoding="utf-8"))
        options = [f"--{name.replace('_', '-')} {settings[name]}" for name in ARGUMENTS if name in settings]
        minutes = float(settings["processor_seconds"]) / 60
        trained = f"`{settings['kind']} {' '.join(options)}`, torch {settings['torch']}, {minutes:.0f} minutes"
    return row(
        found.name,
        f"{found.real.height}x{found.real.width}",
        f"{used} of {people[0]}",
        f"{len(found.real) - used} of {people[1]}",
        f"{len(found.fake):,}",
        trained,
    )


def against(name: str, found: dict[str, fingerprint.Evaluation]) -> str:
    """Return by how much the default exceeds the better of its kinds and the best of the literature, and a control."""
    auc = {method: compared.roc_auc.value for method, compared in found.items()}
    cells = []
    for methods in (KINDS, [method for method in METHODS if method not in OURS]):
        best = max(methods, key=auc.__getitem__)
        cells.append(f"{auc['default'] - auc[best]:+.3f}: {LABELS[best]}, {auc[best]:.3f}")
    return row(name, f"{auc['default']:.3f}", f"{auc[CONTROL]:.3f}", *cells)


def order(name: str, found: dict[str, fingerprint.Evaluation]) -> list[str]:
    """Return the rows of all methods on a set."""
    return [
        row(
            name,
            LABELS.get(method, method),
            compared.roc_auc,
            compared.by_group.roc_auc if compared.by_group else "",
            f"{compared.tpr_at_1_percent_fpr.value:.2f}",
        )
        for method, compared in found.items()
    ]


def main() -> None:
    """Print the measures as they come, then the tables, or put them into pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, help="with all three marks")
    parser.add_argument("--summary", type=Path, help="a further page with the mark summary")
    options = parser.parse_args()
    sets = head("set", "size", "used images of patients", "unused images of patients", "generated", "trained")
    summary = head("set", "AUC", "control", "against the better kind", "against the best of the literature")
    accuracy = head("set", "statistic", "AUC of images", "AUC of patients", "TPR at 1 % FPR")
    for folder in options.sets:
        labelled = read(folder)
        found = measures(folder, labelled)
        sets.append(made(folder, labelled))
        summary.append(against(labelled.name, found))
        accuracy += order(labelled.name, found)
    for mark, lines in (("sets", sets), ("summary", summary), ("accuracy", accuracy)):
        publish(options.page, mark, "\n".join(lines))
    if options.summary:
        publish(options.summary, "summary", "\n".join(summary))


if __name__ == "__main__":
    main()
