"""How well every method tells used from unused real images, on sets whose truth is known.

    python benchmarks/accuracy.py SET_DIR [SET_DIR …] [--methods NAME …] [--patients unknown known] [--page README.md]

A set is a folder with the folders `used`, `not_used` and `generated`, and optionally `groups.json` (file name to
patient). The truth is used for measuring only. Intervals are 95 % bootstrap intervals, over patients where the set has
them; "patients known" says whether the ranking was told. Cells: AUC (interval), TPR at 1 % FPR.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from table import insert

import fingerprint
from fingerprint.scores import METHODS

LABELS = {
    "default": "**default**: whole images and patches",
    "nearness": "whole images alone",
    "patches": "patches alone",
    "gan-leaks": "smallest distance (GAN-Leaks)",
    "gan-leaks-calibrated": "smallest distance, calibrated (GAN-Leaks)",
    "monte-carlo": "Monte Carlo (Hilprecht)",
    "domias": "density ratio (DOMIAS)",
    "adaptive": "distance / mean of 50 nearest (Carlini)",
    "tiles": "largest tile distance (Carlini)",
    "tiles-adaptive": "largest tile distance / mean of 50 nearest (Carlini)",
    "correlation": "correlation to the nearest (Dar)",
    "ssim": "largest SSIM (VCMI)",
    "authenticity": "authenticity (Alaa)",
    "votes": "retrieval votes",
    "votes-ssim": "retrieval votes by SSIM (VCMI)",
}


def measure(folder: Path, method: str, groups: dict[str, str] | None, *, grouped: bool) -> fingerprint.Evaluation:
    """Rank a set by one method and compare with the truth."""
    ranking = fingerprint.rank(
        [folder / "used", folder / "not_used"], folder / "generated", groups=groups if grouped else None, method=method
    )
    used = [Path(name).parent.name == "used" for name in ranking.names]
    patients = [groups[Path(name).name] for name in ranking.names] if groups else None
    return fingerprint.evaluate(used, ranking.scores, groups=patients)


def main() -> None:
    """Print the measures as they come, then the table, which --page puts between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--patients", nargs="+", default=["unknown", "known"], choices=["unknown", "known"])
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    cells: dict[str, list[str]] = {method: [] for method in options.methods}
    columns = []
    for folder in options.sets:
        file = folder / "groups.json"
        groups = json.loads(file.read_text()) if file.exists() else None
        for patients in options.patients if groups else ("unknown",):
            columns.append(f"{folder.name}, patients {patients}")
            for method in options.methods:
                start = time.perf_counter()
                found = measure(folder, method, groups, grouped=patients == "known")
                auc, tpr = found.roc_auc, found.tpr_at_1_percent_fpr.value
                cells[method].append(f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), {tpr:.2f}")
                seconds = time.perf_counter() - start
                print(f"{columns[-1]}: {method}: {cells[method][-1]} [{seconds:.1f} s]", file=sys.stderr, flush=True)
    lines = [
        f"| statistic | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
        *(f"| {LABELS[method]} | {' | '.join(row)} |" for method, row in cells.items()),
    ]
    if options.page:
        insert(options.page, "accuracy", "\n".join(lines))
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
