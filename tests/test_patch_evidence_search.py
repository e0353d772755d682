"""The search behind the evidence of patches: what is laid out for it, and that every kernel finds the same."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from waves import waves

from fingerprint import _compiler, _patch_evidence_kernels
from fingerprint._patch_evidence_search import Layout, Stretched, box_grid, pack


def stretched(height, width, seed=0):
    """Images as laid out for the search, and the boxes of each, stretched to 8 bits."""
    layout = Layout.of(height, width)
    grids = np.stack([box_grid(image, layout) for image in waves(seed, 3, height, width)])
    low, span = (value[:, None, None] for value in (grids.min(axis=(1, 2)), np.ptp(grids, axis=(1, 2))))
    boxes = ((grids - low).astype(np.float32) * (255 / span).astype(np.float32) + np.float32(0.5)).astype(np.uint8)
    return Stretched.of(grids, layout), boxes


SIZES = [(20, 24), (9, 8), (130, 128)]  # the last with two steps to a box


@pytest.mark.parametrize("size", SIZES)
def test_windows_are_laid_out_and_weighed(size):
    laid_out, boxes = stretched(*size)
    step, reach = laid_out.layout.spread, laid_out.layout.radius
    for site in laid_out.layout.sites[:: max(1, len(laid_out.layout.sites) // 5)]:
        windows, scales = laid_out.windows(site)
        for n, (dy, dx) in enumerate(itertools.product(range(-reach, reach + 1), repeat=2)):
            y, x = site[0] + dy, site[1] + dx
            inside = y >= 0 and x >= 0 and y + 7 * step < boxes.shape[1] and x + 7 * step < boxes.shape[2]
            if not inside:
                assert not scales[:, n].any()
                continue
            cut = boxes[:, y : y + 8 * step : step, x : x + 8 * step : step].reshape(len(boxes), 64)
            np.testing.assert_array_equal(windows[:, n].view(np.uint8), cut)
            norms = np.sqrt(((cut - cut.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
            expected = np.divide(1, 8 * norms, out=np.zeros(len(norms)), where=norms > 1e-6)
            np.testing.assert_allclose(scales[:, n], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["amx", "vectors", "numpy"])
@pytest.mark.parametrize("size", SIZES)
def test_every_kernel_finds_the_same(name, size):
    if not _compiler.runs(name):
        pytest.skip(f"no {name} here")
    laid_out = replace(stretched(*size)[0], kernel=name)
    patterns = np.random.default_rng(0).integers(-128, 128, (37, 64)).astype(np.int8)
    patterns[0], patterns[1] = -128, 127
    for count in (0, 1, 2, 37):
        for site in laid_out.layout.sites[:: max(1, len(laid_out.layout.sites) // 5)]:
            windows, scales = laid_out.windows(site)
            products = windows.view(np.uint8).astype(int) @ patterns[:count].T.astype(int)
            expected = np.maximum((products.astype(np.float32) * scales[:, :, None]).max(axis=1), 0)
            np.testing.assert_array_equal(laid_out.best(site, patterns[:count]), expected)


def test_gathering_without_a_compiler_is_the_same():
    if not _compiler.runs("portable"):
        pytest.skip("no compiler")
    rng = np.random.default_rng(0)
    for spread in (1, 2):
        quads = rng.integers(0, 2**32, (2, 40, 48), np.uint32)
        scales = rng.random((2, 30, 48), np.float32)
        for site in ((0, 0), (6, 9)):
            found = [(np.zeros((2, 96, 16), np.uint32), np.ones((2, 96), np.float32)) for _ in range(2)]
            for gather, buffers in zip(_patch_evidence_kernels.GATHER.values(), found, strict=True):
                gather(quads, scales, *site, 2 * spread, spread, *buffers)
            for a, b in zip(*found, strict=True):
                np.testing.assert_array_equal(a, b)


def test_patterns_are_packed_16_at_a_time():
    patterns = np.random.default_rng(0).integers(-128, 128, (21, 64)).astype(np.int8)
    packed = pack(patterns)
    assert packed.shape == (2, 16, 16, 4)
    for n, k in np.ndindex(32, 64):
        assert packed[n // 16, k // 4, n % 16, k % 4] == (patterns[n, k] if n < 21 else 0)
