"""Decisions without labels: error kept where the assumption holds, no evidence where there is none."""

import csv
import json
from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

import fingerprint
from fingerprint import InputError
from fingerprint._answers.ranking import Match, Ranking
from fingerprint._base import histogram
from fingerprint._base.best import Best
from fingerprint._patches import gains
from fingerprint._statistics import decisions, neighbourhood, p_values

RUNS = 3 if numba.config.DISABLE_JIT else 30  # of the whole of it; interpreted, they only show that it runs
unit = st.floats(0, 1)


def ranking(values, reference=None) -> Ranking:
    values = -np.sort(-np.asarray(values, np.float64))
    p = None if reference is None else p_values.p_values(values, np.asarray(reference))
    names = tuple(f"{i}.png" for i in range(len(values)))
    q = None if p is None else p_values.q_values(p)
    return Ranking(names, values, ((Match("f", 0.0),),) * len(values), p, q, None, 1, {}, {}, np.arange(len(values)))


def two_groups(rng, n=200, apart=6.0, share=0.5):
    used = rng.random(n) < share
    return np.where(used, apart, 0.0) + rng.normal(size=n), used


def neighbours(distances) -> neighbourhood.Neighbourhood:
    """Return what one scale shows of real images at these distances from the synthetic ones."""
    none, no_votes = np.empty((len(distances), 0)), np.zeros(len(distances), np.int64)
    nearest = np.sort(distances, axis=1)[:, :1]
    return neighbourhood.Neighbourhood(
        nearest, none, histogram.count(distances), no_votes, no_votes, distances.shape[1]
    )


def summary(sums) -> gains.GainSummary:
    """Return what is kept of sums of gains."""
    names = [str(i) for i in range(sums.shape[1])]
    return gains.GainSummary(Best.of(-np.rint(sums * 2**15).astype(np.int64), names, 1), histogram.count(sums))


def around(rng, n, count, dimension):
    """Return distances that thin out towards each image as the given power says."""
    return rng.random((n, count)) ** (1 / np.asarray(dimension))


def decide(chances, groups=None, rate=0.1) -> decisions.Decisions:
    chances = np.asarray(chances, np.float64)
    return decisions.by_extrapolation(tuple(map(str, range(len(chances)))), chances, groups, rate)


def few(alarms, runs, rate=0.1) -> bool:
    """Whether so many alarms pass for a probability of at most the rate."""
    return alarms <= binom.ppf(0.999, runs, rate)


@given(st.floats(0, 30), st.integers(2, 40), st.integers(1, 60))
def test_a_lead_is_as_likely_as_the_product_says(ratio, first, more) -> None:
    last, expected = first + more, first - 1.0
    for j in range(first, last):
        expected *= j / (j + ratio)
    found = decisions.exceeded(np.array([3 * ratio]), np.array([3.0]), first, last)[0]
    assert found == pytest.approx(min(expected, 1.0), rel=1e-9)


@given(st.lists(st.floats(-5, 50), min_size=2, max_size=8), st.integers(2, 50), st.integers(1, 500))
def test_a_larger_lead_is_less_likely(leads, first, more) -> None:
    found = decisions.exceeded(np.sort(leads), np.ones(len(leads)), first, first + more)
    assert (np.diff(found) <= 1e-12 * found[:-1]).all()  # leads a rounding apart may come out either way
    assert ((found >= 0) & (found <= 1)).all()


def test_without_lead_or_step_all_is_chance() -> None:
    assert decisions.exceeded(np.array([-1.0, 0.0, 9.0]), np.array([1.0, 1.0, 0.0]), 5, 50).tolist() == [1, 1, 1]


@pytest.mark.parametrize("count", [40, 400, 2000])
@pytest.mark.parametrize("dimension", [2.0, 10.0, 30.0])
def test_p_values_are_valid_where_distances_thin_out_as_a_power(count, dimension) -> None:
    rng = np.random.default_rng(0)
    found = decisions.whole_images([neighbours(around(rng, 4000, count, dimension))])
    for level in (0.1, 0.01, 0.001):
        # distances are known by bins, which costs some exactness
        assert few((found <= level).sum(), len(found), 1.3 * level)
    assert (found <= 0.1).mean() > 0.05


def test_p_values_are_valid_where_they_thin_out_faster() -> None:
    rng = np.random.default_rng(1)
    gap = np.hypot(0.4, around(rng, 4000, 500, 8.0))  # real images lie off what a generator draws
    assert few((decisions.whole_images([neighbours(gap)]) <= 0.01).sum(), 4000, 0.001)


def test_p_values_of_patches_are_valid_for_exponential_tails() -> None:
    rng = np.random.default_rng(2)
    found = decisions.parts(summary(40 + 20 * rng.exponential(size=(4000, 1000))))
    for level in (0.1, 0.01, 0.001):
        assert few((found <= level).sum(), len(found), 1.3 * level)
    assert (found <= 0.1).mean() > 0.05


def test_sums_of_gains_that_a_structure_may_bring_are_no_evidence() -> None:
    sums = np.random.default_rng(5).exponential(size=(3, 1000))
    sums[:, 7] = 19.0, 20.0, 160.0  # far out of the tail, all three
    assert (decisions.parts(summary(sums)) < 1e-3).all()
    assert decisions.parts(summary(sums), 20.0)[:2].tolist() == [1.0, 1.0]
    assert decisions.parts(summary(sums), 20.0)[2] < 1e-3
    assert (decisions.parts(summary(40 + sums), 20.0) == decisions.parts(summary(40 + sums))).all()


def test_all_scales_have_to_agree() -> None:
    rng = np.random.default_rng(3)
    distances = around(rng, 50, 400, 10.0)
    near = distances.copy()
    near[:, 0] = 0.05
    assert (decisions.whole_images([neighbours(near)]) < 1e-6).all()
    assert (decisions.whole_images([neighbours(near)] * 2) < 1e-6).all()
    plain = decisions.whole_images([neighbours(distances)])
    both = decisions.whole_images([neighbours(near), neighbours(distances)])
    np.testing.assert_allclose(both, np.minimum(plain, 1.0), rtol=1e-3)


def test_either_kind_is_enough_at_twice_the_p_value() -> None:
    rng = np.random.default_rng(4)
    scales, matched = [neighbours(around(rng, 30, 400, 10.0))], summary(rng.exponential(size=(30, 400)))
    whole, patches = decisions.whole_images(scales), decisions.parts(matched)
    np.testing.assert_array_equal(decisions.chance(scales), whole)
    np.testing.assert_array_equal(decisions.chance([], matched), patches)
    expected = np.minimum(2 * np.minimum(whole, patches), 1.0)
    np.testing.assert_array_equal(decisions.chance(scales, matched), expected)


@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_few_synthetic_images_are_no_evidence(count) -> None:
    numbers = np.full((3, count), 0.5)
    numbers[:, 0] = 1e-9
    if count < 6:
        assert decisions.whole_images([neighbours(numbers)]).tolist() == [1, 1, 1]
    assert decisions.parts(summary(1 / numbers)).tolist() == [1, 1, 1]


def test_patients_are_decided_by_their_nearest_image_and_the_number_of_their_images() -> None:
    chances = np.r_[np.full(12, 1e-6), np.full(12, 0.5)]
    groups = tuple(f"p{i // 2}" for i in range(24))
    found = decide(chances, groups, rate=0.2)
    # twelve patients, six at 2e-6: 2e-6 * 12 / 6, and one coincidence among six
    assert [(one.name, one.used) for one in found.by_group[:7]] == [(f"p{i}", i < 6) for i in range(7)]
    assert found.by_group[0].error == pytest.approx(4e-6 + 1 / 6)
    assert found.by_group[-1].error == 1
    assert found.verdict.startswith("12 of 24 images and 6 of 12 patients are called used, at most 20 % of either")
    none = decide(np.ones(4), ("a", "a", "b", "c"))
    assert none.verdict.startswith("No evidence: none of 4 images and none of 3 patients is called used.")
    assert decide(chances).by_group is None


def test_identical_copies_and_identical_distances_are_finite() -> None:
    distances = around(np.random.default_rng(5), 3, 400, 10.0)
    distances[0, 0] = 0.0
    distances[1] = 0.7
    distances[2] = 0.0
    found = decisions.whole_images([neighbours(distances)])
    assert found[0] < 1e-20
    assert found[1:].tolist() == [1, 1]


@given(st.lists(st.tuples(unit, st.integers(0, 3)), min_size=1, max_size=30), st.booleans())
def test_the_error_is_that_of_benjamini_and_hochberg_and_one_coincidence(drawn, grouped) -> None:
    chances, groups = [p for p, _ in drawn], tuple(str(g) for _, g in drawn)
    order = sorted(range(len(drawn)), key=lambda i: chances[i])
    expected, least = {}, 1.0
    for rank in range(len(drawn), 0, -1):
        called = order[:rank]
        apart = len({groups[i] for i in called}) if grouped else rank
        least = min(least, len(drawn) * chances[called[-1]] / rank + 1 / apart)
        expected[called[-1]] = least
    found = decide(chances, groups if grouped else None)
    np.testing.assert_allclose(found.error, [expected[i] for i in range(len(drawn))], rtol=1e-12)


@given(st.lists(unit, min_size=1, max_size=60), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_fewer_calls_than_one_coincidence_allows_are_never_made(chances, rate) -> None:
    called = decide(chances, rate=rate).used.sum()
    assert called == 0 or called >= 1 / rate
    assert decide(chances, rate=rate).used.sum() <= decide([0.0, *chances], rate=rate).used.sum()


def test_slices_of_one_patient_are_one_coincidence() -> None:
    chances = np.r_[np.zeros(30), np.full(30, 0.5)]
    assert decide(chances).used.sum() == 30
    assert not decide(chances, ("a",) * 30 + tuple(map(str, range(30)))).used.any()
    assert decide(chances, tuple(map(str, range(60)))).used.sum() == 30


def test_independent_p_values_hardly_ever_raise_an_alarm() -> None:
    rng = np.random.default_rng(6)
    assert sum(decide(rng.random(100)).used.any() for _ in range(2000)) <= 2


def test_the_false_discovery_rate_is_kept_where_some_were_used() -> None:
    rng = np.random.default_rng(7)
    rates, found = [], []
    for _ in range(300):
        used = rng.random(100) < 0.4
        decided = decide(np.where(used, rng.random(100) ** 8, rng.random(100)), rate=0.2).used
        rates.append((decided & ~used).sum() / max(1, decided.sum()))
        found.append(decided[used].mean())
    assert np.mean(rates) < 0.2
    assert np.mean(found) > 0.3


def field(rng, z):
    """Return images of 16x16 pixels whose waves have these amplitudes."""
    waves = np.random.default_rng(8).normal(size=(z.shape[1], 4))
    y, x = np.mgrid[:16, :16] / 16
    basis = np.stack([np.cos(4 * (a * y + b * x) + 4 * c) for a, b, c, _ in waves])
    pixels = 128 + 40 * np.tensordot(z, basis, 1) / np.sqrt(z.shape[1]) + 8 * rng.normal(size=(len(z), 16, 16))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "patients"),
    [("normal", 0), ("exponential", 0), ("standard_cauchy", 0), ("normal", 12), ("exponential", 12)],
)
def test_a_generator_that_leaks_nothing_raises_no_alarm(shape, patients) -> None:
    alarms = 0
    for run in range(RUNS):
        rng = np.random.default_rng(run)
        sides = []
        for count in (60, 240):
            z = np.clip(getattr(rng, shape)(size=(patients or count, 10)), -5, 5)
            if patients:
                z = z[rng.integers(patients, size=count)] + 0.3 * rng.normal(size=(count, 10))
            sides.append(field(rng, z))
        alarms += fingerprint.rank(*sides, method="nearness", threads=1).decide().used.any()
    assert few(alarms, RUNS, 0.02)


@pytest.mark.slow
def test_phantoms_that_leak_nothing_raise_no_alarm() -> None:
    alarms, runs = 0, -(-RUNS // 3)
    for run in range(runs):
        demo = fingerprint.phantoms.demo(n_used=20, n_unused=20, n_fake=100, leak=0, seed=run, size=32)
        alarms += fingerprint.rank(demo.real, demo.fake, threads=1).decide().used.any()
    assert few(alarms, runs, 0.02)


@pytest.mark.slow
def test_leaked_phantoms_are_called_used() -> None:
    wrong, found = [], []
    for seed in range(1 + RUNS // 6):
        demo = fingerprint.phantoms.demo(n_used=15, n_unused=15, n_fake=120, leak=0.6, seed=seed, size=32)
        ranked = fingerprint.rank(demo.real, demo.fake, groups=demo.groups, threads=1)
        decided, used = ranked.decide(), dict(zip(demo.real.names, demo.used, strict=True))
        right = sum(used[name] for name, called, _ in decided if called)
        wrong.append(1 - right / max(1, decided.used.sum()))
        found.append(right / 15)
        assert decided.names == ranked.names
        assert decided.threshold is None
        assert "Nothing tests this" in decided.rule
    assert np.mean(found) > 0.8
    assert np.mean(wrong) < 0.2  # mean of few collections; 0.1 is the rate of many
    assert not replace(ranked, groups=("one",) * 30).decide().used.any()


def test_every_method_decides_by_the_kinds_that_it_ranks_by() -> None:
    rng = np.random.default_rng(9)
    used, others = (rng.integers(0, 256, (n, 16, 16), dtype=np.uint8) for n in (12, 72))
    real, fake = np.concatenate([used, others[:12]]), np.concatenate([used ^ 3, others[12:]])
    for method in ("default", "nearness", "gan-leaks", "tiles"):
        decided = fingerprint.rank(real, fake, method=method, threads=1).decide()
        assert {name for name, called, _ in decided if called} == {str(i) for i in range(12)}
    assert not fingerprint.rank(real, fake[12:], threads=1).decide().used.any()


def test_a_ranking_of_numbers_alone_cannot_decide_without_a_reference() -> None:
    with pytest.raises(InputError, match="decide: without a reference, a ranking has to be made by rank"):
        ranking([2.0, 1.0]).decide()


def test_no_evidence_says_so() -> None:
    quiet = decide(np.full(200, 0.5))
    assert "No evidence: none of 200 images" in quiet.verdict
    assert (quiet.error > 0.5).all()


def test_the_reference_keeps_the_false_discovery_rate() -> None:
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(200):
        values, used = two_groups(rng, n=100, apart=3.0)
        order = np.argsort(-values)
        decided = ranking(values, rng.normal(size=100)).decide(false_discovery_rate=0.2)
        rates.append((decided.used & ~used[order]).sum() / max(1, decided.used.sum()))
    assert np.mean(rates) < 0.2


def test_the_threshold_parts_used_from_others() -> None:
    values, _ = two_groups(np.random.default_rng(3))
    given = ranking(values, np.random.default_rng(4).normal(size=200))
    decided = given.decide()
    assert (given.scores[decided.used] >= decided.threshold).all()
    assert (given.scores[~decided.used] < decided.threshold).all()
    assert f"{decided.used.sum()} of 200 images are called used, at most 10 %" in decided.verdict


def test_nothing_small_enough_is_no_evidence_with_a_reference() -> None:
    decided = ranking([3.0, 2.0], [1.0]).decide()
    assert decided.threshold is None
    assert not decided.used.any()
    assert "Benjamini & Hochberg" in decided.rule


def test_results_can_be_read_and_written(tmp_path) -> None:
    values, _ = two_groups(np.random.default_rng(6))
    decided = ranking(values, np.random.default_rng(4).normal(size=200)).decide()
    assert len(decided) == 200
    rows = list(csv.reader(decided.to_csv(tmp_path / "d.csv").splitlines()))
    assert rows[0] == ["name", "used", "error"]
    assert [row[1] == "1" for row in rows[1:]] == decided.used.tolist()
    assert (tmp_path / "d.csv").read_text() == decided.to_csv()
    content = json.loads(decided.to_json())
    assert [row["used"] for row in content["rows"]] == decided.used.tolist()
    assert content["verdict"] == decided.verdict
    assert str(decided) == f"{decided.verdict}\n{decided.rule}"
    assert replace(decided, used=np.zeros(200, bool)).verdict.startswith("No evidence")


@pytest.mark.parametrize("rate", [0, 0.6, "x", True])
def test_the_rate_is_checked(rate) -> None:
    with pytest.raises(InputError, match=r"false_discovery_rate: expected a number from 0.0001 to 0.5"):
        ranking([1.0, 2.0]).decide(false_discovery_rate=rate)


def test_copies_are_called_used_against_a_reference() -> None:
    rng = np.random.default_rng(7)
    used, unused = (rng.integers(0, 256, (n, 16, 16), dtype=np.uint8) for n in (20, 40))
    real = np.concatenate([used, unused[:10]])
    found = fingerprint.rank(real, used ^ 3, reference=unused[10:], method="gan-leaks").decide(
        false_discovery_rate=0.05
    )
    called = {name for name, used, _ in found if used}
    assert called >= {str(i) for i in range(20)}
    assert len(called) <= 22
    assert "Benjamini" in found.rule
