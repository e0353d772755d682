"""The exact nearest patch in a window, against brute force by BLAS and by faiss; and the patch evidence of a pair.

    pytest benchmarks/test_patches.py --benchmark-enable --benchmark-columns=median,rounds -s

The alternatives search a tenth of the places, and their time counts tenfold. Results are compared before any is timed.
"""

from __future__ import annotations

import numpy as np
import pytest
from compete import compete

from fingerprint import phantoms
from fingerprint._base import concurrency
from fingerprint._patches import gain_reals, gains
from fingerprint._patches.matches import NearestPatches, nearest_patches

REAL, FAKE, SIZE, RADIUS = 200, 256, 16, 4
EVERY = 10


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    """Return phantoms, and what a generator that leaks makes of them."""
    real = phantoms.thorax(REAL)
    return real, phantoms.generate(real, FAKE, leak=0.3)[0]


def sites(found: NearestPatches) -> list[tuple[int, int, int, int]]:
    """Return (row, column, y, x) of every tenth place at which all its windows lie inside."""
    inside = [
        (r, c, int(y), int(x))
        for r, y in enumerate(found.rows)
        for c, x in enumerate(found.columns)
        if RADIUS <= y <= 256 - SIZE - RADIUS and RADIUS <= x <= 256 - SIZE - RADIUS
    ]
    return inside[::EVERY]


def operands(real: np.ndarray, fake: np.ndarray, y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the patches at a place and the windows around it, one a row."""
    mine = np.ascontiguousarray(real[:, y : y + SIZE, x : x + SIZE].reshape(len(real), -1), np.float32)
    around = fake[:, y - RADIUS : y + RADIUS + SIZE, x - RADIUS : x + RADIUS + SIZE]
    windows = np.lib.stride_tricks.sliding_window_view(around, (SIZE, SIZE), axis=(1, 2))
    return mine, np.ascontiguousarray(windows.reshape(-1, SIZE * SIZE), np.float32)


def by_blas(mine: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return the smallest squared distance of every patch; whole numbers, which float32 holds."""
    ranks = np.einsum("ij,ij->i", windows, windows) - 2 * (mine @ windows.T)
    return np.einsum("ij,ij->i", mine, mine) + ranks[np.arange(len(mine)), ranks.argmin(axis=1)]


def by_faiss(mine: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return the smallest squared distance of every patch."""
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatL2(SIZE * SIZE)
    index.add(windows)
    return index.search(mine, 1)[0][:, 0]


@pytest.mark.parametrize("brute", [by_blas, by_faiss])
def test_nearest_patches(benchmark, images, brute):
    real, fake = images
    found = nearest_patches(real, fake, patch_size=SIZE, stride=8, radius=RADIUS)
    chosen = sites(found)
    present = {(r, c): found.informative[:, r, c] for r, c, _, _ in chosen}

    def theirs() -> list[np.ndarray]:
        return [
            brute(*operands(real[present[r, c]], fake, y, x)) if present[r, c].any() else np.zeros(0)
            for r, c, y, x in chosen
        ]

    for (r, c, _, _), squared in zip(chosen, theirs(), strict=True):
        mine = found.distances[present[r, c], r, c]
        np.testing.assert_allclose(np.sqrt(np.maximum(squared, 0)) / SIZE, mine, rtol=1e-3, atol=0.15)
    benchmark.extra_info["work"] = f"nearest patches of {REAL} slices in {FAKE} slices"
    searched = sum(int(there.sum()) for there in present.values())
    compete(
        benchmark,
        lambda: nearest_patches(real, fake, patch_size=SIZE, stride=8, radius=RADIUS),
        theirs,
        peer={by_blas: "BLAS for each place", by_faiss: "faiss for each place"}[brute],
        share=searched / int(found.informative.sum()),
        rounds=3,
    )


def test_gains(benchmark, images):
    """Time the comparison of 200 x 64 images, mirrored too, on one thread."""
    real, fake = images
    prepared = gain_reals.prepare_patches(real, threads=concurrency.resolve(None))
    names = [str(i) for i in range(len(fake))]
    first = gains.summarise_gains(prepared, fake, names)
    assert first.scores.max() > 0
    benchmark.pedantic(gains.summarise_gains, (prepared, fake, names), rounds=5)
    if benchmark.enabled:
        benchmark.extra_info["microseconds a pair"] = benchmark.stats.stats.median / (REAL * FAKE) * 1e6
        print(f"\n{benchmark.extra_info['microseconds a pair']:.2f} microseconds a pair")
