"""Gains against the oracle, and their properties."""

import itertools
from functools import partial

import naive_gains as naive
import numpy as np
import pytest
from comparers import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from waves import waves

from fingerprint._base import histogram
from fingerprint._kernels import compiler, patch_gains
from fingerprint._patches import gains
from fingerprint._patches.gain_reals import prepare_patches
from fingerprint._patches.gain_search import GainWindows, cells_of


def planted(seed=0, height=20, width=24, dtype=np.uint8):
    """Real images, synthetic ones with copies of real 0 (moved), 1 (a part) and 2 (mirrored)."""
    real = waves(seed, 7, height, width, dtype)
    fake = waves(seed + 100, 5, height, width, dtype)
    fake[1] = np.roll(real[0], 1, axis=1)
    fake[2, :16, 8:22] = real[1, :16, 8:22]
    fake[3] = real[2, :, ::-1]
    return real, fake


def names(n):
    return [f"image_{i}" for i in range(n)]


@pytest.mark.parametrize(("one_in", "dtype"), [(20, np.uint8), (3, np.uint16)])
def test_gains_equal_the_oracle(one_in, dtype):
    real, fake = planted(dtype=dtype)
    prepared = prepare_patches(real, mirror=False, one_in=one_in)
    edges = [(y, x) for y in prepared.grid.rows for x in prepared.grid.columns]
    for g in fake[1:3]:
        expected = naive.gains(real, g, 1, 1, edges, one_in)
        assert prepared.informative.sum() == len(expected)
        for i in range(len(real)):
            found = gains.explain(prepared, i, g)
            assert not found.mirrored
            for (r, y), (c, x) in itertools.product(enumerate(found.rows), enumerate(found.columns)):
                # 8-bit rounding, of most weight where the match is perfect, and the logarithm between powers of two
                gain = expected.get((i, y, x), 0.0)
                assert min(found.gains[r, c], 5) == pytest.approx(min(gain, 5), abs=0.35)


def test_gains_of_larger_cells_equal_the_oracle():
    real, fake = waves(3, 2, 130, 128), waves(4, 1, 130, 128)
    fake[0, 20:100, 50:120] = real[0, 22:102, 53:123]
    prepared = prepare_patches(real, mirror=False)
    assert (prepared.grid.cell, prepared.grid.step, prepared.grid.size) == (2, 1, 16)
    found = gains.explain(prepared, 0, fake[0])
    at = (5, 9)
    y, x = found.rows[at[0]], found.columns[at[1]]
    expected = naive.gains(real, fake[0], 2, 1, [(y, x)], 20)
    assert min(found.gains[at], 5) == pytest.approx(min(expected[0, y, x], 5), abs=0.35)
    assert found.offsets[at].tolist() == [-2, -3]


def test_a_pair_that_gains_much_is_searched_by_every_half_cell():
    real, fake = waves(3, 3, 128, 128), waves(4, 2, 128, 128)
    fake[0, :, 3:] = real[0, :, :-3]  # by a cell of 2 x 2 pixels and a half
    fake[1, 40:60, 40:60] = real[1, 40:60, 43:63]
    prepared = prepare_patches(real, mirror=False)
    windows = GainWindows.of(cells_of(fake, prepared.grid), prepared.grid)
    about = prepared.patches.norms[0].reshape(3, -1), prepared.quantiles[0].reshape(3, -1)
    every, first = (
        gains.log2_gains(
            windows.best(prepared.patches, np.zeros((1, 2), int), prepared.grid.shape, every=every), *about
        ).sum(axis=2)
        for every in (True, False)
    )
    much = 60 * 2**15
    assert every[0, 0] > first[0, 0] > much
    assert much > every[1, 1] > first[1, 1] > 0
    np.testing.assert_array_equal(gains._sums(prepared, fake)[0], np.where(first > much, every, first))
    for i in range(2):
        assert gains.explain(prepared, i, fake[i]).total == gains._sums(prepared, fake)[0][i, i] * 2.0**-15


def test_net_gains_find_the_copies():
    real, fake = planted()
    prepared = prepare_patches(real)
    found = gains.summarise_gains(prepared, fake, names(5), k=2)
    assert found.best.images[:3, 0].tolist() == [1, 2, 3]
    assert found.scores[:3].min() > found.scores[3:].max()
    assert found.gains.shape == (7, 2)
    assert (np.diff(found.gains, axis=1) <= 0).all()


def test_explained_gains_add_up_to_the_sums():
    real, fake = planted()
    prepared = prepare_patches(real)
    sums, mirrored = (array.T for array in gains._sums(prepared, fake))
    assert mirrored.any()
    for i, j in itertools.product(range(7), range(5)):
        found = gains.explain(prepared, i, fake[j])
        assert (found.total, found.mirrored) == (sums[i, j] * 2.0**-15, mirrored[i, j])


def test_a_mirrored_copy_matches_where_it_lies():
    real, fake = planted()
    found = gains.explain(prepare_patches(real), 2, fake[3])
    assert found.mirrored
    assert (found.gains > 0).any()
    # the match lies at the same place of the mirrored image
    assert not found.offsets[found.gains > 2].any()


def test_an_image_is_mirrored_where_the_deciding_patches_then_gain_two_more():
    real, fake = planted()
    both_ways, one_way = prepare_patches(real), prepare_patches(real, mirror=False)
    at = tuple(one_way.grid.deciding.T)
    leads, mirrored = [], []
    for i, image in itertools.product(range(7), fake):
        as_is, so = (gains.explain(one_way, i, side).gains[at].sum() for side in (image, image[:, ::-1]))
        leads.append(so - as_is)
        mirrored.append(gains.explain(both_ways, i, image).mirrored)
    assert mirrored == [lead > 2 for lead in leads]
    assert any(0 < lead <= 2 for lead in leads)
    assert any(mirrored)


def test_rivals_take_from_the_gains():
    real, fake = planted()
    real[1] = real[0]
    real[1, :8, 10:20] //= 2
    prepared = prepare_patches(real, mirror=False)
    sums = gains._sums(prepared, fake[1:2])[0][0].astype(int)
    found = -gains.summarise_gains(prepared, fake[1:2], ["g"]).best.values[:, 0]
    order = np.argsort(sums)
    top, second = sums[order[-1]], sums[order[-2]]
    rival = np.where(np.arange(7) == order[-1], second, top)
    assert found.tolist() == (sums - 2 * np.maximum(rival - sums, 0)).tolist()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_blocks_and_their_order_change_no_bit(seed):
    rng = np.random.default_rng(seed)
    real, fake = planted()
    fake = np.concatenate([fake, fake[:2]])  # ties
    prepared = prepare_patches(real)
    order, cuts = rng.permutation(7), np.sort(rng.integers(0, 8, 2))
    whole = gains.summarise_gains(prepared, fake[order], [f"image_{i}" for i in order], k=3)
    parts = [
        gains.summarise_gains(prepared, fake[part], [f"image_{i}" for i in part], k=3).placed(partial(np.add, start))
        for part, start in zip(np.split(order, cuts), [0, *cuts.tolist()], strict=True)
    ]
    assert_same(gains.merge([gains.merge(parts[2:0:-1]), parts[0]]), whole)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("deciding", [False, True])
@pytest.mark.skipif(not compiler.compiles(), reason="nothing is compiled")
def test_both_forms_add_up_the_same(mirror, deciding, monkeypatch):
    real, fake = planted(height=130, width=128)
    real[3, :70] = 0
    prepared = prepare_patches(real, mirror=mirror)
    grid = prepared.grid
    windows = GainWindows.of(cells_of(fake, grid), grid)
    mirrored = np.random.default_rng(0).random((5, 7)) < 0.5 * mirror
    mirrored[0], mirrored[1] = False, mirror  # all one way
    some = windows, prepared.deciding if deciding else prepared.sites(np.array([[1, 2]]), (9, 11))
    found = gains._sums_at(prepared, *some, mirrored)
    monkeypatch.setattr(patch_gains, "sum_gains", patch_gains.sum_gains_numpy)
    expected = gains._sums_at(prepared, *some, mirrored)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
    part = mirrored & (np.arange(7) < 2)
    np.testing.assert_array_equal(gains._sums_at(prepared, *some, mirrored, only=part)[:, part], found[:, part])


def test_brightness_and_contrast_of_a_copy_do_not_matter():
    real, _ = planted()
    prepared = prepare_patches(real)
    as_is, changed = (gains.explain(prepared, 0, g).total for g in (real[0], real[0] // 3 + 100))
    assert changed == pytest.approx(as_is, rel=0.25)


def test_flat_images_are_no_evidence():
    real, fake = planted()
    real[0] = 7
    prepared = prepare_patches(real)
    assert prepared.informative[0] == 0
    fake[0] = 200
    assert (gains._sums(prepared, fake)[0][:, 0] == 0).all()
    assert (gains._sums(prepared, fake[:1])[0] == 0).all()
    nowhere = prepare_patches(np.zeros((2, 16, 16), np.uint8))
    assert gains.summarise_gains(nowhere, fake[:, :16, :16], names(5)).scores.tolist() == [0.0, 0.0]


def test_a_single_real_image_is_its_own_measure():
    real, fake = planted()
    prepared = prepare_patches(real[:1])
    found = gains.summarise_gains(prepared, fake, names(5))
    assert found.best.images.tolist() == [[1]]
    assert found.best.names == {1: "image_1"}


def test_no_synthetic_image_leaves_the_summary_empty():
    real, fake = planted()
    prepared = prepare_patches(real)
    none = gains.summarise_gains(prepared, fake[:0], [], k=2)
    assert none.n_fake == 0
    assert none.gains.shape == (7, 0)
    some = gains.summarise_gains(prepared, fake, names(5), k=2)
    assert_same(gains.merge([none, some]), some)


def test_images_too_small_for_patches_are_no_evidence():
    prepared = prepare_patches(np.zeros((2, 6, 9), np.uint8))
    found = gains.summarise_gains(prepared, np.ones((1, 6, 9), np.uint8), ["g"])
    assert found.scores.tolist() == [0.0, 0.0]
    assert gains.explain(prepared, 0, np.ones((6, 9), np.uint8)).total == 0


def test_what_an_image_reaches_in_many_synthetic_images_is_usual():
    real, fake = planted()
    prepared = prepare_patches(real)
    once = gains.summarise_gains(prepared, fake, names(5))
    # every image comes as often: eleven copies of one are as usual as any chance
    often = gains.merge(
        [gains.summarise_gains(prepared, fake, names(5)).placed(partial(np.add, 5 * i)) for i in range(12)]
    )
    assert once.scores.tolist() == once.gains[:, 0].tolist()
    assert often.gains[:, 0].tolist() == once.gains[:, 0].tolist()
    assert (often.scores[:3] < 0.1 * once.scores[:3]).all()
    sums = np.array([gains.explain(prepared, 0, image).total for image in fake])
    assert once.counts[0].tolist() == histogram.count(sums[None])[0].tolist()
