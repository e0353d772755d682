"""How well every method tells used from unused real images, on sets whose truth is known.

    python benchmarks/accuracy.py SET_DIR [SET_DIR …] [--methods NAME …] [--out table.md]

A set is a folder with the folders `used`, `not_used` and `generated`, and optionally `groups.json` (file name to
patient). The truth is used for measuring only. Intervals are 95 % bootstrap intervals, over patients where the set has
them; "patients known" says whether the ranking was told.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import fingerprint
from fingerprint.scores import METHODS

LABELS = {
    "default": "**default**",
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


def measure(folder: Path, method: str, groups: dict[str, str] | None, *, grouped: bool) -> str:
    """Rank a set by one method, compare with the truth, and return a row of the table."""
    start = time.perf_counter()
    ranking = fingerprint.rank(
        [folder / "used", folder / "not_used"], folder / "generated", groups=groups if grouped else None, method=method
    )
    seconds = time.perf_counter() - start
    used = [Path(name).parent.name == "used" for name in ranking.names]
    patients = [groups[Path(name).name] for name in ranking.names] if groups else None
    found = fingerprint.evaluate(used, ranking.scores, groups=patients)
    auc, tpr = found.roc_auc, found.tpr_at_1_percent_fpr
    return (
        f"| {folder.name} | {'known' if grouped else 'unknown'} | {LABELS[method]} "
        f"| {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}) | {tpr.value:.2f} | {seconds:.1f} |"
    )


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        "| set | patients | statistic | AUC (95 % interval) | TPR at 1 % FPR | seconds |",
        "|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n", flush=True)
    for folder in options.sets:
        file = folder / "groups.json"
        groups = json.loads(file.read_text()) if file.exists() else None
        for grouped in (False, True) if groups else (False,):
            for method in options.methods:
                lines.append(measure(folder, method, groups, grouped=grouped))
                print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
