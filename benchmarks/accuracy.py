"""How well every method tells used from unused real images, and how often decisions are right, on sets of known truth.

    python benchmarks/accuracy.py SET_DIR [SET_DIR …] [--page README.md] [--decisions-page docs/decisions.md]

A set is a folder as `labelled.py` reads it. First the order of all real images, by each of --methods, told the patients
or not: intervals are 95 % bootstrap intervals, over patients where the set has them; cells: AUC (interval), TPR at 1 %
FPR. Then decisions over --splits random splits by patient, see `decisions.py`. Both are printed, or put between the
marks of a page. The same sets give the same tables.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import decisions
from labelled import groups
from table import publish

import fingerprint
from fingerprint import METHODS

LABELS = dict(METHODS) | {"default": f"**default**: {METHODS['default']}"}


def measure(folder: Path, method: str, *, grouped: bool) -> fingerprint.Evaluation:
    """Rank a set by one method and compare with the truth."""
    known = groups(folder)
    ranking = fingerprint.rank(
        [folder / "used", folder / "not_used"], folder / "generated", groups=known if grouped else None, method=method
    )
    used = [Path(name).parent.name == "used" for name in ranking.names]
    patients = [known[Path(name).name] for name in ranking.names] if known else None
    return fingerprint.evaluate(used, ranking.scores, groups=patients)


def order(sets: list[Path], methods: list[str], told: list[str]) -> str:
    """Return the table of all methods on all sets; sets without patients have a column where they are unknown."""
    cells: dict[str, list[str]] = {method: [] for method in methods}
    columns = []
    for folder in sets:
        for patients in told if groups(folder) else ("unknown",):
            columns.append(f"{folder.name}, patients {patients}")
            for method in methods:
                start = time.perf_counter()
                found = measure(folder, method, grouped=patients == "known")
                auc, tpr = found.roc_auc, found.tpr_at_1_percent_fpr.value
                cells[method].append(f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), {tpr:.2f}")
                seconds = time.perf_counter() - start
                print(f"{columns[-1]}: {method}: {cells[method][-1]} [{seconds:.1f} s]", file=sys.stderr, flush=True)
    lines = [
        f"| statistic | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
        *(f"| {LABELS[method]} | {' | '.join(row)} |" for method, row in cells.items()),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the measures as they come, then the tables, or put them into pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="none = no order")
    parser.add_argument("--patients", nargs="+", default=["unknown", "known"], choices=["unknown", "known"])
    parser.add_argument("--splits", type=int, default=20, help="0 = no decisions")
    parser.add_argument("--page", type=Path, help="with the mark accuracy, for the order")
    parser.add_argument("--decisions-page", type=Path, help="with the mark decisions")
    options = parser.parse_args()
    if options.methods:
        publish(options.page, "accuracy", order(options.sets, options.methods, options.patients))
    if options.splits:
        publish(options.decisions_page, "decisions", decisions.table(options.sets, options.splits))


if __name__ == "__main__":
    main()
