"""The exact search for patches against the oracle, and its properties."""

import re
from dataclasses import replace

import naive_matches as naive
import numpy as np
import pytest
from comparers import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fingerprint import InputError, Slices, load
from fingerprint._kernels import compiler
from fingerprint._patches import match_search, matches
from fingerprint._patches.matches import NearestPatches, nearest_patches, patch_matches


def textures(seed, n, height=14, width=16, dtype=np.uint8):
    """Images with smooth structure, a flat corner, and parts in common."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(height + 4, width + 4))
    out = np.empty((n, height, width))
    for image in out:
        y, x = rng.integers(0, 5, 2)
        image[:] = common[y : y + height, x : x + width] + rng.choice([0.0, 0.05, 1.0]) * rng.normal(size=image.shape)
        image[: height // 2, : width // 2] = 0
    limit = np.iinfo(dtype).max
    return np.clip((0.5 + out / 6) * limit, 0, limit).astype(dtype)


CASES = [
    {"patch_size": 4, "stride": 2, "radius": 2, "measure": "rmse", "flat": 6.0},
    {"patch_size": 4, "stride": 3, "radius": 1, "measure": "ncc", "flat": 3.0},
    {"patch_size": 5, "stride": 4, "radius": 3, "measure": "rmse", "flat": 0.0, "mirror": True},
    {"patch_size": 7, "stride": 5, "radius": 0, "measure": "ncc", "flat": 0.0, "mirror": True},
]
TOLERANCES = {"rmse": 12.5, "ncc": 0.05}


def as_dict(found: NearestPatches):
    """Return what the oracle returns."""
    out = {}
    area = found.search.patch_size**2
    for at in zip(*(axis.tolist() for axis in np.nonzero(found.indices >= 0)), strict=True):
        distance = found.distances[at]
        distance = round(distance**2 * area) if found.search.measure == "rmse" else distance - 1
        index = int(found.fakes[found.indices[at]].removeprefix("image_"))
        out[at] = distance, index, bool(found.mirrored[at]), tuple(found.offsets[at].tolist())
    return out


def named(pixels):
    return Slices(pixels, tuple(f"image_{i}" for i in range(len(pixels))))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("case", CASES)
def test_counts_equal_the_oracle(case, dtype):
    real, fake = textures(0, 2, dtype=dtype), textures(0, 3, dtype=dtype)
    scale = 257 if dtype == np.uint16 else 1
    case = case | {"flat": case["flat"] * scale}
    tolerance = TOLERANCES[case["measure"]] * (scale if case["measure"] == "rmse" else 1)
    found = patch_matches(real, fake, tolerance=tolerance, **case)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, naive.patch_matches(real, fake, tolerance=tolerance, **case))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("case", CASES)
def test_nearest_equal_the_oracle(case, dtype):
    real, fake = textures(1, 2, dtype=dtype), textures(1, 3, dtype=dtype)
    found = as_dict(nearest_patches(real, named(fake), **case))
    expected = naive.nearest_patches(real, fake, **case)
    assert found.keys() == expected.keys()
    for at, (distance, *rest) in found.items():
        assert distance == pytest.approx(expected[at][0], abs=1e-12)
        assert rest == list(expected[at][1:])


# --- Properties and messages of the public functions ------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["rmse", "ncc"])
def test_an_image_matches_itself_in_every_informative_patch(measure):
    real = textures(2, 3)
    found = patch_matches(real, real, patch_size=4, stride=2, radius=1, measure=measure, tolerance=0)
    informative = nearest_patches(real, real, patch_size=4, stride=2, radius=1, measure=measure).informative
    assert found.diagonal().tolist() == informative.sum(axis=(1, 2)).tolist()


def test_shifting_both_images_changes_nothing_inside():
    real, fake = textures(3, 2, 24, 24), textures(3, 2, 24, 24)[::-1]
    args = {"patch_size": 4, "stride": 4, "radius": 1, "flat": 2.0}
    a = nearest_patches(real[:, :20, :20], fake[:, :20, :20], **args)
    b = nearest_patches(real[:, 4:, 4:], fake[:, 4:, 4:], **args)
    inside = np.s_[:, 2:4, 2:4], np.s_[:, 1:3, 1:3]
    for name in ("informative", "distances", "offsets", "indices"):
        np.testing.assert_array_equal(getattr(a, name)[inside[0]], getattr(b, name)[inside[1]])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_parts_merge_into_the_whole_in_any_order(seed):
    rng = np.random.default_rng(seed)
    real, fake = textures(4, 2), textures(4, 4)
    fake = np.concatenate([fake, fake[:2]])  # ties
    args = {"patch_size": 5, "stride": 4, "radius": 2, "flat": 0.0, "mirror": True}
    whole = nearest_patches(real, named(fake), **args)
    order = rng.permutation(6)
    parts = [nearest_patches(real, Slices(fake[[i]], (f"image_{i}",)), **args) for i in order]
    merged = parts[0]
    for part in parts[1:]:
        assert (merged.merge(part).distances <= merged.distances).all()
        merged = merged.merge(part)
    placed = np.where(merged.indices >= 0, order[merged.indices], -1)
    assert_same(replace(merged, indices=placed, fakes={order[i]: name for i, name in merged.fakes.items()}), whole)
    assert len(merged) == 2


@pytest.mark.parametrize("block", [1, 2, 5])
def test_matches_in_images_of_one_name_go_to_the_first(monkeypatch, block):
    monkeypatch.setattr(matches, "_BLOCK", block)
    real = textures(5, 1)
    args = {"patch_size": 4, "stride": 4, "radius": 1, "flat": 0.0}
    fakes = [255 - real[0], real[0], real[0], real[0]]
    found = nearest_patches(real, Slices(np.stack(fakes), ("b", "b", "a", "a")), **args)
    assert (found.indices[found.distances == 0] == 2).all()
    assert found.fakes[2] == "a"
    found = nearest_patches(real, Slices(np.stack(fakes), ("b", "b", "b", "b")), **args)
    assert (found.indices[found.distances == 0] == 1).all()
    assert (found.distances == 0).any()


@pytest.mark.parametrize("measure", ["rmse", "ncc"])
def test_threads_and_the_plain_kernels_change_no_bit(measure, monkeypatch):
    real, fake = textures(6, 2), textures(6, 5)
    monkeypatch.setattr(matches, "_BLOCK", 2)
    args = {"patch_size": 6, "stride": 4, "radius": 2, "measure": measure, "mirror": True}
    whole = nearest_patches(real, fake, threads=1, **args)
    counts = patch_matches(real, fake, threads=1, **args)
    for vectors in {compiler.compiles(), False}:
        with monkeypatch.context() as context:
            context.setattr(compiler, "compiles", lambda vectors=vectors: vectors)
            assert_same(nearest_patches(real, fake, threads=2, **args), whole)
            np.testing.assert_array_equal(patch_matches(real, fake, threads=2, **args), counts)


def test_patches_are_packed_as_the_instructions_read_them():
    real = textures(8, 18)
    search = match_search.PatchSearch(patch_size=5, stride=4, radius=1, measure="ncc", flat=6.0)
    found = match_search.MatchPatches.of(real, search)
    for (y, x), members, (packed, moments) in zip(found.sites, found.present, found.packed, strict=True):
        cut = real[members, y : y + 5, x : x + 5].reshape(len(members), 25).astype(int) - 128
        np.testing.assert_array_equal(moments, [cut.sum(axis=1), (cut**2).sum(axis=1)])
        lanes = packed.transpose(0, 2, 1, 3).reshape(-1, 64)
        np.testing.assert_array_equal(lanes[: len(members), :25], cut)
        assert not lanes[: len(members), 25:].any()
        assert not lanes[len(members) :].any()
    assert {len(members) for members in found.present} == {0, 18}  # none, and more than one group of 16


def test_flat_windows_never_correlate():
    real = textures(7, 1)
    flat = np.full_like(real, 9)
    assert not patch_matches(real, flat, patch_size=4, stride=2, measure="ncc", tolerance=2).any()
    found = nearest_patches(real, flat, patch_size=4, stride=2, measure="ncc")
    assert np.isinf(found.distances).all()
    assert found.fakes == {}


REAL = textures(0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch_size": 1}, "patch_size: expected an integer from 2 to 32, got 1"),
        ({"patch_size": 15}, "patch_size: expected at most the shorter side of the images, 14, got 15"),
        ({"patch_size": 4, "stride": 0}, "stride: expected an integer of at least 1, got 0"),
        ({"patch_size": 4, "radius": -1}, "radius: expected an integer of at least 0, got -1"),
        ({"patch_size": 4, "measure": "psnr"}, "measure: expected one of 'rmse', 'ncc', got 'psnr'"),
        ({"patch_size": 4, "flat": -1}, "flat: expected a number of at least 0, got -1"),
        ({"patch_size": 4, "tolerance": -1}, "tolerance: expected a number of at least 0, got -1"),
        ({"patch_size": 4, "measure": "ncc", "tolerance": 3}, "tolerance: expected a number from 0 to 2, got 3"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        patch_matches(REAL, REAL, **arguments)


def test_16_bit_images_need_levels():
    wide = REAL.astype(np.uint16)
    with pytest.raises(
        InputError, match="flat: expected a number of grey levels for 16-bit images, got None; give one"
    ):
        nearest_patches(wide, wide, patch_size=4)
    with pytest.raises(InputError, match="tolerance: expected a number of grey levels for 16-bit images, got None"):
        patch_matches(wide, wide, patch_size=4, flat=3)


def test_only_searches_of_the_same_patches_merge():
    a, b = (nearest_patches(REAL, REAL, patch_size=size) for size in (4, 5))
    with pytest.raises(
        InputError, match="other: expected the same real images and the same search, got different ones"
    ):
        a.merge(b)


def test_patches_of_resampled_images_in_folders_without_those_that_fail(tmp_path):
    (tmp_path / "inner").mkdir()
    for i, image in enumerate(REAL):
        Image.fromarray(image).save(tmp_path / "inner" / f"{i}.png")
    (tmp_path / "inner" / "x.png").write_bytes(b"no picture")
    options = {"patch_size": 4, "flat": 0.0, "size": (12, 10), "recursive": True}
    found = nearest_patches(REAL, tmp_path, **options)
    assert [one.name for one in found.failed["fake"]] == ["inner/x.png"]
    again = nearest_patches(load(REAL, size=(12, 10)), load(REAL, size=(12, 10)), patch_size=4, flat=0.0)
    np.testing.assert_array_equal(found.distances, again.distances)
    counts = patch_matches(REAL, tmp_path, on_error="collect", **options)
    assert counts.shape == (len(REAL), len(REAL))
    for search in (nearest_patches, patch_matches):
        with pytest.raises(InputError, match=r"fake: inner/x\.png: "):
            search(REAL, tmp_path, on_error="raise", **options)


def test_nothing_to_search_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="fake: "):
        nearest_patches(REAL, tmp_path, patch_size=4)
    with pytest.raises(InputError, match="fake: "):
        nearest_patches(REAL, iter([]), patch_size=4)
