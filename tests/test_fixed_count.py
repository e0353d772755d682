"""Statistics that do not depend on the number of synthetic images, against means over all subsets."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._base.histogram import edges as bin_edges
from fingerprint._statistics import fixed_count
from fingerprint._statistics.neighbourhood import Neighbourhood


def neighbours(matrix: np.ndarray, k: int) -> Neighbourhood:
    edges = bin_edges()
    counts = np.array([np.bincount(np.searchsorted(edges, row, side="right"), minlength=len(edges)) for row in matrix])
    empty = np.empty((len(matrix), 0))
    return Neighbourhood(np.sort(matrix, axis=1)[:, :k], empty, counts, empty, empty, matrix.shape[1])


@given(st.integers(1, 7), st.integers(0, 1000))
def test_the_expected_nearest_is_the_mean_over_all_subsets(count, seed) -> None:
    matrix = np.random.default_rng(seed).uniform(0.1, 9, (2, 7))
    expected = [
        np.mean([math.log2(min(subset)) for subset in itertools.combinations(row, count)]) for row in matrix.tolist()
    ]
    np.testing.assert_allclose(fixed_count.expected_nearest(neighbours(matrix, 7), count), expected, atol=1e-12)
    # beyond the first two distances only the bins are known
    np.testing.assert_allclose(fixed_count.expected_nearest(neighbours(matrix, 2), count), expected, atol=1 / 30)


def test_the_expected_nearest_of_all_is_the_nearest() -> None:
    matrix = np.random.default_rng(0).uniform(0.1, 9, (5, 300))
    np.testing.assert_allclose(
        fixed_count.expected_nearest(neighbours(matrix, 3), 300), np.log2(matrix.min(axis=1)), atol=1e-12
    )


def test_identical_copies_have_a_finite_log2_ratio() -> None:
    copied = fixed_count.expected_nearest(neighbours(np.array([[0.0, 1.0]]), 2), 2, least=np.array([-3.0]))
    assert copied.tolist() == [-3.0]
