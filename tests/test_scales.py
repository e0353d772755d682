"""Reductions against loops that a reader believes at a glance."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._distances import metrics
from fingerprint._evidence import scales
from fingerprint._evidence.scales import Scale

RNG = np.random.default_rng(5)


def naive_reduce(pixels, factor):
    largest = np.iinfo(pixels.dtype).max * factor**2
    shift = 0
    while largest >> shift > 65535:
        shift += 1
    n, h, w = pixels.shape
    out = np.zeros((n, h // factor, w // factor), dtype=np.uint16)
    for i, y, x in np.ndindex(out.shape):
        square = pixels[i, y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        out[i, y, x] = sum(int(value) for value in square.ravel()) >> shift
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("factor", [2, 3, 4, 16])
@pytest.mark.parametrize("extreme", [False, True])
def test_reduce_sums_squares(dtype, factor, extreme) -> None:
    largest = np.iinfo(dtype).max
    pixels = RNG.integers(0, largest + 1, (3, 33, 35), dtype=dtype)
    if extreme:
        pixels[:] = largest
    expected = naive_reduce(pixels, factor)
    for layout in (pixels, np.asfortranarray(pixels), pixels[::-1].copy()[::-1]):
        assert np.array_equal(scales.reduce(layout, factor), expected)


def test_reduce_by_one_changes_nothing() -> None:
    pixels = RNG.integers(0, 256, (2, 5, 5), dtype=np.uint8)
    assert scales.reduce(pixels, 1) is pixels


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_pyramid_starts_at_full_resolution_and_ends_at_16_pixels(height, width) -> None:
    found = scales.pyramid(height, width)
    assert found[0].factor == 1
    assert all(b.factor == 4 * a.factor for a, b in pairwise(found))
    last = min(height, width) // found[-1].factor
    assert len(found) == 1 or last >= 16
    assert last // 4 < 16


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_windows_have_16_pixels_at_least(height, width) -> None:
    whole = scales.pyramid(height, width)
    found = scales.windows(whole, height, width)
    assert all(scale.windowed and scale.whitened for scale in found)
    expected = [scale.factor for scale in whole if min(height, width) // scale.factor // 2 >= 16]
    assert [scale.factor for scale in found] == [factor for factor in expected for _ in range(9)]


def test_scales_of_one_factor_share_one_preparation() -> None:
    pixels = RNG.integers(0, 256, (4, 16, 16), dtype=np.uint8)
    chosen = (Scale(1, "euclidean"), Scale(2, "correlation"), Scale(1, "correlation", whitened=True))
    sides = scales.prepare_scales(pixels, chosen)
    assert sides[chosen[0]] is sides[chosen[2]]
    compared = scales.compare_scales(sides, sides)
    assert list(compared) == list(chosen)
    for scale in chosen:
        side = metrics.prepare_side(scales.reduce(pixels, scale.factor), scale.metric)
        assert np.array_equal(compared[scale], metrics.matrix(side, side))


def test_a_scale_names_itself() -> None:
    assert Scale(4, "correlation", whitened=True).name == "whitened correlation, 4x4 pixels"
    assert Scale(1, "ssim").name == "ssim, 1x1 pixels"
