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
    result = data_copying(far, near, cells=(b, a), minimum=10, groups=range(40))
    z = {k: naive_z(near[a == k], far[b == k]) for k in (0, 1, 2)}
    n = {k: int((b == k).sum()) for k in (0, 1, 2)}
    assert {cell.name: (cell.z, cell.n_unused, cell.counted) for cell in result.cells} == {
        k: (pytest.approx(z[k]), n[k], k != 2) for k in (0, 1, 2)
    }
    expected = (n[0] * z[0] + n[1] * z[1]) / (n[0] + n[1])
    assert result.z == pytest.approx(expected)
    spread = math.hypot(n[0], n[1]) / (n[0] + n[1])
    patients = n[0] + n[1]
    assert (result.n_unused_groups, data_copying(far, near).n_unused_groups) == (patients, None)
    # each image is of a patient of its own: nothing is clustered
    assert result.p_value == pytest.approx(stats.t.cdf(expected / spread, patients - 1))
    assert math.isnan(data_copying(far, near, cells=(b, a), minimum=10).p_value)
    share = {k: np.mean([[(x < y) + (x == y) / 2 for x in near[a == k]] for y in far[b == k]]) for k in (0, 1)}
    assert result.closer == pytest.approx((n[0] * share[0] + n[1] * share[1]) / patients)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_data_copying_equals_scipy_with_ties(near, far):
    result = data_copying(far, near, minimum=1)
    if len({*near, *far}) == 1:
        assert (result.z, result.closer) == (0, 0.5)
        return
    expected = stats.mannwhitneyu(near, far, alternative="less", method="asymptotic", use_continuity=False)
    assert stats.norm.cdf(result.z) == pytest.approx(expected.pvalue)
    assert result.closer == pytest.approx(1 - expected.statistic / len(near) / len(far))


def by_patient(rng, patients, images, count, runs):
    """Return p-values where synthetic images lie as far as unused ones, whose slices of one patient are much alike."""
    groups = np.repeat(np.arange(patients), images)
    for _ in range(runs):
        far = 0.9 * rng.normal(size=patients)[groups] + 0.44 * rng.normal(size=len(groups))
        near = rng.normal(size=count)
        yield (
            data_copying(np.exp(far), np.exp(near), groups=groups),
            data_copying(np.exp(far), np.exp(near), groups=range(len(groups))),
        )


@pytest.mark.parametrize(("patients", "images", "count"), [(3, 10, 300), (8, 10, 30), (30, 4, 300)])
def test_the_p_value_by_patient_is_valid_where_that_by_image_is_not(patients, images, count) -> None:
    runs = 400
    both = list(by_patient(np.random.default_rng(patients), patients, images, count, runs))
    for level in (0.05, 0.2):
        most = stats.binom.ppf(0.999, runs, level)
        assert sum(one.p_value <= level for one, _ in both) <= most
        assert sum(other.p_value <= level for _, other in both) > most


def test_copies_are_shown_by_patient() -> None:
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(10), 6)
    far = np.exp(rng.normal(size=10)[groups])
    copied = data_copying(far, np.exp(rng.normal(size=200) - 3), groups=groups)
    assert copied.p_value < 1e-3
    apart = data_copying(far, np.zeros(200), groups=groups)
    assert (apart.closer, apart.p_value < 0.01) == (1, True)
    assert math.isnan(data_copying(far, np.zeros(200), groups=["one"] * 60).p_value)


def test_the_text_says_what_the_statistic_does_not_show() -> None:
    result = data_copying([3.0, 4.0], [1.0, 2.0], minimum=1, groups=["a", "b"])
    assert str(result) == (
        "A synthetic image lies nearer to the used images than an unused one does in 100 % of pairs (data-copying "
        f"statistic C_T = -1.55, p = {result.p_value:.2g} by patient). Smooth synthetic images do so without copying: "
        "this alone shows no leak."
    )
    assert "C_T = -1.55). Smooth" in str(data_copying([3.0, 4.0], [1.0, 2.0], minimum=1))
    assert "not defined" in str(data_copying([3.0], [1.0], minimum=3))


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
        ([1.0], [1.0], {"groups": ["a", "b"]}, r"groups: expected one patient for each of the 1 images, got 2"),
        ([1.0], [1.0], {"cells": ([1], [1, 2])}, r"cells: expected 1 and 1 values, one per image, got 1 and 2"),
    ],
)
def test_data_copying_refuses(near, far, options, message):
    with pytest.raises(InputError, match=message):
        data_copying(far, near, **options)
