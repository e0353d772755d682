"""Membership statistics against loops that a reader believes at a glance, and their properties."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gumbel_r

from fingerprint._base.histogram import edges as bin_edges
from fingerprint._statistics import attacks, default, methods
from fingerprint._statistics.methods import METHODS
from fingerprint._statistics.neighbourhood import Neighbourhood

RNG = np.random.default_rng(20)
N, M, K = 30, 80, 50
FAKE = RNG.uniform(1, 9, (N, M))
REAL = np.abs(np.subtract.outer(*2 * (RNG.uniform(0, 50, N),)))


def neighbours(fake=FAKE, real=REAL, *, k=K, keep=50, grouped=False, copies=None):
    """Build what the statistics see from full matrices of distances."""
    edges = bin_edges()
    others = np.array([sorted(np.delete(row, i)) for i, row in enumerate(real)]).reshape(len(real), -1)[:, :keep]
    counts = np.array([np.bincount(np.searchsorted(edges, row, side="right"), minlength=len(edges)) for row in fake])
    votes = np.bincount(fake.argmin(axis=0), minlength=len(fake))
    return Neighbourhood(
        np.sort(fake, axis=1)[:, :k], others, counts, votes, votes if copies is None else copies, fake.shape[1], grouped
    )


SEEN = neighbours()


def auc(scores):
    """How well scores tell the first half from the second."""
    first, second = np.split(scores, 2)
    return (first[:, None] > second).mean()


def test_gan_leaks_is_minus_the_smallest_distance() -> None:
    assert attacks.gan_leaks(SEEN).tolist() == [-min(row) for row in FAKE]


def test_gan_leaks_calibrated_subtracts_the_smallest_distance_to_another_real() -> None:
    expected = [min(np.delete(REAL[i], i)) - min(FAKE[i]) for i in range(N)]
    assert attacks.gan_leaks_calibrated(SEEN).tolist() == expected


def test_gan_leaks_calibrated_without_other_reals_is_gan_leaks() -> None:
    lone = neighbours(FAKE[:1], REAL[:1, :1])
    assert attacks.gan_leaks_calibrated(lone) == attacks.gan_leaks(lone)
    lone = Neighbourhood(SEEN.nearest, np.full((N, 3), np.inf), SEEN.counts, SEEN.votes, SEEN.copies, M, grouped=True)
    assert attacks.gan_leaks_calibrated(lone).tolist() == attacks.gan_leaks(SEEN).tolist()


def test_monte_carlo_counts_within_the_median_smallest_distance_rounded_up() -> None:
    radius = min(edge for edge in bin_edges() if edge > np.median(FAKE.min(axis=1)))
    assert attacks.monte_carlo(SEEN).tolist() == [sum(row < radius) / M for row in FAKE]
    assert radius / np.median(FAKE.min(axis=1)) < 1 + 1 / 16


def test_domias_is_the_log_ratio_of_kernel_densities() -> None:
    fake, real = 20 + FAKE, 20 + REAL
    width = np.median([min(np.delete(real[i], i)) for i in range(N)])

    def density(distances):
        return sum(math.exp(-(d**2) / (2 * width**2)) for d in distances) / len(distances)

    expected = [math.log(density(fake[i])) - math.log(density(np.delete(real[i], i))) for i in range(N)]
    # distances to synthetic images are known to within half a bin, a log2 ratio of 1/32
    np.testing.assert_allclose(attacks.domias(neighbours(fake, real)), expected, atol=0.15)


def test_domias_of_a_whole_image_does_not_underflow() -> None:
    far = neighbours(FAKE * 1e3, REAL / 1e3)
    assert np.isfinite(attacks.domias(far)).all()


def test_domias_without_other_reals_is_the_density_of_synthetic_ones() -> None:
    near_and_far = np.array([[1.0, 1, 9], [8, 9, 9]])
    seen = Neighbourhood(
        near_and_far, np.empty((2, 0)), neighbours(near_and_far, np.ones((2, 2))).counts, *2 * (np.ones(2),), 3
    )
    near, far = attacks.domias(seen)
    assert near > far


def test_adaptive_divides_by_the_mean_of_the_50_nearest() -> None:
    expected = [-min(row) / np.mean(sorted(row)[:50]) for row in FAKE]
    np.testing.assert_allclose(attacks.adaptive(neighbours(k=60)), expected, rtol=1e-14)


def test_adaptive_of_fewer_than_50_uses_all_of_them() -> None:
    few = neighbours(FAKE[:, :3])
    padded = Neighbourhood(
        np.pad(few.nearest, ((0, 0), (0, 47)), constant_values=np.inf), *list(vars(few).values())[1:]
    )
    np.testing.assert_allclose(attacks.adaptive(padded), [-min(r) / np.mean(r) for r in FAKE[:, :3]], rtol=1e-14)


def test_adaptive_of_nothing_but_copies_is_0() -> None:
    assert attacks.adaptive(neighbours(np.zeros((2, 3)), np.ones((2, 2)))).tolist() == [0, 0]


def test_votes_and_copies_are_counts() -> None:
    assert attacks.retrieval_votes(SEEN).tolist() == [sum(FAKE.argmin(axis=0) == i) for i in range(N)]
    assert attacks.authenticity(neighbours(copies=np.arange(N))).tolist() == list(range(N))


@pytest.mark.parametrize(("grouped", "first", "last"), [(False, 5, 29), (True, 0, 10)])
def test_nearness_compares_with_similar_real_images(grouped: bool, first: int, last: int) -> None:
    expected = [
        np.median(np.log2(np.maximum(sorted(np.delete(REAL[i], i))[first:last], 1e-12))) - math.log2(min(FAKE[i]))
        for i in range(N)
    ]
    np.testing.assert_allclose(default.nearness(neighbours(grouped=grouped)), expected, rtol=1e-12)


def test_nearness_passes_over_the_nearest_10_of_many() -> None:
    real = np.abs(np.subtract.outer(*2 * (RNG.uniform(0, 50, 70),)))
    fake = RNG.uniform(1, 9, (70, 5))
    expected = [np.median(np.log2(sorted(np.delete(real[i], i))[10:50])) - math.log2(min(fake[i])) for i in range(70)]
    np.testing.assert_allclose(default.nearness(neighbours(fake, real)), expected, rtol=1e-12)


def test_nearness_has_its_zero_and_its_unit() -> None:
    real = 4.0 - 4.0 * np.eye(5)
    fake = np.array([[4.0], [2], [1], [8], [16]])
    assert default.nearness(neighbours(fake, real)).tolist() == [0, 1, 2, -1, -2]


def test_nearness_is_the_same_for_every_power_of_the_distance() -> None:
    squared = default.nearness(neighbours(FAKE**2, REAL**2))
    np.testing.assert_allclose(squared, 2 * default.nearness(SEEN), rtol=1e-12)


def test_nearness_of_one_image_is_calibrated_by_its_next_nearest_synthetic_images() -> None:
    alone = neighbours(np.array([[1.0, 4.0, 4.0, 16.0]]), np.zeros((1, 1)))
    assert default.nearness(alone).tolist() == [2]
    assert default.nearness(neighbours(np.array([[3.0]]), np.zeros((1, 1)))).tolist() == [0]
    padded = replace(alone, nearest=np.array([[3.0, np.inf]]), others=np.full((1, 2), np.inf), grouped=True)
    assert default.nearness(padded).tolist() == [0]


def test_nearness_of_an_identical_copy_is_finite_and_largest() -> None:
    fake = FAKE.copy()
    fake[7, 3] = 0
    found = default.nearness(neighbours(fake))
    assert found.argmax() == 7
    assert np.isfinite(found).all()


def test_tail_scores_are_logarithms_of_gumbel_tails() -> None:
    rows = RNG.normal(size=(2, 60)) * [[1], [7]]
    for row, found in zip(rows, default.tail_scores(rows, 1e-9), strict=True):
        low, middle = np.quantile(row, (0.05, 0.25))
        scale = (middle - low) / (gumbel_r.ppf(0.25) - gumbel_r.ppf(0.05))
        tails = gumbel_r.sf(row, loc=middle - scale * gumbel_r.ppf(0.25), scale=scale)
        np.testing.assert_allclose(found, -np.log10(tails), rtol=1e-9)


def test_tail_scores_are_exponential_where_the_nearest_of_many_is_nearest_by_chance() -> None:
    nearest = RNG.random(size=(4000, 500)).min(axis=1) ** (1 / 8)  # the nearest of 500 in eight dimensions
    found = default.tail_scores(-np.log(nearest)[None], 1e-9)[0] * np.log(10)
    assert found.mean() == pytest.approx(1, abs=0.15)
    assert np.quantile(found, 0.99) == pytest.approx(np.log(100), rel=0.15)


def test_tail_scores_without_spread_are_small_and_of_copies_finite() -> None:
    assert (default.tail_scores(np.ones((2, 3)), 1.0) < 0.2).all()
    assert np.isfinite(default.tail_scores(np.array([[0.0, 1, 2, 3, 1e6], [0, 0, 0, 0, -1e6]]), 0.1)).all()


def test_tail_scores_are_high_where_all_images_have_evidence() -> None:
    rows = 40 + RNG.normal(size=(1, 30))
    assert default.tail_scores(rows, 0.15).max() < 5
    assert default.tail_scores(rows, 0.15, 2.0).min() > 10
    assert default.tail_scores(rows - 40, 0.15, 2.0).tolist() == default.tail_scores(rows - 40, 0.15).tolist()


def test_one_value_above_many_equal_ones_has_a_high_tail_score() -> None:
    rows = np.zeros((1, 50))
    rows[0, 7] = 5
    assert default.tail_scores(rows, 0.1)[0].argmax() == 7
    assert default.tail_scores(rows, 0.1)[0, 7] > 10


def test_strong_evidence_of_half_of_the_images_does_not_drown_in_the_other_kind() -> None:
    noise, strong = RNG.normal(size=(2, 200))
    strong[:100] += 50
    found = default.add_kinds(default.tail_scores(np.stack([noise, strong]), 0.1))
    assert found[:100].min() > found[100:].max()


def test_evidence_of_half_of_the_images_does_not_drown_in_the_noise_of_the_other_kind() -> None:
    noise, some = RNG.gumbel(size=(2, 400))
    some[:200] += 6
    tails = default.tail_scores(np.stack([noise, some]), 0.1)
    assert auc(tails.sum(axis=0)) < auc(some) - 0.003 < auc(default.add_kinds(tails))


def test_kinds_that_tell_alike_add() -> None:
    kinds = RNG.gumbel(size=(2, 400))
    kinds[:, :200] += 2
    tails = default.tail_scores(kinds, 0.1)
    assert auc(default.add_kinds(tails)) > max(map(auc, kinds)) + 0.02


def test_what_kinds_tell_does_not_count_where_images_are_few() -> None:
    tails = default.tail_scores(np.random.default_rng(1).gumbel(size=(2, 3)), 0.5)
    assert default.add_kinds(tails) == pytest.approx(tails.sum(axis=0), rel=0.3)
    assert default.add_kinds(tails[:1]).tolist() == tails[0].tolist()


def total(method, seen, parts=None):
    return methods.score(methods.kinds(method, seen, parts))[0]


WHOLE = {name: method for name, method in METHODS.items() if method.statistic}


@pytest.mark.parametrize("method", WHOLE.values(), ids=WHOLE)
def test_every_method_gives_one_finite_score_an_image_and_its_views_combine(method) -> None:
    one = total(method, [[[SEEN]]])
    assert one.shape == (N,)
    assert np.isfinite(one).all()
    np.testing.assert_allclose(total(method, [[[SEEN], [SEEN, SEEN]], [[SEEN]]]), one, rtol=1e-12)


def test_what_is_within_chance_has_no_tail_score() -> None:
    evidence = RNG.normal(size=(2, 40))
    wide = default.tail_scores(evidence, np.array([0.01, 1000.0]))
    assert wide[0].tolist() == default.tail_scores(evidence, 0.01)[0].tolist()
    assert wide[1] == pytest.approx(-math.log10(0.75), abs=0.01)


def test_whole_images_and_patches_are_two_kinds_of_evidence() -> None:
    parts = RNG.normal(size=N)
    whole = default.nearness(SEEN)
    both, patches = METHODS["default"], METHODS["patches"]
    assert methods.kinds(both, [[[SEEN]]], parts).tolist() == [whole.tolist(), parts.tolist()]
    tails = default.tail_scores(np.stack([whole, parts]), default.CHANCE, default.HIGHEST)
    assert total(both, [[[SEEN]]], parts).tolist() == default.add_kinds(tails).tolist()
    assert total(both, [[[SEEN]]]).tolist() == whole.tolist()
    assert methods.score(np.stack([whole, parts]))[1].tolist() == (tails[1] > tails[0]).tolist()
    assert not methods.score(parts[None])[1].any()
    alone = neighbours(FAKE[:1], REAL[:1, :1])
    assert 0 <= total(both, [[[alone]]], np.array([30.0])) < 5
    assert total(patches, [[[SEEN]]], parts).tolist() == parts.tolist()
    assert total(METHODS["nearness"], [[[SEEN]]], parts).tolist() == whole.tolist()


def test_images_that_were_processed_alike_are_scored_among_themselves() -> None:
    statistics = np.random.default_rng(2).gumbel(size=(2, 60)) * [[1.0], [30.0]]
    alike = np.arange(60) % 3
    moved = statistics + np.array([[0.0, 0.5, 1.0], [0.0, 20.0, 40.0]])[:, alike]  # as if by processing
    expected = np.empty((2, 60))
    for way in range(3):
        expected[:, alike == way] = default.tail_scores(moved[:, alike == way], default.CHANCE, default.HIGHEST)
    assert methods.score(moved, alike)[0].tolist() == default.add_kinds(expected).tolist()
    np.testing.assert_allclose(methods.score(moved, alike)[0], methods.score(statistics, alike)[0], rtol=1e-9)
    assert methods.score(moved, np.zeros(60, int))[0].tolist() == methods.score(moved)[0].tolist()


@pytest.mark.parametrize("method", [m for name, m in WHOLE.items() if "votes" not in name and name != "authenticity"])
def test_a_nearer_synthetic_image_never_lowers_a_score(method) -> None:
    before = method.statistic(SEEN)
    fake = np.append(FAKE, np.where(np.arange(N) == 4, 0.01, 100.0)[:, None], axis=1)
    after = method.statistic(neighbours(fake))
    assert after[4] > before[4]


def test_the_whole_image_weighs_as_much_as_all_of_its_windows_and_scales_weigh_alike() -> None:
    seen = [neighbours(FAKE * factor, REAL) for factor in (1, 2, 4, 8)]
    whole, first, second, coarse = (default.nearness(one) for one in seen)
    found = methods.kinds(METHODS["nearness"], [[[seen[0]], [seen[1], seen[2]]], [[seen[3]]]])
    np.testing.assert_allclose(found[0], ((whole + (first + second) / 2) / 2 + coarse) / 2, rtol=1e-12)
