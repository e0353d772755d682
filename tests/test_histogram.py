"""Log histograms against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._base import histogram


def test_bins_are_ascending_and_16_to_a_power_of_2() -> None:
    edges = histogram.edges()
    assert (np.diff(edges) > 0).all()
    assert edges[16] == 2 * edges[0]
    assert edges[-1] == np.inf


def test_a_number_is_counted_between_its_edges() -> None:
    edges = histogram.edges()
    extremes = np.array([[0.0, edges[0], np.nextafter(edges[0], 0), edges[-2], 65535.0, np.inf]])
    places = np.searchsorted(edges, extremes[0], side="right").clip(0, len(edges) - 1)
    assert histogram.count(extremes)[0].tolist() == np.bincount(places, minlength=len(edges)).tolist()
    assert histogram.count(np.empty((2, 0))).sum() == 0


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=12), st.integers(1, 14))
def test_the_largest_are_known_to_7_percent(numbers, rank) -> None:
    found = histogram.largest(histogram.count(np.array([numbers])), rank)[0]
    exact = sorted(numbers, reverse=True)[rank - 1] if rank <= len(numbers) else 0.0
    assert found <= exact
    assert exact < histogram.edges()[0] or found >= exact / 1.07


@pytest.mark.parametrize("rank", [1, 3])
def test_rows_are_counted_apart(rank) -> None:
    numbers = np.array([[1.0, 2.0, 4.0], [0.0, 8.0, 16.0]])
    expected = [4.0, 16.0] if rank == 1 else [1.0, 0.0]
    assert histogram.largest(histogram.count(numbers), rank).tolist() == expected


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=12), st.integers(1, 12))
def test_the_smallest_are_known_to_7_percent(numbers, rank) -> None:
    rank = min(rank, len(numbers))
    found = histogram.smallest(histogram.count(np.array([numbers])), rank)[0]
    exact = sorted(numbers)[rank - 1]
    assert max(found, exact) <= max(1.07 * min(found, exact), histogram.edges()[0])


def test_the_smallest_lie_evenly_in_their_bin() -> None:
    counts = histogram.count(np.array([[2.0, 2.0, 2.0, 2.0, 8.0], [2.0, 4.0, 8.0, 1e9, np.inf]]))
    assert [histogram.smallest(counts, rank).tolist() for rank in (2, 4, 5)] == [
        [2.0625, 4.25],
        [2.125, 2.0**17],
        [8.5, 2.0**17],
    ]


def test_counts_are_as_narrow_as_their_total_allows():
    numbers = np.ones((3, 200))
    once = histogram.count(numbers)
    twice = histogram.add([once, once], 400)
    assert (once.dtype, twice.dtype) == (np.uint8, np.uint16)
    assert twice.max(axis=1).tolist() == [400] * 3
    assert np.array_equal(histogram.add([twice, once], 600), histogram.count(np.ones((3, 600))))
    assert histogram.smallest(once, 200).tolist() == histogram.smallest(once.astype(np.int64), 200).tolist()


def test_rows_are_counted_a_thousand_at_a_time():
    numbers = np.random.default_rng(0).random((2500, 3))
    found = histogram.count(numbers)
    for part in (slice(0, 1000), slice(1000, 2500)):
        assert np.array_equal(found[part], histogram.count(numbers[part]))
