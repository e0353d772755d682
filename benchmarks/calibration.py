"""Whether the promised errors are kept: generators that leak nothing, and a reference of unused images.

    python benchmarks/calibration.py [--runs 1000] [--out calibration.png]

Phantoms are drawn once, with slices of one patient; every run draws anew which patients were used and which synthetic
images are seen. First, nothing leaks: the p-values of `audit` have to be uniform, for images and for patients, those of
`rank` with a reference of a few patients at least as large, and `rank(…).decide` without labels has to find no
evidence. Then 20 of 50 ranked images are used, and leak: the share of
wrong calls has to stay below the false discovery rate that `decide` was asked for, with a reference and without.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import binom, kstest

import fingerprint
from fingerprint.phantoms import generate, thorax

SIZE, SLICES, PATIENTS, SYNTHETIC = 32, 2, 60, 400
RATES = (0.05, 0.1, 0.2, 0.3, 0.5)


def p_values(runs: int) -> dict[str, np.ndarray]:
    """Return the p-values of audits without a leak, patients kept together."""
    real = thorax(PATIENTS * SLICES, size=SIZE, slices_per_patient=SLICES)
    fake = generate(thorax(SLICES, seed=1, size=SIZE), SYNTHETIC, leak=0)[0]
    found = {"images": [], "patients": []}
    for run in range(runs):
        rng = np.random.default_rng(run)
        seen = fake[rng.permutation(SYNTHETIC)[:100]]
        for kind, count in (("images", 1), ("patients", SLICES)):
            order = rng.permutation(PATIENTS)[:40]
            chosen = (order[:, None] * SLICES + np.arange(count)).ravel()
            half = 20 * count
            groups = None if count == 1 else [str(i // SLICES) for i in chosen]
            audited = fingerprint.audit(
                real[chosen[:half]], real[chosen[half:]], seen, groups=groups, n_permutations=999, seed=run, threads=1
            )
            found[kind].append(audited.p_value)
    return {kind: np.array(values) for kind, values in found.items()}


def p_values_by_patient(runs: int) -> dict[str, np.ndarray]:
    """Return the p-values of ten unused patients, and of a slice of each, against a reference of ten others."""
    many = 4  # slices of a patient
    real = thorax(PATIENTS * many, size=SIZE, slices_per_patient=many)
    fake = generate(thorax(many, seed=1, size=SIZE), SYNTHETIC, leak=0)[0]
    found = {"patients": [], "slices": []}
    for run in range(runs):
        rng = np.random.default_rng(run)
        chosen = (rng.permutation(PATIENTS)[:20, None] * many + np.arange(many)).ravel()
        half = len(chosen) // 2
        ranking = fingerprint.rank(
            real[chosen[:half]],
            fake[rng.permutation(SYNTHETIC)[:100]],
            reference=real[chosen[half:]],
            groups=[str(i // many) for i in chosen],
            threads=1,
        )
        for group in ranking.by_group():
            found["patients"].append(group.p_value)
            found["slices"].append(group.rows[rng.integers(many)].p_value)
    return {kind: np.array(values).reshape(runs, -1) for kind, values in found.items()}


def false_alarms(runs: int) -> dict[str, dict[float, int]]:
    """Return in how many runs without a leak any image is called used, by the rate that was asked for."""
    real = thorax(PATIENTS * SLICES, size=SIZE, slices_per_patient=SLICES)
    fake = generate(thorax(SLICES, seed=1, size=SIZE), SYNTHETIC, leak=0)[0]
    found = {kind: dict.fromkeys(RATES, 0) for kind in ("unknown", "known")}
    for run in range(runs):
        rng = np.random.default_rng(run)
        chosen = (rng.permutation(PATIENTS)[:40, None] * SLICES + np.arange(SLICES)).ravel()
        seen = fake[rng.permutation(SYNTHETIC)[:200]]
        for kind, alarms in found.items():
            groups = None if kind == "unknown" else [str(i // SLICES) for i in chosen]
            ranking = fingerprint.rank(real[chosen], seen, groups=groups, threads=1)
            for rate in RATES:
                alarms[rate] += bool(ranking.decide(false_discovery_rate=rate).used.any())
    return found


def false_discoveries(runs: int, *, referenced: bool) -> dict[float, np.ndarray]:
    """Return the share of wrong calls of every run, by the rate that was asked for."""
    real = thorax(200, seed=2, size=SIZE)
    used = real[:20]
    fake = generate(used, SYNTHETIC, seed=3, leak=0.5)[0]
    found: dict[float, list[float]] = {rate: [] for rate in RATES}
    for run in range(runs):
        rng = np.random.default_rng(run)
        unused = real[20:][rng.permutation(180)]
        ranking = fingerprint.rank(
            np.concatenate([used, unused[:30]]),
            fake[rng.permutation(SYNTHETIC)[:100]],
            reference=unused[30:130] if referenced else None,
            threads=1,
        )
        wrong = np.array([int(name) >= len(used) for name in ranking.names])
        for rate, shares in found.items():
            called = ranking.decide(false_discovery_rate=rate).used
            shares.append((called & wrong).sum() / max(1, called.sum()))
    return {rate: np.array(shares) for rate, shares in found.items()}


def draw(path: Path, audits: dict[str, np.ndarray], shares: dict[float, np.ndarray]) -> None:
    """Draw both."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for kind, values in audits.items():
        left.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), label=f"by {kind}")
    left.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="uniform")
    left.set(xlabel="p-value without a leak", ylabel="share of audits up to it", title="audit")
    left.legend()
    means = [values.mean() for values in shares.values()]
    errors = [1.96 * values.std() / np.sqrt(len(values)) for values in shares.values()]
    right.errorbar(list(shares), means, yerr=errors, marker="o", capsize=3)
    right.plot([0, max(RATES)], [0, max(RATES)], color="0.6", linestyle=":", label="what was asked for")
    right.set(xlabel="false discovery rate asked for", ylabel="share of wrong calls", title="rank with a reference")
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the figures, draw them where asked, and fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    audits, claims = p_values(options.runs), false_alarms(options.runs)
    shares = {
        kind: false_discoveries(options.runs, referenced=kind == "reference") for kind in ("reference", "no labels")
    }
    kept = []
    for kind, values in audits.items():
        alarms = int((values <= 0.05).sum())
        low, high = binom.interval(0.95, options.runs, 0.05)
        # p-values are multiples of 1/1000: up to one step above uniform ones
        uniform = kstest(values - np.random.default_rng(0).uniform(0, 0.001, len(values)), "uniform").pvalue
        kept += [low <= alarms <= high, uniform > 0.01]
        print(
            f"audit by {kind}: {alarms} of {options.runs} false alarms at 5 % (95 % of the time {low:.0f} to "
            f"{high:.0f}), Kolmogorov-Smirnov p = {uniform:.2f}"
        )
    for kind, values in p_values_by_patient(options.runs).items():
        for level in (1 / 11, 3 / 11, 6 / 11):
            shares_below = (values <= level + 1e-9).mean(axis=1)  # ten patients of a run share their reference
            error = shares_below.std() / np.sqrt(len(values))
            kept.append(shares_below.mean() - 2 * error <= level)
            print(
                f"rank with a reference of ten patients, {kind}: {100 * shares_below.mean():.1f} % of p-values are at "
                f"most {level:.3f} (standard error {100 * error:.1f} %)"
            )
    for kind, raised in claims.items():
        kept += [count <= binom.ppf(0.975, options.runs, rate) for rate, count in raised.items()]
        counts = ", ".join(f"{count} at {rate:g}" for rate, count in raised.items())
        print(f"decide without labels, patients {kind}: false alarms in {options.runs} runs without a leak: {counts}")
    for kind, by_rate in shares.items():
        for rate, values in by_rate.items():
            error = values.std() / np.sqrt(len(values))
            kept.append(values.mean() - 2 * error <= rate)
            print(f"{kind}: asked for {rate:g} wrong calls: {values.mean():.3f} (standard error {error:.3f})")
    if options.out:
        draw(options.out, audits, shares["reference"])
    if not all(kept):
        raise SystemExit("a promised error is not kept")


if __name__ == "__main__":
    main()
