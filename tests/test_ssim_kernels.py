"""Structural similarity: every kernel that runs here against the oracle, and all of them bit for bit."""

import naive
import numba
import numpy as np
import pytest

from fingerprint._distances import metrics
from fingerprint._kernels import ssim

JIT = not numba.config.DISABLE_JIT
FORMS = ["compiled", "numpy"] if JIT else ["numpy"]
BOTH = [pytest.param(name, dtype, id=f"{name}-{dtype.__name__}") for name in FORMS for dtype in (np.uint8, np.uint16)]


def images(n, shape, dtype, seed=0):
    """Noise, with an image of zeros, one of the largest pixels, a chequered one and its negative."""
    limit = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, limit, (n, *shape), dtype, endpoint=True)
    pixels[0], pixels[1:3] = 0, limit
    pixels[2:3, ::2, ::2] = 0
    pixels[3:4] = limit - pixels[2:3]
    return pixels


def similarity(monkeypatch, name, a, b):
    """The similarities by one kernel."""
    with monkeypatch.context() as context:
        context.setattr(ssim, "ssim", getattr(ssim, f"ssim_{name}"))
        return 1 - metrics.matrix(metrics.prepare_side(a, "ssim"), metrics.prepare_side(b, "ssim"))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 7), (8, 16), (7, 32), (7, 38), (9, 39), (8, 70), (7, 71)])
def test_interleaved_strips_hold_every_pixel_and_zeros(name, shape, dtype):
    h, w = shape
    pixels = images(19, shape, dtype)
    strips = -(-(w - 6) // ssim.STRIP)
    out = np.full((2, strips, 7 + h, 16 * ssim.COLUMNS), 77, dtype)
    kernel = getattr(ssim, f"interleave_{name}")
    kernel(pixels, 0, 1, out)
    assert (out[1] == 77).all()
    kernel(pixels, 1, 2, out)
    padded = np.zeros((32, 7 + h, w), dtype)
    padded[:19, 7:] = pixels
    for strip in range(strips):
        part = padded[:, :, 32 * strip : 32 * strip + 38]
        got = out[:, strip].reshape(2, 7 + h, -1, 16)[:, :, : part.shape[2]]
        np.testing.assert_array_equal(got.transpose(0, 3, 1, 2).reshape(part.shape), part)


@pytest.mark.parametrize(("name", "dtype"), BOTH)
@pytest.mark.parametrize("shape", [(7, 7), (8, 23), (13, 40)])
def test_similarity_is_that_of_the_definition(monkeypatch, name, dtype, shape):
    a, b = images(5, shape, dtype), images(4, shape, dtype, seed=1)
    got = similarity(monkeypatch, name, a, b)
    np.testing.assert_allclose(1 - got, naive.matrix(naive.ssim, a, b), rtol=0, atol=5e-7)
    np.testing.assert_array_equal(np.diag(similarity(monkeypatch, name, a, a)), 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 7), (7, 38), (8, 39), (31, 70), (12, 71)])
def test_all_kernels_give_the_same_bits(monkeypatch, dtype, shape):
    a, b = images(19, shape, dtype), images(35, shape, dtype, seed=1)
    first, *others = (similarity(monkeypatch, name, a, b) for name in FORMS)
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize(("name", "dtype"), BOTH)
def test_flat_images_add_up_without_drift(monkeypatch, name, dtype):
    """All windows are alike, so that errors of rounding do not cancel out."""
    limit = int(np.iinfo(dtype).max)
    levels = np.linspace(0, limit, 48).astype(dtype)
    flat = np.broadcast_to(levels[:, None, None], (48, 40, 76))
    x, y, c1 = levels[:, None].astype(float), levels.astype(float), (0.01 * limit) ** 2
    expected = (2 * x * y + c1) / (x * x + y * y + c1)
    np.testing.assert_allclose(similarity(monkeypatch, name, flat, flat), expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize(("name", "dtype"), BOTH)
def test_the_order_of_the_two_sides_changes_no_bit(monkeypatch, name, dtype):
    a, b = images(5, (11, 45), dtype), images(23, (11, 45), dtype, seed=1)
    np.testing.assert_array_equal(similarity(monkeypatch, name, a, b), similarity(monkeypatch, name, b, a).T)
