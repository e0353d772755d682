"""The kernels of the nearest patches against plain definitions, and that no match is lost to what is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint._kernels import compiler, nearest_patches, patch_products
from fingerprint._patches.match_search import MatchPatches, PatchSearch


def extremes(seed, *shape):
    """Images of noise, of black and white, of single grey levels, and of something smooth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[1], : shape[2]]
    makers = [
        lambda: rng.integers(0, 256, shape[1:]),
        lambda: rng.choice([0, 255], shape[1:]),
        lambda: np.full(shape[1:], rng.choice([0, 127, 128, 255])),
        lambda: 128 + 100 * np.sin(rng.uniform(0, 0.4) * y + rng.uniform(0, 0.4) * x + rng.uniform(0, 6)),
        lambda: 255 * ((y + x) % 2),
    ]
    return np.stack([makers[i % 5]() for i in range(shape[0])]).astype(np.uint8)


def vector_of(window):
    """Return the 16 sums of the blocks of a square window and the length of the rest, as they are to be."""
    size, wide = len(window), window.astype(int) - 128
    block = size // 4
    sums = [wide[block * r : block * (r + 1), block * c : block * (c + 1)].sum() for r in range(4) for c in range(4)]
    rest = block**2 * (wide**2).sum() - sum(int(s) ** 2 for s in sums)
    return [int(s) for s in sums], round(float(rest) ** 0.5)


def unpacked(pairs):
    """Return the 16 numbers of 8 words."""
    return np.array(pairs, np.int32).view(np.int16).tolist()


def sketched(image, size, radius):
    """Return the maps of `sketch`."""
    box = np.empty((2, image.shape[0] - size + 1, image.shape[1] - size + 1), np.int64)
    patch_products.box_sums(image, size, 128, box)
    maps = np.full((3, image.shape[0] + 2 * radius, image.shape[1] + 2 * radius + 16), 77, np.int32)
    nearest_patches.sketch(image, box[1], size // 4, radius, *maps)
    return maps


@pytest.mark.parametrize(("size", "radius"), [(8, 0), (8, 2), (12, 1), (32, 1)])
def test_sketches_of_windows_and_patches_are_those_of_the_definition(size, radius):
    block = size // 4
    for image in extremes(0, 5, size + 3, size + 5):
        pairs, lengths, halves = sketched(image, size, radius)
        inside = np.zeros(halves.shape, bool)
        for y, x in np.ndindex(4, 6):
            at = radius + y, radius + x
            inside[at] = True
            window = image[y : y + size, x : x + size]
            sums, rest = vector_of(window)
            words = [pairs[at[0] + block * r, at[1] + 2 * block * c] for r in range(4) for c in range(2)]
            assert unpacked(words) == sums
            assert lengths[at] == rest
            assert halves[at] == -((sum(s * s for s in sums) + rest * rest) // 2)
            found = np.zeros((1, size, size), np.int8)
            rests, sketches = np.empty(1), np.empty((1, 10), np.int32)
            members = np.zeros(1, np.int64)
            nearest_patches.lay_patches(image[None], members, y, x, found, rests, sketches)
            wide = window.astype(int) - 128
            np.testing.assert_array_equal(found[0], wide)
            assert rests[0] == 256 * wide.sum() + (wide**2).sum()
            assert unpacked(sketches[0, :8]) == sums
            assert sketches[0, 8:].tolist() == [rest, sum(s * s for s in sums) + rest * rest]
        assert (halves[~inside] == -nearest_patches.NOWHERE).all()


def test_patches_of_any_size_are_laid_out():
    image = extremes(1, 1, 9, 11)
    found = np.zeros((1, 7, 8), np.int8)
    rests, none = np.empty(1), np.empty((0, 10), np.int32)
    nearest_patches.lay_patches(image, np.zeros(1, np.int64), 1, 3, found, rests, none)
    np.testing.assert_array_equal(found[0, :, :7], image[0, 1:8, 3:10].astype(int) - 128)
    assert not found[0, :, 7].any()


def test_words_and_sums_lie_where_they_belong():
    for image in extremes(2, 5, 6, 7):
        squares = np.arange(12).reshape(3, 4)
        words, sums = np.full((10, 30), 7, np.uint32), np.full((10, 30), 7, np.int32)
        nearest_patches.lay_out(image, squares, 2, words, sums)
        padded = np.zeros((10, 40), np.uint8)
        padded[2:8, 2:9] = image
        for y, x in np.ndindex(6, 7):
            expected = [int(v) for v in padded[2 + y, 2 + x : 6 + x]]
            assert words[2 + y, 2 + x] == sum(v << 8 * n for n, v in enumerate(expected))
        assert not words[:2].any()
        assert not words[:, 9:].any()
        np.testing.assert_array_equal(sums[2:5, 2:6], squares)
        sums[2:5, 2:6] = nearest_patches.NOWHERE
        assert (sums == nearest_patches.NOWHERE).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 12, 16, 32]), st.sampled_from([0, 1, 3, 40, 255]))
@settings(max_examples=40, deadline=None)
def test_no_match_lies_beyond_its_bound(seed, size, noise):
    rng = np.random.default_rng(seed)
    patch = extremes(seed, 5, size, size)[rng.integers(5)]
    window = np.clip(patch.astype(int) + rng.integers(-noise, noise + 1, patch.shape), 0, 255).astype(np.uint8)
    found, rests, sketches = np.zeros((1, size, size), np.int8), np.empty(1), np.empty((1, 10), np.int32)
    nearest_patches.lay_patches(patch[None], np.zeros(1, np.int64), 0, 0, found, rests, sketches)
    pairs, lengths, halves = (plane[: size + 1] for plane in sketched(window, size, 0))
    block = size // 4
    words = [pairs[block * r, 2 * block * c] for r in range(4) for c in range(2)]
    numbers = zip([*unpacked(words), lengths[0, 0]], [*unpacked(sketches[0, :8]), sketches[0, 8]], strict=True)
    product = sum(int(a) * int(b) for a, b in numbers) + int(halves[0, 0])
    squared = float(((patch.astype(int) - window.astype(int)) ** 2).sum())
    assert product >= nearest_patches._least(sketches[0, 9], block, -squared)
    assert nearest_patches._least(sketches[0, 9], block, -np.inf) == -(2**31) + 1  # anything may match


CASES = [
    PatchSearch(patch_size=4, stride=3, radius=2, measure="rmse", flat=0.0),
    PatchSearch(patch_size=6, stride=5, radius=0, measure="rmse", flat=2.0, mirror=True),
    PatchSearch(patch_size=8, stride=4, radius=3, measure="rmse", flat=2.0),
    PatchSearch(patch_size=12, stride=7, radius=9, measure="rmse", flat=0.0, mirror=True),
    PatchSearch(patch_size=16, stride=8, radius=4, measure="rmse", flat=6.0),
    PatchSearch(patch_size=32, stride=4, radius=8, measure="rmse", flat=0.0),
]


@pytest.mark.skipif(not compiler.compiles(), reason="nothing is compiled")
@pytest.mark.parametrize("search", CASES, ids=str)
def test_vector_instructions_find_what_plain_loops_find(search, monkeypatch):
    real, fake = extremes(3, 19, 37, 42), extremes(4, 9, 37, 42)
    fake[3, 2:, 1:] = real[3, :-2, :-1]
    fake[5] = fake[3]  # a tie, which the first must win
    fake[6], fake[8] = real[8, :, ::-1], np.clip(real[3] + 3.0, 0, 255)
    found = MatchPatches.of(real, search)
    without = np.full(found.shape, -np.inf)
    with monkeypatch.context() as context:
        context.setattr(compiler, "compiles", lambda: False)
        expected = found.best(fake, without)
    for a, b in zip(found.best(fake, without), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    # as good as the limit is not worse than it
    limits = np.where(np.random.default_rng(0).random(found.shape) < 0.5, expected[0], expected[0] - 1)
    for a, b in zip(found.best(fake, limits), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    # what is worse may be left out, and nothing else comes in its place
    best = found.best(fake, np.maximum(expected[0], -1000.0))[0]
    kept = expected[0] >= -1000
    np.testing.assert_array_equal(best[kept], expected[0][kept])
    assert (best[~kept] <= expected[0][~kept]).all()
