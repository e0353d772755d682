"""Patches of real images as they are prepared."""

import pickle

import numpy as np
from comparers import assert_same
from waves import waves

from fingerprint import patch_reals
from fingerprint.patch_reals import prepare_real


def test_threads_and_pickling_change_no_bit():
    real = waves(0, 7, 20, 24)
    one = prepare_real(real)
    assert_same(prepare_real(real, threads=2), one)
    assert_same(pickle.loads(pickle.dumps(one)), one)


def test_patterns_sum_up_to_zero():
    rng = np.random.default_rng(0)
    cut = rng.integers(0, 4080, (50, 64)) ** rng.integers(1, 3, (50, 1))
    deviations = 64 * cut - cut.sum(axis=1, keepdims=True)
    found = patch_reals._patterns(deviations)
    assert found.dtype == np.int8
    assert not found.sum(axis=1, dtype=int).any()
    scaled = deviations * 127 / np.abs(deviations).max(axis=1, keepdims=True)
    assert np.abs(found - scaled).max() <= 1.5
