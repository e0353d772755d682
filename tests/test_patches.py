"""Local patches against the oracles, and their properties."""

import dataclasses
import itertools
import pickle
import re

import naive_patches as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint import InputError, Slices, _kernels, _patch_kernels, patches
from fingerprint.patches import NearestPatches, nearest_patches, patch_matches


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
    {"size": 4, "stride": 2, "radius": 2, "measure": "rmse", "flat": 6.0},
    {"size": 4, "stride": 3, "radius": 1, "measure": "ncc", "flat": 3.0},
    {"size": 5, "stride": 4, "radius": 3, "measure": "rmse", "flat": 0.0, "mirror": True},
    {"size": 7, "stride": 5, "radius": 0, "measure": "ncc", "flat": 0.0, "mirror": True},
]
TOLERANCES = {"rmse": 12.5, "ncc": 0.05}


def as_dict(found: NearestPatches):
    """Return what the oracle returns."""
    out = {}
    area = found.search.size**2
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


# --- Evidence -------------------------------------------------------------------------------------------------------


def waves(seed, n, height, width, dtype=np.uint8):
    """Images of smooth random structure on a flat ground, some with parts in common."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    out = np.zeros((n, height, width))
    for image in out:
        for _ in range(6):
            fy, fx, phase = rng.uniform(-0.6, 0.6, 3)
            image += np.sin(fy * y + fx * x + 9 * phase)
        image[:, : width // 4] = 0
    limit = np.iinfo(dtype).max
    return np.clip((0.5 + out / 12) * limit, 0, limit).astype(dtype)


def planted(seed=0, height=20, width=24, dtype=np.uint8):
    """Real images, synthetic ones with copies of real 0 (moved), 1 (a part) and 2 (turned), and the groups."""
    real = waves(seed, 7, height, width, dtype)
    fake = waves(seed + 100, 5, height, width, dtype)
    fake[1] = np.roll(real[0], 1, axis=1)
    fake[2, :16, 8:22] = real[1, :16, 8:22]
    fake[3] = real[2, :, ::-1]
    return real, fake, np.array([0, 1, 2, 3, 3, 4, 5])


def names(n):
    return [f"image_{i}" for i in range(n)]


@pytest.mark.parametrize(("grouped", "dtype"), [(False, np.uint8), (True, np.uint16)])
def test_gains_equal_the_oracle(grouped, dtype):
    real, fake, groups = planted(dtype=dtype)
    prepared = patches.prepare_real(real, groups=groups if grouped else None, mirror=False)
    edges = [(y, x) for y in prepared.layout.rows for x in prepared.layout.columns]
    own = groups if grouped else np.arange(len(real))
    for g in fake[1:3]:
        expected = naive.gains(real, g, 1, 1, edges, own, 2 if grouped else 10)
        assert prepared.informative.sum() == len(expected)
        for i in range(len(real)):
            found = patches.explain(prepared, i, g)
            assert not found.mirrored
            for (r, y), (c, x) in itertools.product(enumerate(found.rows), enumerate(found.columns)):
                # 8-bit rounding, of most weight where the match is perfect, and the logarithm between powers of two
                gain = expected.get((i, y, x), 0.0)
                assert min(found.gains[r, c], 5) == pytest.approx(min(gain, 5), abs=0.35)


def test_gains_of_larger_boxes_equal_the_oracle():
    real, fake = waves(3, 2, 130, 128), waves(4, 1, 130, 128)
    fake[0, 20:100, 50:120] = real[0, 22:102, 53:123]
    prepared = patches.prepare_real(real, mirror=False)
    assert (prepared.layout.box, prepared.layout.step, prepared.layout.size) == (2, 1, 16)
    found = patches.explain(prepared, 0, fake[0])
    at = (5, 9)
    y, x = found.rows[at[0]], found.columns[at[1]]
    expected = naive.gains(real, fake[0], 2, 1, [(y, x)], np.arange(2), 10)
    assert min(found.gains[at], 5) == pytest.approx(min(expected[0, y, x], 5), abs=0.35)
    assert found.offsets[at].tolist() == [-2, -3]


def test_evidence_finds_the_copies():
    real, fake, groups = planted()
    prepared = patches.prepare_real(real, groups=groups)
    found = patches.summarise_patches(prepared, fake, names(5), k=2)
    best = [found.fakes[i] for i in found.indices[:3, 0]]
    assert best == ["image_1", "image_2", "image_3"]
    assert found.mirrored[:3, 0].tolist() == [False, False, True]
    assert found.scores[:3].min() > found.scores[3:].max()
    assert found.k == 2
    assert (np.diff(found.evidence, axis=1) <= 0).all()


def test_explained_gains_add_up_to_the_evidence():
    real, fake, groups = planted()
    prepared = patches.prepare_real(real, groups=groups)
    sums = np.maximum(*patches._sums(prepared, fake)).T
    for i, j in itertools.product(range(7), range(5)):
        assert patches.explain(prepared, i, fake[j]).total == sums[i, j] * 2.0**-15


def test_a_turned_copy_matches_where_it_lies():
    real, fake, groups = planted()
    found = patches.explain(patches.prepare_real(real, groups=groups), 2, fake[3])
    assert found.mirrored
    assert (found.gains > 0).any()
    # the match lies at the same place of the turned image
    assert not found.offsets[found.gains > 2].any()


def test_rivals_take_from_the_evidence():
    real, fake, _ = planted()
    real[1] = real[0]
    real[1, :8, 10:20] //= 2
    prepared = patches.prepare_real(real, mirror=False)
    sums = patches._sums(prepared, fake[1:2])[0][0].astype(int)
    found = patches.summarise_patches(prepared, fake[1:2], ["g"]).evidence[:, 0]
    order = np.argsort(sums)
    top, second = sums[order[-1]], sums[order[-2]]
    rival = np.where(np.arange(7) == order[-1], second, top)
    assert found.tolist() == (sums - 2 * np.maximum(rival - sums, 0)).tolist()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_blocks_and_their_order_change_no_bit(seed):
    rng = np.random.default_rng(seed)
    real, fake, groups = planted()
    fake = np.concatenate([fake, fake[:2]])  # ties
    prepared = patches.prepare_real(real, groups=groups)
    whole = patches.summarise_patches(prepared, fake, names(7), k=3)
    order, cuts = rng.permutation(7), np.sort(rng.integers(0, 8, 2))
    parts = [
        patches.summarise_patches(prepared, fake[part], [f"image_{i}" for i in part], k=3)
        for part in np.split(order, cuts)
    ]
    assert_same(patches.merge([patches.merge(parts[:2]), *parts[2:]]), whole)


def assert_same(a, b):
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y)
            assert x.dtype == y.dtype
        else:
            assert x == y


def test_threads_and_pickling_change_no_bit():
    real, _, groups = planted()
    one = patches.prepare_real(real, groups=groups)
    assert_same(patches.prepare_real(real, groups=groups, threads=2), one)
    assert_same(pickle.loads(pickle.dumps(one)), one)


@pytest.mark.parametrize("name", ["amx", "avx512", "numpy"])
def test_every_kernel_finds_the_same(name):
    if not _kernels.runs(name):
        pytest.skip(f"no {name} here")
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 256, (2, 96, 64), np.uint8)
    scales = rng.random((2, 96), np.float32)
    patterns = rng.integers(-128, 128, (3, 16, 16, 4)).astype(np.int8)
    found = np.zeros((2, 48), np.float32)
    _patch_kernels.BEST[name](windows, scales, patterns, patches._TILE_REGISTERS, np.zeros((48, 16), np.int32), found)
    columns = patterns.transpose(1, 3, 0, 2).reshape(64, 48).astype(int)
    products = (windows.astype(int) @ columns).astype(np.float32) * scales[:, :, None]
    np.testing.assert_array_equal(found, np.maximum(products.max(axis=1), 0))


def test_gathering_without_a_compiler_is_the_same():
    if not _kernels.runs("portable"):
        pytest.skip("no compiler")
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 256, (2, 2, 2, 12, 14), np.uint8)
    scales = rng.random((2, 2, 2, 5, 7), np.float32)
    for site in ((0, 0), (6, 9)):
        found = [(np.zeros((2, 96, 64), np.uint8), np.ones((2, 96), np.float32)) for _ in range(2)]
        for gather, buffers in zip(_patch_kernels.GATHER.values(), found, strict=True):
            gather(boxes, scales, *site, 4, *buffers)
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_patterns_sum_up_to_zero():
    rng = np.random.default_rng(0)
    cut = rng.integers(0, 4080, (50, 64)) ** rng.integers(1, 3, (50, 1))
    deviations = 64 * cut - cut.sum(axis=1, keepdims=True)
    found = patches._patterns(deviations)
    assert found.dtype == np.int8
    assert not found.sum(axis=1, dtype=int).any()
    scaled = deviations * 127 / np.abs(deviations).max(axis=1, keepdims=True)
    assert np.abs(found - scaled).max() <= 1.5


def test_brightness_and_contrast_of_a_copy_do_not_matter():
    real, _, groups = planted()
    prepared = patches.prepare_real(real, groups=groups)
    as_is, changed = (patches.explain(prepared, 0, g).total for g in (real[0], real[0] // 3 + 100))
    assert changed == pytest.approx(as_is, rel=0.25)


def test_flat_images_are_no_evidence():
    real, fake, _ = planted()
    real[0] = 7
    prepared = patches.prepare_real(real)
    assert prepared.informative[0] == 0
    fake[0] = 200
    assert (patches._sums(prepared, fake)[0][:, 0] == 0).all()
    assert (patches._sums(prepared, fake[:1])[0] == 0).all()
    nowhere = patches.prepare_real(np.zeros((2, 16, 16), np.uint8))
    assert patches.summarise_patches(nowhere, fake[:, :16, :16], names(5)).scores.tolist() == [0.0, 0.0]


def test_a_single_real_image_is_its_own_measure():
    real, fake, _ = planted()
    prepared = patches.prepare_real(real[:1])
    found = patches.summarise_patches(prepared, fake, names(5))
    assert found.fakes == ("image_1",)


def test_no_synthetic_image_leaves_the_summary_empty():
    real, fake, _ = planted()
    prepared = patches.prepare_real(real)
    none = patches.summarise_patches(prepared, fake[:0], [], k=2)
    assert none.n_fake == 0
    assert (none.indices == -1).all()
    some = patches.summarise_patches(prepared, fake, names(5), k=2)
    assert_same(patches.merge([none, some]), some)


# --- Properties and messages of the public functions ------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["rmse", "ncc"])
def test_an_image_matches_itself_in_every_informative_patch(measure):
    real = textures(2, 3)
    found = patch_matches(real, real, size=4, stride=2, radius=1, measure=measure, tolerance=0)
    informative = nearest_patches(real, real, size=4, stride=2, radius=1, measure=measure).informative
    assert found.diagonal().tolist() == informative.sum(axis=(1, 2)).tolist()


def test_shifting_both_images_changes_nothing_inside():
    real, fake = textures(3, 2, 24, 24), textures(3, 2, 24, 24)[::-1]
    args = {"size": 4, "stride": 4, "radius": 1, "flat": 2.0}
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
    args = {"size": 5, "stride": 4, "radius": 2, "flat": 0.0, "mirror": True}
    whole = nearest_patches(real, named(fake), **args)
    order = rng.permutation(6)
    parts = [nearest_patches(real, Slices(fake[[i]], (f"image_{i}",)), **args) for i in order]
    merged = parts[0]
    for part in parts[1:]:
        assert (merged.merge(part).distances <= merged.distances).all()
        merged = merged.merge(part)
    assert_same(merged, whole)
    assert len(merged) == 2


def test_matches_in_images_of_one_name_tie_by_turn_and_shift():
    real = textures(5, 1)
    args = {"size": 4, "stride": 4, "radius": 3, "mirror": True}
    a, b = (nearest_patches(real, Slices(g, ("g",)), **args) for g in (real, real[:, :, ::-1]))
    assert_same(a.merge(b), b.merge(a))


@pytest.mark.parametrize("measure", ["rmse", "ncc"])
def test_threads_and_the_plain_kernels_change_no_bit(measure, monkeypatch):
    real, fake = textures(6, 2), textures(6, 5)
    monkeypatch.setattr(patches, "_BLOCK", 2)
    args = {"size": 6, "stride": 4, "radius": 2, "measure": measure, "mirror": True}
    whole = nearest_patches(real, fake, threads=1, **args)
    counts = patch_matches(real, fake, threads=1, **args)
    for name in (*_patch_kernels.PRODUCTS, "plain"):
        only = {name: _patch_kernels.PRODUCTS[name]} if name != "plain" else {}
        with monkeypatch.context() as context:
            context.setattr(_patch_kernels, "PRODUCTS", only)
            assert_same(nearest_patches(real, fake, threads=2, **args), whole)
            np.testing.assert_array_equal(patch_matches(real, fake, threads=2, **args), counts)


def test_flat_windows_never_correlate():
    real = textures(7, 1)
    flat = np.full_like(real, 9)
    assert not patch_matches(real, flat, size=4, stride=2, measure="ncc", tolerance=2).any()
    found = nearest_patches(real, flat, size=4, stride=2, measure="ncc")
    assert np.isinf(found.distances).all()
    assert found.fakes == ()


REAL = textures(0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 1}, "size: expected an integer from 2 to 32, got 1"),
        ({"size": 15}, "size: expected at most the side of the images, 14, got 15"),
        ({"size": 4, "stride": 0}, "stride: expected an integer of at least 1, got 0"),
        ({"size": 4, "radius": -1}, "radius: expected an integer of at least 0, got -1"),
        ({"size": 4, "measure": "psnr"}, "measure: expected one of 'rmse', 'ncc', got 'psnr'"),
        ({"size": 4, "flat": -1}, "flat: expected a number of at least 0, got -1"),
        ({"size": 4, "tolerance": -1}, "tolerance: expected a number of at least 0, got -1"),
        ({"size": 4, "measure": "ncc", "tolerance": 3}, "tolerance: expected a number from 0 to 2, got 3"),
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
        nearest_patches(wide, wide, size=4)
    with pytest.raises(InputError, match="tolerance: expected a number of grey levels for 16-bit images, got None"):
        patch_matches(wide, wide, size=4, flat=3)


def test_only_searches_of_the_same_patches_merge():
    a, b = (nearest_patches(REAL, REAL, size=size) for size in (4, 5))
    with pytest.raises(
        InputError, match="other: expected the same real images and the same search, got different ones"
    ):
        a.merge(b)


def test_images_too_small_for_patches_are_no_evidence():
    prepared = patches.prepare_real(np.zeros((2, 6, 9), np.uint8))
    found = patches.summarise_patches(prepared, np.ones((1, 6, 9), np.uint8), ["g"])
    assert found.scores.tolist() == [0.0, 0.0]
    assert patches.explain(prepared, 0, np.ones((6, 9), np.uint8)).total == 0


def test_nothing_to_search_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="fake: "):
        nearest_patches(REAL, tmp_path, size=4)
    with pytest.raises(InputError, match="fake: "):
        nearest_patches(REAL, iter([]), size=4)
