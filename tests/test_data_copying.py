"""The data-copying statistic against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fingerprint import InputError, data_copying

NAN = math.nan


def naive_z(near, far):
    u = sum((a > b) + (a == b) / 2 for a in near for b in far)
    m, n = len(near), len(far)
    return (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)


def test_data_copying_is_the_weighted_mean_of_the_cells():
    rng = np.random.default_rng(0)
    near, far = rng.random(60), rng.random(40)
    a, b = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    a[a == 2] = 1
    a[:3] = 2  # too few synthetic images in cell 2
    result = data_copying(far, near, cells=(b, a), minimum=10)
    z = {k: naive_z(near[a == k], far[b == k]) for k in (0, 1, 2)}
    n = {k: int((b == k).sum()) for k in (0, 1, 2)}
    assert {cell.name: (cell.z, cell.n_unused, cell.counted) for cell in result.cells} == {
        k: (pytest.approx(z[k]), n[k], k != 2) for k in (0, 1, 2)
    }
    expected = (n[0] * z[0] + n[1] * z[1]) / (n[0] + n[1])
    assert result.z == pytest.approx(expected)
    spread = math.hypot(n[0], n[1]) / (n[0] + n[1])
    assert result.p_value == pytest.approx(stats.norm.cdf(expected / spread))
    assert 0 < result.closer < 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_data_copying_equals_scipy_with_ties(near, far):
    result = data_copying(far, near, minimum=1)
    if len({*near, *far}) == 1:
        assert (result.z, result.p_value, result.closer) == (0, 0.5, 0.5)
        return
    expected = stats.mannwhitneyu(near, far, alternative="less", method="asymptotic", use_continuity=False)
    assert result.p_value == pytest.approx(expected.pvalue)
    assert result.closer == pytest.approx(1 - expected.statistic / len(near) / len(far))


def test_data_copying_where_no_cell_counts():
    result = data_copying([3.0], [1.0, 2.0], minimum=3)
    assert np.isnan([result.z, result.p_value, result.closer]).all()
    assert [cell.counted for cell in result.cells] == [False]
    apart = data_copying([3.0], [1.0, 2.0], cells=(["b"], ["a", "a"]), minimum=1)
    assert math.isnan(apart.z)
    assert [(cell.name, cell.n_unused, cell.n_fake) for cell in apart.cells] == [("a", 0, 2), ("b", 1, 0)]


@pytest.mark.parametrize(
    ("near", "far", "options", "message"),
    [
        ([-1.0], [1.0], {}, r"fake_distances: expected distances of at least 0"),
        ([1.0], [NAN], {}, r"unused_distances: expected distances of at least 0"),
        ([True], [1.0], {}, r"fake_distances: expected distances of at least 0"),
        ([1.0], [1.0], {"minimum": 0}, r"minimum: expected an integer of at least 1"),
        ([1.0], [1.0], {"cells": [1]}, r"cells: expected a pair of sequences, one for each side"),
        ([1.0], [1.0], {"cells": ([1], [1, 2])}, r"cells: expected 1 and 1 values, one per image, got 1 and 2"),
    ],
)
def test_data_copying_refuses(near, far, options, message):
    with pytest.raises(InputError, match=message):
        data_copying(far, near, **options)
