"""Gains against the oracle, and their properties."""

import itertools
from functools import partial

import naive_gains as naive
import numpy as np
import pytest
from comparers import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gain_search import scaled
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


def by_definition(prepared, fake, shifts=slice(None), mirrored=0):
    """Sums of the gains of all patches at some of the shifts, (m, n), one patch after the other."""
    windows, side = GainWindows.of(cells_of(fake, prepared.grid), prepared.grid), prepared.patches
    total = np.zeros((len(fake), prepared.count), np.int64)
    for r, c in np.ndindex(*prepared.grid.shape):
        about = side.norms[mirrored, :, r, c], prepared.quantiles[mirrored, :, r, c]
        total += gains.log2_gains(scaled(windows, side, r, c, mirrored)[:, shifts].max(axis=1).clip(0), *about)
    return total


def test_a_pair_that_gains_more_is_searched_by_half_cells():
    real, fake = waves(3, 3, 128, 128), waves(4, 2, 128, 128)
    fake[0, :, 3:] = real[0, :, :-3]  # by a cell of 2 x 2 pixels and a half
    fake[1, 40:60, 40:60] = real[1, 40:60, 43:63]
    prepared = prepare_patches(real, mirror=False)
    offsets = prepared.grid.offsets.tolist()
    white = [(down + right) % 4 == 0 and down % 2 == right % 2 == 0 for down, right in offsets]
    other = [(down + right) % 2 == 0 for down, right in offsets]
    first, second, every = (by_definition(prepared, fake, shifts) for shifts in (white, other, slice(None)))
    some, much = 4 * 2**15, 60 * 2**15
    assert every[0, 0] > second[0, 0] > much
    assert ((some < first) & (first < second) & (second < every) & (second < much)).any()
    assert ((first > 0) & (first < some) & (every > first)).any()
    expected = np.where(first > some, np.where(second > much, every, second), first)
    np.testing.assert_array_equal(gains._sums(prepared, fake)[0], expected)
    for i, f in np.ndindex(3, 2):
        assert gains.explain(prepared, i, fake[f]).total == expected[f, i] * 2.0**-15


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
    sums, mirrored, _ = (array.T for array in gains._sums(prepared, fake))
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


def test_an_image_is_mirrored_where_deciding_patches_and_all_gain_two_more():
    real, fake = planted()
    both_ways, one_way = prepare_patches(real), prepare_patches(real, mirror=False)
    at = tuple(one_way.grid.deciding.T)
    seen = set()
    for i, image in itertools.product(range(7), fake):
        as_is, so = (gains.explain(one_way, i, side).gains for side in (image, image[:, ::-1]))
        maybe, more = so[at].sum() > as_is[at].sum() + 2, so.sum() > as_is.sum() + 2
        assert gains.explain(both_ways, i, image).mirrored == (maybe and more)
        seen.add((bool(maybe), bool(more)))
    assert {(True, True), (False, False)} < seen


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
    structure = 20 * 2**15
    taken = np.maximum(rival - sums, 0) * np.maximum(2 * structure, rival) // structure
    assert top > 2 * structure
    assert found.tolist() == (sums - taken).tolist()


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


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("deciding", [False, True])
@pytest.mark.parametrize("size", [(20, 24), (130, 128)])
@pytest.mark.skipif(not compiler.compiles(), reason="nothing is compiled")
def test_both_forms_add_up_the_same(side, deciding, size, monkeypatch):
    real, fake = planted(height=size[0], width=size[1])
    real[3, :70] = 0
    prepared = prepare_patches(real)
    windows = GainWindows.of_whole_cells(cells_of(fake, prepared.grid), prepared.grid)
    last = prepared.grid.shape[0] - 2, prepared.grid.shape[1] - 3
    some = windows, prepared.deciding if deciding else prepared.sites(np.array([[1, 1]]), last)
    found = gains._sums_at(prepared, *some, side=side)
    monkeypatch.setattr(patch_gains, "sum_gains", patch_gains.sum_gains_numpy)
    expected = gains._sums_at(prepared, *some, side=side)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["compiled", "numpy"] if compiler.compiles() else ["numpy"])
@pytest.mark.parametrize(("size", "every"), [((20, 24), True), ((130, 128), True), ((130, 128), False)])
def test_chosen_pairs_are_searched_as_if_all_were(name, size, every, monkeypatch):
    monkeypatch.setattr(patch_gains, "sum_gains_of", getattr(patch_gains, f"sum_gains_of_{name}"))
    real, fake = planted(height=size[0], width=size[1])
    real, fake = np.concatenate([real, real[:, ::-1], real + np.uint8(9)]), fake[[0, 1, 3, 2, 4]]
    prepared = prepare_patches(real)
    windows = GainWindows.of(cells_of(fake, prepared.grid), prepared.grid)
    rng = np.random.default_rng(0)
    mirrored = rng.random((5, 21)) < 0.5
    shifts = slice(None) if every else prepared.grid.second
    expected = np.where(mirrored, *(by_definition(prepared, fake, shifts, side) for side in (1, 0)))
    for share in (0.1, 0.5, 1):
        pairs = rng.random((5, 21)) < share
        pairs[2] = False
        np.testing.assert_array_equal(gains._sums_of(prepared, windows, pairs, mirrored, every=every), expected[pairs])


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


def test_what_rivals_take_beyond_a_sum_does_not_count():
    real, fake = planted()
    prepared = prepare_patches(real)
    found = gains.summarise_gains(prepared, fake[1:2], names(1))
    loser = int(found.gains[:, 0].argmin())
    assert found.gains[loser, 0] < 0
    assert found.usual > 1  # so that nothing is usual
    assert found.scores.tolist() == found.gains[:, 0].clip(0).tolist()


def test_small_sums_are_compared_where_all_pairs_are_searched_alike():
    for size, least in ((64, 0.0), (127, 0.0), (128, 20.0)):
        assert gains.least_compared(prepare_patches(waves(0, 2, size, size))) == least


def test_what_an_image_reaches_in_many_synthetic_images_is_usual():
    real, fake = planted()
    prepared = prepare_patches(real)
    once = gains.summarise_gains(prepared, fake, names(5))
    # every image comes as often: eleven copies of one are as usual as any chance
    often = gains.merge(
        [gains.summarise_gains(prepared, fake, names(5)).placed(partial(np.add, 5 * i)) for i in range(12)]
    )
    assert once.scores.tolist() == once.gains[:, 0].clip(0).tolist()
    assert often.gains[:, 0].tolist() == once.gains[:, 0].tolist()
    assert (often.scores[:3] < 0.1 * once.scores[:3]).all()
    sums = np.array([gains.explain(prepared, 0, image).total for image in fake])
    assert once.counts[0].tolist() == histogram.count(sums[None])[0].tolist()
