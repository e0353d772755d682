"""Decisions without labels: error kept where the assumption holds, no evidence where there is none."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import fingerprint
from fingerprint import InputError, decisions, scores
from fingerprint.ranking import Match, Ranking


def ranking(values, reference=None) -> Ranking:
    values = -np.sort(-np.asarray(values, np.float64))
    p = None if reference is None else scores.p_values(values, np.asarray(reference))
    names = tuple(f"{i}.png" for i in range(len(values)))
    q = None if p is None else scores.q_values(p)
    return Ranking(names, values, ((Match("f", 0.0),),) * len(values), p, q, None, 1, {}, {})


def two_groups(rng, n=200, apart=6.0, share=0.5):
    used = rng.random(n) < share
    return np.where(used, apart, 0.0) + rng.normal(size=n), used


def test_two_groups_are_found_and_the_error_is_kept() -> None:
    rng = np.random.default_rng(0)
    rates, found = [], []
    for _ in range(40):
        values, used = two_groups(rng, apart=3.5)
        order = np.argsort(-values)
        decided = ranking(values).decide(false_discovery_rate=0.05)
        rates.append((decided.used & ~used[order]).sum() / max(1, decided.used.sum()))
        found.append(decided.used[used[order]].mean())
    assert np.mean(rates) < 0.06
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace", "gumbel", "exponential", "logistic"])
def test_one_group_is_no_evidence(draw) -> None:
    rng = np.random.default_rng(1)
    decided = [ranking(getattr(rng, draw)(size=200)).decide() for _ in range(20)]
    assert sum(one.used.any() for one in decided) <= 1
    quiet = next(one for one in decided if one.threshold is None)
    assert "No evidence: none of 200 images" in quiet.verdict
    assert "do not show two groups" in quiet.rule
    assert (quiet.error == 1).all()


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
    for given in (ranking(values), ranking(values, np.random.default_rng(4).normal(size=200))):
        decided = given.decide()
        assert (given.scores[decided.used] >= decided.threshold).all()
        assert (given.scores[~decided.used] < decided.threshold).all()
        assert f"{decided.used.sum()} of 200 images are called used, at most 10 %" in decided.verdict


def test_nothing_small_enough_is_no_evidence_with_a_reference() -> None:
    decided = ranking([3.0, 2.0], [1.0]).decide()
    assert decided.threshold is None
    assert not decided.used.any()
    assert "Benjamini & Hochberg" in decided.rule


def test_few_or_equal_scores_are_no_evidence() -> None:
    assert "19 images are too few" in ranking(np.arange(19.0)).decide().rule
    same = ranking(np.ones(30)).decide()
    assert same.threshold is None
    assert "all scores are the same" in same.rule


def test_a_strict_rate_can_leave_none() -> None:
    rng = np.random.default_rng(5)
    values = np.r_[rng.normal(size=100), rng.normal(4.2, 1, size=100)]
    found = decisions.fit_mixture(np.sort(values)[::-1])
    assert found.separated
    assert found.share == pytest.approx(0.5, abs=0.05)
    assert found.high - found.low == pytest.approx(4.2 * found.spread, rel=0.2)
    assert decisions.by_mixture(("a",) * 200, np.sort(values)[::-1], 1e-12).threshold is None


def test_probabilities_fall_with_the_score_and_are_the_ratio_of_the_densities() -> None:
    mixture = decisions.Mixture(0.3, -1.0, 2.0, 0.8, 99.0)
    x = np.linspace(-4, 5, 50)

    def density(mean):
        return np.exp(-0.5 * ((x - mean) / 0.8) ** 2)

    expected = 0.7 * density(-1.0) / (0.7 * density(-1.0) + 0.3 * density(2.0))
    np.testing.assert_allclose(mixture.unused(x), expected, atol=1e-12)
    assert not replace_evidence(mixture, 9.0).separated


def replace_evidence(mixture, evidence):
    return mixture._replace(evidence=evidence)


def test_results_can_be_read_and_written(tmp_path) -> None:
    values, _ = two_groups(np.random.default_rng(6))
    decided = ranking(values).decide()
    assert len(decided) == 200
    rows = list(csv.reader(decided.to_csv(tmp_path / "d.csv").splitlines()))
    assert rows[0] == ["name", "used", "error"]
    assert [row[1] == "1" for row in rows[1:]] == decided.used.tolist()
    assert (tmp_path / "d.csv").read_text() == decided.to_csv()
    content = json.loads(decided.to_json())
    assert content["used"] == decided.used.tolist()
    assert content["verdict"] == decided.verdict
    assert str(decided) == f"{decided.verdict}\n{decided.rule}"
    assert replace(decided, threshold=None).verdict.startswith("No evidence")


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
