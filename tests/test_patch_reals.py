"""Patches of real images as they are prepared."""

import pickle

import numpy as np
import pytest
from comparers import assert_same
from waves import waves

from fingerprint._kernels import compiler
from fingerprint._patches import real_side
from fingerprint._patches.real_side import prepare_real


def test_threads_and_pickling_change_no_bit():
    real = waves(0, 7, 20, 24)
    one = prepare_real(real)
    assert_same(prepare_real(real, threads=2), one)
    assert_same(pickle.loads(pickle.dumps(one)), one)


def test_how_many_images_are_measured_at_once_changes_no_bit(monkeypatch):
    real = waves(0, 7, 20, 24)
    whole = prepare_real(real)
    monkeypatch.setattr(real_side, "_AT_ONCE", 3)
    assert_same(prepare_real(real), whole)


def test_one_image_alone_is_what_it_is_among_others():
    prepared = prepare_real(waves(0, 7, 20, 24))
    alone = prepared.only(3)
    assert (alone.count, alone.mirror) == (1, True)
    np.testing.assert_array_equal(alone.yardsticks[:, 0], prepared.yardsticks[:, 3])
    np.testing.assert_array_equal(alone.patches.blocks[:, 0], prepared.patches.blocks[:, 3])


@pytest.mark.parametrize("kernel", ["vectors", "numpy"])
def test_yardsticks_are_the_rests_that_one_in_so_many_others_leave(kernel, monkeypatch):
    if not compiler.runs(kernel):
        pytest.skip(f"no {kernel} here")
    runs = compiler.runs
    monkeypatch.setattr(compiler, "runs", lambda name: runs(name) and name in (kernel, "portable"))
    monkeypatch.setattr(real_side, "_YARDSTICK", 3)
    prepared = prepare_real(waves(0, 7, 20, 24), mirror=False)
    cut, layout = prepared.patches, prepared.layout
    images = np.stack([real_side.boxes(image, layout) for image in waves(0, 7, 20, 24)])
    windows = real_side.Windows.of(images, layout)
    for i, r, c in np.argwhere(cut.norms[0] > 0):
        pixels, scales = windows.at(r, c)
        pattern, mean = (side[i] for side in cut.patterns(0, r, c))
        about = pixels.astype(int) @ pattern.astype(int) - pixels.sum(axis=2, dtype=int) * mean
        best = (about * scales.astype(float)).max(axis=1).clip(0) * cut.norms[0, i, r, c]
        rests = np.sort(np.delete(1 - best, i).clip(0) + 2.0**-13)
        assert prepared.yardsticks[0, i, r, c].view(np.float32) == pytest.approx(rests[2], abs=1e-6)
    assert not prepared.yardsticks[cut.norms == 0].any()
