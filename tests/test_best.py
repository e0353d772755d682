"""The best of every row are those of the sorted list, however the stream is cut and merged."""

import pickle
from itertools import pairwise

import numpy as np
from comparers import assert_same
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._base.best import Best, smallest
from fingerprint._base.naming import natural_key

NAMES = ("b2", "b10", "a1", "a01", "b2", "c")


def naive_best(row, names, k):
    """Positions of the k smallest values, ties by natural name, then by position."""
    return sorted(range(len(row)), key=lambda i: (row[i], natural_key(names[i]), i))[:k]


streams = st.lists(
    st.tuples(st.lists(st.integers(-2, 2), min_size=6, max_size=6), st.sampled_from(NAMES)), min_size=1, max_size=12
)


def table(stream, kind):
    """Values (2, 3, n) of a type, and names."""
    return np.array([row for row, _ in stream], kind).T.reshape(2, 3, -1), [name for _, name in stream]


@given(streams, st.integers(1, 14), st.sampled_from([np.float64, np.int64]))
def test_the_best_are_the_first_of_the_sorted_list(stream, k, kind):
    values, names = table(stream, kind)
    found = Best.of(values, names, k)
    assert found.values.dtype == kind
    assert (found.n_seen, found.values.shape) == (len(names), (2, 3, min(k, len(names))))
    for at in np.ndindex(2, 3):
        expected = naive_best(values[at], names, k)
        assert found.images[at].tolist() == expected
        assert found.values[at].tolist() == values[at][expected].tolist()
    assert found.names == {i: names[i] for i in found.images.ravel().tolist()}


@given(streams, st.integers(1, 14), st.integers(2, 4))
def test_an_image_in_several_forms_counts_once_in_the_first_of_the_best(stream, k, forms):
    values, names = table(stream, np.int64)
    count = len(names) // forms
    values, names = values[..., : count * forms], names[: count * forms]
    found = Best.of(values, names, k, forms)
    assert (found.n_seen, found.values.shape) == (count, (2, 3, min(k, count)))
    for at in np.ndindex(2, 3):
        chosen = [min(range(i, i + forms), key=values[at].__getitem__) for i in range(0, len(names), forms)]
        expected = [chosen[i] for i in naive_best(values[at][chosen], [names[i] for i in chosen], k)] if chosen else []
        assert found.images[at].tolist() == expected
        assert found.values[at].tolist() == values[at][expected].tolist()
    assert found.names == {i: names[i] for i in found.images.ravel().tolist()}


@given(streams, st.integers(1, 14), st.lists(st.integers(0, 12), max_size=3), st.randoms())
def test_cutting_and_the_order_of_merging_change_no_bit(stream, k, cuts, random):
    values, names = table(stream, np.float64)
    whole = Best.of(values, names, k)
    edges = [0, *sorted(min(cut, len(names)) for cut in cuts), len(names)]
    parts = [Best.of(values[..., a:b], names[a:b], k).moved(a) for a, b in pairwise(edges)]
    random.shuffle(parts)
    assert_same(Best.merge(parts), whole)
    assert_same(Best.merge([Best.merge(parts[:2]), *parts[2:]]), whole)
    assert_same(pickle.loads(pickle.dumps(whole)), whole)


def test_some_rows_keep_the_names_of_their_own_images():
    values = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 6.0]])
    found = Best.of(values, ["x", "y", "z"], 1).some(np.s_[1:])
    assert (found.values.tolist(), found.images.tolist(), found.names) == ([[0.0]], [[0]], {0: "x"})


def test_names_are_not_looked_at_unless_values_tie():
    class Untouched:
        def __getitem__(self, image):
            raise AssertionError(image)

    values = np.array([[3.0, 1.0, 2.0, 3.0]])
    assert smallest(values, np.arange(4)[None], Untouched(), 2).tolist() == [[1, 2]]


def test_infinite_values_come_last():
    values = np.array([[np.inf, 1.0, np.inf, -np.inf]])
    assert Best.of(values, ["d", "c", "b", "a"], 3).images.tolist() == [[3, 1, 2]]
