"""Whitening by correlations alone, against the definition with vectors and covariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kernels import FORMS, formed

from fingerprint import _whitening_kernels, distance
from fingerprint.whitening import Whitening

RNG = np.random.default_rng(8)


def correlations(a, b):
    sides = [distance.prepare(side, "correlation") for side in (a, b)]
    return distance.block(*sides)


def images(n, seed=0, side=8):
    """Draw images that share a shape, as slices do."""
    rng = np.random.default_rng(seed)
    shared = 40 * np.add.outer(np.arange(side), np.arange(side) % 3)
    return np.clip(0.4 * shared + rng.integers(0, 120, (n, side, side)), 0, 255).astype(np.uint8)


def unit(image):
    vector = image.astype(float).ravel() - image.mean()
    return vector / np.linalg.norm(vector)


def naive(population, others):
    """Return 1 - cosine after the mean is taken off and the covariance, loaded, is made the identity."""
    known = np.array([unit(image) for image in population])
    mean = known.mean(axis=0)
    spread = known - mean
    covariance = sum(np.outer(row, row) for row in spread) / len(spread)
    loaded = covariance + covariance.trace() / len(spread) * np.eye(len(mean))
    weights = np.linalg.inv(loaded)
    found = np.empty((len(population), len(others)))
    for i, j in np.ndindex(found.shape):
        x, y = spread[i], unit(others[j]) - mean
        found[i, j] = 1 - x @ weights @ y / np.sqrt((x @ weights @ x) * (y @ weights @ y))
    return found


@pytest.mark.parametrize("n", [2, 3, 10, 70])
def test_distances_are_those_of_the_definition(n) -> None:
    population, others = images(n), images(7, seed=1)
    whitening = Whitening.of(correlations(population, population))
    for side in (others, population):
        found = whitening.distances(correlations(population, side))
        np.testing.assert_allclose(found, naive(population, side), rtol=0, atol=1e-9)


def test_a_part_of_an_image_outweighs_what_all_images_share() -> None:
    rng = np.random.default_rng(0)
    # bodies differ most, in few ways; what is an image's own is faint
    shapes, shares = rng.normal(size=(4, 16, 16)), rng.normal(size=(61, 4))
    drawn = 128 + 20 * np.tensordot(shares, shapes, axes=1) + rng.normal(scale=8, size=(61, 16, 16))
    population, other = drawn[:60].clip(0, 255).astype(np.uint8), drawn[60]
    mixed = (0.5 * population[7] + 0.5 * other).clip(0, 255).astype(np.uint8)[None]
    plain = correlations(population, mixed)
    whitened = Whitening.of(correlations(population, population)).distances(plain)
    assert plain[:, 0].argmin() != 7
    assert whitened[:, 0].argmin() == 7


def test_equal_images_have_distance_0_and_the_mean_has_1() -> None:
    population = images(5)
    found = correlations(population, population)
    whitening = Whitening.of(found)
    assert (whitening.distances(found).diagonal() == 0).all()
    # an image of which half is one image and half its opposite is where the mean of both lies: nowhere
    pair = np.array([[0.0, 2.0], [2.0, 0.0]])
    assert Whitening.of(pair).distances(np.array([[1.0], [1.0]])).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("n", [1, 4])
def test_a_population_without_differences_says_nothing(n) -> None:
    assert Whitening.of(np.zeros((n, n))) is None


def test_flat_images_are_one_more_kind_of_image() -> None:
    population = np.concatenate([images(4), np.zeros((2, 8, 8), np.uint8)])
    found = Whitening.of(correlations(population, population)).distances(correlations(population, population))
    assert np.isfinite(found).all()
    assert found[4, 5] == found[5, 4] == 0


@given(st.permutations(range(9)), st.integers(1, 8))
def test_a_column_does_not_depend_on_the_others(order, cut) -> None:
    population, others = images(6), images(9, seed=1)
    found = correlations(population, others)
    whitening = Whitening.of(correlations(population, population))
    whole = whitening.distances(found)
    parts = [whitening.distances(found[:, part]) for part in (order[:cut], order[cut:])]
    assert np.concatenate(parts, axis=1).tobytes() == np.ascontiguousarray(whole[:, order]).tobytes()
    assert ((whole >= 0) & (whole <= 2)).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (3, 4, 2), (5, 7, 33), (2, 0, 3)])
def test_products_sum_their_terms_in_order(form, n, k, m) -> None:
    a, b = RNG.normal(size=(n, k)), RNG.normal(size=(k, m))
    out = np.full((n, m), np.nan)
    formed(_whitening_kernels.multiply, form)(a, b, out)
    for i, j in np.ndindex(n, m):
        total = 0.0
        for step in range(k):
            total += float(a[i, step]) * float(b[step, j])
        assert out[i, j] == total


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_kernels_gives_the_same_bits(form) -> None:
    population, others = images(6), images(9, seed=1)
    found = correlations(population, others)
    whitening = Whitening.of(correlations(population, population))
    products, solved, out = (np.empty(found.shape) for _ in range(3))
    squares = np.empty(len(others))
    lengths = 1 - whitening.ridge * whitening.inverse.diagonal()
    centre, multiply, cosines = (
        formed(kernel, form)
        for kernel in (_whitening_kernels.centre, _whitening_kernels.multiply, _whitening_kernels.cosines)
    )
    centre(found, whitening.means, whitening.means.mean(), products, squares)
    multiply(whitening.inverse, products, solved)
    cosines(found, products, solved, squares, lengths, whitening.ridge, 1e-9, out)
    assert out.tobytes() == whitening.distances(found).tobytes()
