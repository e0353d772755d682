"""How well every method tells used from unused real images, on sets whose truth is known.

    python benchmarks/accuracy.py SET_DIR [SET_DIR …] [--methods NAME …] [--out table.md]

A set is a folder with the folders `used`, `not_used` and `generated`, and optionally `groups.json` (file name to patient).
The truth is used for measuring only. Intervals are 95 % bootstrap intervals over patients where groups are known.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

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


def auc(scores: np.ndarray, used: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    ranks = rankdata(scores)
    n_used = used.sum()
    return (ranks[used].sum() - n_used * (n_used + 1) / 2) / (n_used * (~used).sum())


def tpr_at(scores: np.ndarray, used: np.ndarray, fpr: float) -> float:
    """Return the share of used images above the threshold that at most this share of unused ones exceeds."""
    descending = np.sort(scores[~used])[::-1]
    return float((scores[used] > descending[int(fpr * len(descending))]).mean())


def interval(scores: np.ndarray, used: np.ndarray, groups: np.ndarray, *, draws: int = 500) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the AUC, drawing whole groups of used and of unused images."""
    rng = np.random.default_rng(0)
    members = {
        label: [np.flatnonzero((groups == g) & (used == label)) for g in np.unique(groups[used == label])]
        for label in (True, False)
    }
    found = []
    for _ in range(draws):
        drawn = np.concatenate([m[i] for m in members.values() for i in rng.integers(len(m), size=len(m))])
        found.append(auc(scores[drawn], used[drawn]))
    return tuple(np.percentile(found, [2.5, 97.5]))


def measure(folder: Path, method: str, groups: dict[str, str] | None, *, grouped: bool) -> dict[str, object]:
    """Rank a set by one method and compare with the truth."""
    start = time.perf_counter()
    ranking = fingerprint.rank(
        [folder / "used", folder / "not_used"], folder / "generated", groups=groups if grouped else None, method=method
    )
    seconds = time.perf_counter() - start
    used = np.array([Path(name).parent.name == "used" for name in ranking.names])
    patients = np.array([groups[Path(name).name] if groups else name for name in ranking.names])
    low, high = interval(ranking.scores, used, patients)
    return {
        "set": folder.name,
        "method": method,
        "patients": "known" if grouped else "unknown",
        "auc": auc(ranking.scores, used),
        "low": low,
        "high": high,
        "tpr": tpr_at(ranking.scores, used, 0.01),
        "seconds": seconds,
    }


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
                row = measure(folder, method, groups, grouped=grouped)
                lines.append(
                    f"| {row['set']} | {row['patients']} | {LABELS[method]} | {row['auc']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
                    f"| {row['tpr']:.2f} | {row['seconds']:.1f} |"
                )
                print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
