"""Each metric against the fastest common alternative, on 8-bit images of 256x256; results compared before any is timed.

    pytest benchmarks/test_distance.py --benchmark-enable --benchmark-columns=median,rounds

Rounds alternate: before each of ours the alternative runs once. The ratio of the medians, for as many pairs, is printed
and kept in `extra_info` as ``ratio``: how many times as fast ours is.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from compete import compete

import fingerprint
from fingerprint._base import concurrency
from fingerprint._distances import metrics

THREADS = concurrency.resolve(None)
SIDE = 256


def slices(n: int, seed: int, dtype: type = np.uint8) -> np.ndarray:
    """Return smooth images with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(n, 9, 9))
    at = np.linspace(0, 7.999, SIDE)
    low, part = at.astype(int), at - at.astype(int)
    rows = coarse[:, low] * (1 - part)[:, None] + coarse[:, low + 1] * part[:, None]
    smooth = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    smooth = smooth.astype(np.float32) / 8 + 0.5 + rng.normal(scale=0.02, size=smooth.shape).astype(np.float32)
    return np.ascontiguousarray((smooth.clip(0, 1) * np.iinfo(dtype).max).round(), dtype)


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return slices(200, 0)


@pytest.fixture(scope="module")
def fake() -> np.ndarray:
    return slices(2000, 1)


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def test_euclidean_against_the_float32_product(benchmark, real, fake):
    a, b = flat(real), flat(fake)
    d = fingerprint.distances(real, fake)
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    np.testing.assert_allclose(d**2, squares / SIDE**2, rtol=1e-3)
    compete(benchmark, lambda: fingerprint.distances(real, fake), lambda: a @ b.T)


def test_euclidean_against_sklearn(benchmark, real, fake):
    pairwise = pytest.importorskip("sklearn.metrics").pairwise_distances
    a, b = flat(real), flat(fake)
    np.testing.assert_allclose(fingerprint.distances(real, fake) * SIDE, pairwise(a, b), rtol=1e-3)
    compete(benchmark, lambda: fingerprint.distances(real, fake), lambda: pairwise(a, b))


def test_euclidean_against_faiss(benchmark, real, fake):
    faiss = pytest.importorskip("faiss")
    a, b = flat(real), flat(fake)
    np.testing.assert_allclose(
        (fingerprint.distances(real, fake) * SIDE) ** 2, faiss.pairwise_distances(a, b), rtol=1e-2
    )
    compete(benchmark, lambda: fingerprint.distances(real, fake), lambda: faiss.pairwise_distances(a, b))


def test_correlation_against_sklearn(benchmark, real, fake):
    pairwise = pytest.importorskip("sklearn.metrics").pairwise_distances
    a, b = ((x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) / SIDE for x in (flat(real), flat(fake)))
    np.testing.assert_allclose(
        fingerprint.distances(real, fake, metric="correlation"), pairwise(a, b) ** 2 / 2, rtol=1e-3
    )
    compete(benchmark, lambda: fingerprint.distances(real, fake, metric="correlation"), lambda: pairwise(a, b) ** 2 / 2)


def test_tiles_against_sklearn(benchmark, real, fake):
    pairwise = pytest.importorskip("sklearn.metrics").pairwise_distances
    corners = range(0, SIDE, SIDE // 4)
    sides = [
        [flat(images[:, r : r + SIDE // 4, c : c + SIDE // 4]) for r in corners for c in corners]
        for images in (real, fake)
    ]

    def theirs() -> np.ndarray:
        worst = pairwise(sides[0][0], sides[1][0])
        for a, b in zip(sides[0][1:], sides[1][1:], strict=True):
            np.maximum(worst, pairwise(a, b), out=worst)
        return worst * 4 / SIDE

    np.testing.assert_allclose(fingerprint.distances(real, fake, metric="tiles"), theirs(), rtol=1e-3)
    compete(benchmark, lambda: fingerprint.distances(real, fake, metric="tiles"), theirs)


def test_manhattan_against_scipy(benchmark, real, fake):
    from scipy.spatial.distance import cdist

    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (real, fake[:40]))

    def theirs() -> np.ndarray:
        with ThreadPoolExecutor(THREADS) as pool:
            return np.concatenate(list(pool.map(lambda x: cdist(x, b, "cityblock"), np.array_split(a, THREADS))))

    np.testing.assert_array_equal(fingerprint.distances(real, fake[:40], metric="manhattan"), theirs() / SIDE**2)
    compete(benchmark, lambda: fingerprint.distances(real, fake, metric="manhattan"), theirs, share=40 / len(fake))


def similarities(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Run in a process of its own."""
    from skimage.metrics import structural_similarity

    return [structural_similarity(a, b, data_range=255) for a in real for b in fake]


def test_ssim_against_scikit_image(benchmark, real, fake):
    pytest.importorskip("skimage")
    a, b = real[:128], fake[:256]
    with ProcessPoolExecutor(THREADS) as pool:

        def theirs() -> list[float]:
            parts = pool.map(similarities, [real[[i]] for i in range(THREADS)], [fake[:20]] * THREADS)
            return [value for part in parts for value in part]

        d = fingerprint.distances(a, b, metric="ssim")
        np.testing.assert_allclose(1 - d[:THREADS, :20].ravel(), theirs(), rtol=0, atol=1e-6)
        share = 20 * THREADS / d.size
        compete(benchmark, lambda: fingerprint.distances(a, b, metric="ssim"), theirs, share=share)


@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
def test_nearest_against_the_matrix(benchmark, real, fake, metric):
    if metric == "ssim":
        real, fake = real[:64], fake[:256]
    d, found = fingerprint.distances(real, fake, metric=metric), fingerprint.nearest(real, fake, metric=metric)
    np.testing.assert_array_equal(found.distances, np.sort(d, axis=1)[:, :10])
    compete(
        benchmark,
        lambda: fingerprint.nearest(real, fake, metric=metric),
        lambda: fingerprint.distances(real, fake, metric=metric),
    )


@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
def test_all_cores_against_one(benchmark, real, fake, metric):
    if metric == "ssim":
        real, fake = real[:64], fake[:256]
    one, both = (fingerprint.distances(real, fake, metric=metric, threads=threads) for threads in (1, THREADS))
    np.testing.assert_array_equal(one, both)
    compete(
        benchmark,
        lambda: fingerprint.distances(real, fake, metric=metric),
        lambda: fingerprint.distances(real, fake, metric=metric, threads=1),
    )


RANGES = {12: "12-bit range, as of CT", 16: "full range"}
DEEP = [(metric, bits) for metric in metrics.IMAGE_METRICS for bits in RANGES if metric != "ssim" or bits == 16]


@pytest.mark.parametrize(("metric", "bits"), DEEP, ids=[f"{metric}-{RANGES[bits]}" for metric, bits in DEEP])
def test_8_bit_against_16_bit(benchmark, metric, bits):
    """The kernels take 16-bit images of a narrow range in fewer steps; the similarity takes all alike."""
    counts = (64, 256) if metric == "ssim" else (200, 1000)
    deep = [slices(n, seed, np.uint16) >> (16 - bits) for seed, n in enumerate(counts)]
    assert all(2 ** (bits - 1) < int(side.max()) - int(side.min()) < 2**bits for side in deep)
    factor = (2**bits - 1) // 255
    sides = [(side // factor).clip(0, 255).astype(np.uint8) for side in deep]
    scaled = [side.astype(np.uint16) * np.uint16(factor) for side in sides]
    scale = factor if metric in ("euclidean", "l2", "manhattan", "tiles") else 1
    np.testing.assert_allclose(
        fingerprint.distances(*scaled, metric=metric), scale * fingerprint.distances(*sides, metric=metric), atol=1e-6
    )
    compete(
        benchmark,
        lambda: fingerprint.distances(*sides, metric=metric),
        lambda: fingerprint.distances(*deep, metric=metric),
    )
