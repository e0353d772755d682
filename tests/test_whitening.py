"""Whitening by correlations alone, against the definition with vectors and covariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kernels import FORMS, formed

from fingerprint._base.representatives import representatives
from fingerprint._distances import metrics
from fingerprint._evidence.whitening import Whitening, _inverse
from fingerprint._kernels import whitening as kernels

RNG = np.random.default_rng(8)


def correlations(a, b):
    sides = [metrics.prepare_side(side, "correlation") for side in (a, b)]
    return metrics.matrix(*sides)


def whitening_of(known, chosen=None):
    chosen = np.arange(len(known)) if chosen is None else np.asarray(chosen)
    return Whitening.of(correlations(known, known[chosen]), chosen)


def images(n, seed=0, side=8):
    """Draw images that share a shape, as slices do."""
    rng = np.random.default_rng(seed)
    shared = 40 * np.add.outer(np.arange(side), np.arange(side) % 3)
    return np.clip(0.4 * shared + rng.integers(0, 120, (n, side, side)), 0, 255).astype(np.uint8)


def unit(image):
    vector = image.astype(float).ravel() - image.mean()
    return vector / np.linalg.norm(vector)


def naive(known, chosen, others):
    """Return 1 - cosine after the mean is taken off and the covariance, loaded, is made the identity."""
    vectors = np.array([unit(image) for image in known])
    mean = vectors[chosen].mean(axis=0)
    spread = vectors[chosen] - mean
    covariance = sum(np.outer(row, row) for row in spread) / len(spread)
    loaded = covariance + 3 * covariance.trace() / len(spread) * np.eye(len(mean))
    weights = np.linalg.inv(loaded)
    found = np.empty((len(known), len(others)))
    for i, j in np.ndindex(found.shape):
        x, y = vectors[i] - mean, unit(others[j]) - mean
        found[i, j] = 1 - x @ weights @ y / np.sqrt((x @ weights @ x) * (y @ weights @ y))
    return found


@pytest.mark.parametrize(("n", "chosen"), [(2, [0, 1]), (3, [0, 1, 2]), (70, range(70)), (9, [1, 4, 8]), (5, [0, 4])])
def test_distances_are_those_of_the_definition(n, chosen) -> None:
    known, others = images(n), images(7, seed=1)
    whitening = whitening_of(known, chosen)
    for side in (others, known):
        found = whitening.distances(correlations(known, side))
        np.testing.assert_allclose(found, naive(known, chosen, side), rtol=0, atol=1e-9)


def test_a_part_of_an_image_outweighs_what_all_images_share() -> None:
    rng = np.random.default_rng(0)
    # bodies differ most, in few ways; what is an image's own is faint
    shapes, shares = rng.normal(size=(4, 16, 16)), rng.normal(size=(61, 4))
    drawn = 128 + 20 * np.tensordot(shares, shapes, axes=1) + rng.normal(scale=8, size=(61, 16, 16))
    known, other = drawn[:60].clip(0, 255).astype(np.uint8), drawn[60]
    mixed = (0.5 * known[7] + 0.5 * other).clip(0, 255).astype(np.uint8)[None]
    plain = correlations(known, mixed)
    whitened = whitening_of(known).distances(plain)
    assert plain[:, 0].argmin() != 7
    assert whitened[:, 0].argmin() == 7


@pytest.mark.parametrize("chosen", [range(5), [0, 2]])
def test_equal_images_have_distance_0(chosen) -> None:
    known = images(5)
    found = whitening_of(known, chosen).distances(correlations(known, known))
    assert (found.diagonal() == 0).all()
    assert (found + np.eye(5) > 0).all()


def test_an_image_that_resembles_nobody_has_distance_1() -> None:
    # an image and its negative; the other is at right angles to both
    pair = np.array([[0.0, 2.0], [2.0, 0.0]])
    assert Whitening.of(pair, np.arange(2)).distances(np.array([[1.0], [1.0]])).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("n", [1, 4])
def test_a_population_without_differences_says_nothing(n) -> None:
    assert Whitening.of(np.zeros((n, n)), np.arange(n)) is None


def test_flat_images_are_one_more_kind_of_image() -> None:
    known = np.concatenate([images(4), np.zeros((2, 8, 8), np.uint8)])
    found = whitening_of(known).distances(correlations(known, known))
    assert np.isfinite(found).all()
    assert found[4, 5] == found[5, 4] == 0


@given(st.permutations(range(9)), st.integers(1, 8), st.sampled_from([range(6), [0, 3, 5]]))
def test_a_column_does_not_depend_on_the_others(order, cut, chosen) -> None:
    known, others = images(6), images(9, seed=1)
    found = correlations(known, others)
    whitening = whitening_of(known, chosen)
    whole = whitening.distances(found)
    parts = [whitening.distances(found[:, part]) for part in (order[:cut], order[cut:])]
    assert np.concatenate(parts, axis=1).tobytes() == np.ascontiguousarray(whole[:, order]).tobytes()
    assert ((whole >= 0) & (whole <= 2)).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (3, 4, 2), (5, 7, 33), (2, 0, 3)])
def test_products_sum_their_terms_in_order(form, n, k, m) -> None:
    a, b = RNG.normal(size=(n, k)), RNG.normal(size=(k, m))
    out = np.full((n, m), np.nan)
    formed(kernels.multiply, form)(a, b, out)
    for i, j in np.ndindex(n, m):
        total = 0.0
        for step in range(k):
            total += float(a[i, step]) * float(b[step, j])
        assert out[i, j] == total


@pytest.mark.parametrize("n", [1, 2, 3, 21, 49, 131])
def test_the_inverse_is_that_of_the_matrix(n) -> None:
    rows = RNG.normal(size=(n, 3 * n))
    matrix = rows @ rows.T + n * np.eye(n)
    np.testing.assert_allclose(_inverse(matrix) @ matrix, np.eye(n), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_kernels_gives_the_same_bits(form, monkeypatch) -> None:
    known, chosen = images(6), [0, 2, 5]
    found = correlations(known, images(9, seed=1))
    whitening = whitening_of(known, chosen)
    whole = whitening.distances(found)
    for name in ("centre", "multiply", "project", "cosines"):
        monkeypatch.setattr(kernels, name, formed(getattr(kernels, name), form))
    assert whitening.distances(found).tobytes() == whole.tobytes()


@given(st.integers(1, 5000))
def test_those_that_stand_for_all_are_spread_evenly(count) -> None:
    chosen = representatives(count)
    assert len(chosen) == min(count, 1024)
    assert (chosen[0], chosen[-1]) == (0, count - 1) or count == 1
    steps = np.diff(chosen)
    assert count == 1 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)
