"""The search behind gains: what is laid out for it, and that every kernel finds the same."""

import itertools

import numpy as np
import pytest
from waves import waves

from fingerprint._kernels import compiler, patch_gains
from fingerprint._patches.gain_search import GainPatches, GainWindows, PatchGrid, cells_of, in_groups, sites_of

SIZES = [(20, 24), (9, 8), (130, 128)]  # the last with two steps in a cell


def reduced(height, width, seed=0, dtype=np.uint8):
    """Images as cells, and their grid."""
    grid = PatchGrid.of(height, width)
    return cells_of(waves(seed, 3, height, width, dtype), grid), grid


def extreme(grid):
    """Cells of noise, black and white, nearly flat, and flat."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, grid.cell_shape)
    images = [noise, 255 * (noise > 127), 255 - noise // 250, np.full(grid.cell_shape, 255), np.zeros(grid.cell_shape)]
    return np.array(images, np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [*SIZES, (384, 300), (1024, 512)])  # one, two, four and eight pixels along a cell
def test_cells_are_sums_stretched_to_8_bits(size, dtype):
    grid = PatchGrid.of(*size)
    image = waves(0, 1, *size, dtype)[0]
    sides = [range(0, length - grid.cell + 1, grid.step) for length in size]
    sums = np.array([[image[y : y + grid.cell, x : x + grid.cell].sum(dtype=int) for x in sides[1]] for y in sides[0]])
    expected = (sums - sums.min()) * 255 / np.ptp(sums)
    (found,) = cells_of(image[None], grid)
    assert found.dtype == np.uint8
    assert (found.min(), found.max()) == (0, 255)
    assert np.abs(found - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_real_images_are_cut_into_patches(size):
    images, grid = reduced(*size)
    cut = GainPatches.of(images, grid, 1).with_mirrored
    assert cut.norms.shape == (2, 3, *grid.shape)
    s = grid.spread
    for r, c in np.ndindex(*grid.shape):
        y, x = grid.rows[r] // grid.step, grid.columns[c] // grid.step
        patch = images[:, y : y + 8 * s : s, x : x + 8 * s : s].astype(int) - 128
        for side, column in ((0, c), (1, grid.shape[1] - 1 - c)):
            found, means = cut.at(r, column, mirrored=side)
            shown = patch[:, :, ::-1] if side else patch
            np.testing.assert_array_equal(found, shown.reshape(3, 64))
            np.testing.assert_array_equal(means, patch.mean(axis=(1, 2)))
            norms = 8 * np.sqrt(((patch - patch.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2)))
            expected = np.divide(1, norms, out=np.zeros(3), where=norms >= 64)
            np.testing.assert_allclose(cut.norms[side, :, r, column], expected, rtol=1e-6)


def test_a_patch_that_varies_by_one_grey_level_is_informative():
    grid = PatchGrid.of(8, 8)
    halves = np.repeat([[100], [102]], 4, axis=0) * np.ones(8, int)  # standard deviation 1
    nearly = halves.copy()
    nearly[0, 0] += 1
    cut = GainPatches.of(np.array([halves, nearly], np.uint8), grid, 1)
    assert (cut.norms[0, :, 0, 0] > 0).tolist() == [True, False]


@pytest.mark.parametrize("size", SIZES)
def test_windows_are_laid_out_and_weighed(size):
    images, grid = reduced(*size)
    step, reach = grid.spread, grid.radius
    windows = GainWindows.of(images, grid)
    shifts = np.arange(-reach, reach + 1)
    for r, c in sites_of(np.zeros((1, 2), int), grid.shape)[:: max(1, grid.shape[0] * grid.shape[1] // 5)]:
        found, scales = windows.at(r, c)
        assert found.shape == (3, len(shifts) ** 2, 64)
        for n, (dy, dx) in enumerate(itertools.product(shifts, repeat=2)):
            y, x = grid.rows[r] // grid.step + dy, grid.columns[c] // grid.step + dx
            inside = y >= 0 and x >= 0 and y + 7 * step < images.shape[1] and x + 7 * step < images.shape[2]
            if not inside:
                assert not scales[:, n].any()
                continue
            cut = images[:, y : y + 8 * step : step, x : x + 8 * step : step].reshape(3, 64)
            np.testing.assert_array_equal(found[:, n], cut)
            norms = np.sqrt(((cut - cut.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
            expected = np.divide(8, norms, out=np.zeros(len(norms)), where=norms > 1e-6)
            np.testing.assert_allclose(scales[:, n], expected, rtol=1e-6)


def scaled(windows, cut, row, column, mirrored=0):
    """Scaled products of windows with patches at a place, (m, shifts, n), by the definition."""
    pixels, scales = windows.at(row, column)
    patches, means = cut.at(row, column, mirrored=mirrored)
    products = pixels.astype(int) @ patches.T.astype(int)
    about = 64 * products - pixels.sum(axis=2, dtype=int)[:, :, None] * (64 * means).astype(int)
    return (about / 64).astype(np.float32) * scales[:, :, None]


@pytest.mark.parametrize("name", ["compiled", "numpy"] if compiler.compiles() else ["numpy"])
@pytest.mark.parametrize("count", [9, 10])
@pytest.mark.parametrize("size", [*SIZES, (150, 260)])
def test_every_form_finds_the_same(name, count, size, monkeypatch):
    monkeypatch.setattr(patch_gains, "best_products", getattr(patch_gains, f"best_{name}"))
    grid = PatchGrid.of(*size)
    images = extreme(grid)
    windows = GainWindows.of(images, grid)
    cut = GainPatches.of(np.concatenate([images, images[:, ::-1]])[:count], grid, 1)
    rows, columns = grid.shape
    for first, shape in ((0, 0), (rows, columns)), ((rows - 1, columns - 1), (1, 1)):
        found = windows.best(cut, first, shape)
        for n, (r, c) in enumerate(sites_of(np.array([first]), shape)):
            np.testing.assert_array_equal(found[:, :, n], scaled(windows, cut, r, c).max(axis=1).clip(0))


@pytest.mark.parametrize("size", SIZES)
def test_whole_cells_are_laid_out_as_if_a_cell_were_a_step(size):
    grid = PatchGrid.of(*size)
    images = extreme(grid)
    windows, whole = GainWindows.of(images, grid), GainWindows.of_whole_cells(images, grid)
    there = (grid.offsets % grid.cell == 0).all(axis=1)
    for r, c in np.ndindex(*grid.shape):
        for found, expected in zip(whole.at(r, c), windows.at(r, c), strict=True):
            np.testing.assert_array_equal(found, expected[:, there])


@pytest.mark.parametrize("count", [1, 15, 16, 17, 33])
def test_any_number_of_real_images_is_searched(count):
    images, grid = reduced(20, 24)
    many = np.concatenate([reduced(20, 24, seed)[0] for seed in range(11)])
    windows = GainWindows.of(images, grid)
    found = windows.best(GainPatches.of(many[:count], grid, 1), (0, 0), grid.shape)
    one_by_one = [windows.best(GainPatches.of(image[None], grid, 1), (0, 0), grid.shape) for image in many[:count]]
    np.testing.assert_array_equal(found, np.concatenate(one_by_one, axis=1))


def test_16_images_lie_side_by_side():
    values = np.random.default_rng(0).integers(0, 100, (2, 19, 3, 5))
    found = in_groups(values)
    assert found.shape == (2, 2, 3, 5, 16)
    for n in range(32):
        expected = values[:, n] if n < 19 else np.zeros((2, 3, 5))
        np.testing.assert_array_equal(found[:, n // 16, ..., n % 16], expected)
