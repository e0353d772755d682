"""Do scores stay on one scale, however many images there are? On a set of known truth, drawn at random.

    python benchmarks/counts.py SET_DIR [--size 64] [--draws 8] [--page docs/reading.md]

The set is a folder with `used`, `not_used` and `generated`. Real images are drawn from the unused ones alone, then from
the used ones alone, so that their scores have nothing else to be measured by. A cell has the median score and the
highest of all draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from table import publish

import fingerprint

REAL = 1, 5, 20, 200
FAKE = 20, 100, 500, 2500


def scores(real: np.ndarray, fake: np.ndarray, n_real: int, n_fake: int, draws: int) -> np.ndarray:
    """Return the scores of real images, those of several draws one after the other."""
    rng = np.random.default_rng(0)
    drawn = [
        (real[rng.permutation(len(real))[:n_real]], fake[rng.permutation(len(fake))[:n_fake]]) for _ in range(draws)
    ]
    return np.concatenate([fingerprint.rank(*sides, progress=False).scores for sides in drawn])


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    sides = {name: fingerprint.load(options.set / name, size=options.size).pixels for name in ("not_used", "used")}
    fake = fingerprint.load(options.set / "generated", size=options.size).pixels
    lines = [
        f"| real images, {options.set.name} | {' | '.join(f'{count:,} synthetic' for count in FAKE)} |",
        "|---" * (len(FAKE) + 1) + "|",
    ]
    for name, real in sides.items():
        for n_real in REAL:
            found = [scores(real, fake, n_real, n_fake, options.draws) for n_fake in FAKE]
            cells = (f"{np.median(some):.1f}, {some.max():.0f}" for some in found)
            lines.append(f"| {n_real}, {name.replace('_', ' ')} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    publish(options.page, "numbers", "\n".join(lines))


if __name__ == "__main__":
    main()
