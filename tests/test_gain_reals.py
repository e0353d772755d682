"""Patches of real images as they are prepared."""

import pickle

import numpy as np
import pytest
from comparers import assert_same
from waves import waves

from fingerprint._kernels import compiler, patch_gains
from fingerprint._patches.gain_reals import prepare_patches
from fingerprint._patches.gain_search import GainWindows, cells_of


def test_threads_and_pickling_change_no_bit():
    real = waves(0, 7, 20, 24)
    one = prepare_patches(real)
    assert_same(prepare_patches(real, threads=2), one)
    assert_same(pickle.loads(pickle.dumps(one)), one)


def test_how_many_images_are_measured_at_once_changes_no_bit():
    real = waves(0, 7, 20, 24)
    assert_same(prepare_patches(real, at_once=3), prepare_patches(real))


def test_one_image_alone_is_what_it_is_among_others():
    prepared = prepare_patches(waves(0, 7, 20, 24))
    alone = prepared.only(3)
    assert (alone.count, alone.mirror) == (1, True)
    np.testing.assert_array_equal(alone.quantiles[:, 0], prepared.quantiles[:, 3])
    np.testing.assert_array_equal(alone.patches.quarters[:, 0], prepared.patches.quarters[:, 3])


@pytest.mark.parametrize("name", ["compiled", "numpy"] if compiler.compiles() else ["numpy"])
def test_reference_quantiles_are_what_one_in_so_many_others_leave(name, monkeypatch):
    monkeypatch.setattr(patch_gains, "best_products", getattr(patch_gains, f"best_{name}"))
    prepared = prepare_patches(waves(0, 7, 20, 24), mirror=False, one_in=3)
    patches, grid = prepared.patches, prepared.grid
    images = cells_of(waves(0, 7, 20, 24), grid)
    windows = GainWindows.of(images, grid)
    for i, r, c in np.argwhere(patches.norms[0] > 0):
        pixels, scales = windows.at(r, c)
        patch, mean = (side[i] for side in patches.at(r, c, mirrored=0))
        about = pixels.astype(int) @ patch.astype(int) - pixels.sum(axis=2, dtype=int) * mean
        best = (about * scales.astype(float)).max(axis=1).clip(0) * patches.norms[0, i, r, c]
        rests = np.sort(np.delete(1 - best, i).clip(0) + 2.0**-13)
        assert prepared.quantiles[0, i, r, c].view(np.float32) == pytest.approx(rests[2], abs=1e-6)
    assert not prepared.quantiles[patches.norms == 0].any()
