import csv
import dataclasses
import io
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fingerprint import evaluation
from fingerprint._check import InputError
from fingerprint.evaluation import MEASURES, Audit, Estimate, audit_scores, data_copying, evaluate

NAN = math.nan
DECISIONS, RANKING = MEASURES[:7], MEASURES[7:]

LABELS = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=1, max_size=12)


def naive_decisions(truth, called):
    pairs = list(zip(truth, called, strict=True))
    tp, fp, fn, tn = (pairs.count(pair) for pair in [(1, 1), (0, 1), (1, 0), (0, 0)])
    n = len(pairs)

    def ratio(a, b):
        return a / b if b else NAN

    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    return [
        (tp + tn) / n,
        ratio(tp, tp + fp),
        ratio(tp, tp + fn),
        ratio(tn, tn + fp),
        ratio(2 * tp, 2 * tp + fp + fn),
        ratio((tp + tn) / n - chance, 1 - chance),
        ratio(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    ]


def naive_ranking(truth, scores):
    used = [s for t, s in zip(truth, scores, strict=True) if t]
    unused = [s for t, s in zip(truth, scores, strict=True) if not t]
    if not used:
        return [NAN] * 4
    precision = 0.0
    for s in used:
        hits, misses = sum(u >= s for u in used), sum(u >= s for u in unused)
        precision += hits / (hits + misses) / len(used)
    if not unused:
        return [NAN, precision, NAN, NAN]
    auc = sum((u > v) + (u == v) / 2 for u in used for v in unused) / len(used) / len(unused)
    tprs = []
    for rate in (0.01, 0.001):
        allowed = [t for t in [*scores, math.inf] if sum(v >= t for v in unused) / len(unused) <= rate]
        tprs.append(max(sum(u >= t for u in used) / len(used) for t in allowed))
    return [auc, precision, *tprs]


def values(result, names=MEASURES):
    return [getattr(result, name).value for name in names]


@given(LABELS)
def test_values_equal_the_definitions(rows):
    truth, scores = [t for t, _ in rows], [float(s) for _, s in rows]
    result = evaluate(truth, scores, threshold=1, n_bootstrap=100)
    called = [int(s >= 1) for s in scores]
    np.testing.assert_allclose(values(result, DECISIONS), naive_decisions(truth, called), atol=1e-12)
    np.testing.assert_allclose(values(result, RANKING), naive_ranking(truth, scores), atol=1e-12)
    ones = naive_decisions(truth, [1] * len(truth)) + naive_ranking(truth, [0.0] * len(truth))
    np.testing.assert_allclose(values(result.all_ones), ones, atol=1e-12)


@given(LABELS, st.data())
def test_weights_equal_repeated_images(rows, data):
    # the bootstrap never repeats an image, it weighs it: both must mean the same
    truth, scores = np.array([t for t, _ in rows]), np.array([float(s) for _, s in rows])
    unit = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    unit = np.unique(unit, return_inverse=True)[1]
    n = int(unit.max()) + 1
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any)))
    called = (scores >= 0).astype(np.int64)
    found = evaluation._weighted(truth, called, scores, unit, iter([weights[None]]))[:, 0]
    index = np.repeat(np.arange(len(rows)), weights[unit])
    expected = naive_decisions(truth[index].tolist(), called[index].tolist())
    expected += naive_ranking(truth[index].tolist(), scores[index].tolist())
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_values_equal_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 300)
    scores = np.round(rng.normal(size=300) + truth, 1)  # with ties
    called = scores >= 0.5
    result = evaluate(truth, scores, threshold=0.5, n_bootstrap=100)
    false_positive, true_positive, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    expected = [
        metrics.accuracy_score(truth, called),
        metrics.precision_score(truth, called),
        metrics.recall_score(truth, called),
        metrics.recall_score(truth, called, pos_label=0),
        metrics.f1_score(truth, called),
        metrics.cohen_kappa_score(truth, called),
        metrics.matthews_corrcoef(truth, called),
        metrics.roc_auc_score(truth, scores),
        metrics.average_precision_score(truth, scores),
        true_positive[false_positive <= 0.01].max(),
        true_positive[false_positive <= 0.001].max(),
    ]
    np.testing.assert_allclose(values(result), expected, rtol=1e-12)


def test_decisions_have_no_ranking_and_scores_no_decisions():
    truth = [True, False, True, False]
    for called in ([1, 0, 0, 0], [True, False, False, False], np.array([1, 0, 0, 0], np.uint8)):
        result = evaluate(truth, called, n_bootstrap=100)
        assert not np.isnan(values(result, DECISIONS)).any()
        for one in (result, result.all_ones, result.coin):
            assert all(np.isnan(getattr(one, name)).all() for name in RANKING)
    result = evaluate(truth, [1.0, 0.0, 0.0, 0.0], n_bootstrap=100)
    for one in (result, result.all_ones, result.coin):
        assert all(np.isnan(getattr(one, name)).all() for name in DECISIONS)
        assert not np.isnan(values(one, RANKING)).any()


def test_threshold_is_part_of_used():
    assert evaluate([1, 0], [2.0, 1.0], threshold=2.0, n_bootstrap=100).accuracy.value == 1
    assert evaluate([1, 0], [2.0, 1.0], threshold=1.0, n_bootstrap=100).recall.value == 1
    assert evaluate([1, 0], [2.0, 1.0], threshold=1, n_bootstrap=100).specificity.value == 0


def test_infinite_scores_are_ranked():
    assert evaluate([1, 1, 0], [np.inf, 0.0, -np.inf], n_bootstrap=100).roc_auc.value == 1


def test_one_class_is_nan_without_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unused = evaluate([0, 0], [0.5, 0.1], threshold=0.3, n_bootstrap=100)
        used = evaluate([1, 1], [0.5, 0.1], threshold=0.3, n_bootstrap=100)
        none = evaluate([1, 0], [0, 0], n_bootstrap=100)
    assert np.isnan([unused.recall, unused.roc_auc, unused.average_precision, unused.tpr_at_1_percent_fpr]).all()
    assert np.isnan([used.specificity, used.roc_auc, used.tpr_at_01_percent_fpr]).all()
    assert used.average_precision.value == 1
    assert np.isnan([none.precision, none.matthews]).all()
    assert (none.f1.value, none.kappa.value) == (0, 0)


def test_large_counts_do_not_overflow():
    called = np.tile([1, 1, 0, 0], 60_000)
    truth = np.tile([1, 0, 1, 0], 60_000)
    truth[0:40_000:4] = 0
    result = evaluate(truth, called, groups=np.arange(240_000) % 7, n_bootstrap=100)
    np.testing.assert_allclose(
        values(result, DECISIONS), naive_decisions(truth.tolist(), called.tolist()), rtol=1e-9, atol=1e-12
    )


def test_intervals_equal_a_plain_bootstrap():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    called = np.where(rng.random(200) < 0.8, truth, 1 - truth)
    result = evaluate(truth, called, n_bootstrap=4000)
    plain = [(truth[i] == called[i]).mean() for i in rng.integers(0, 200, (4000, 200))]
    np.testing.assert_allclose(result.accuracy[1:], np.quantile(plain, [0.025, 0.975]), atol=0.011)
    narrow = evaluate(truth, called, confidence=0.5)
    assert result.accuracy.low < narrow.accuracy.low < narrow.accuracy.value < narrow.accuracy.high


def test_patients_widen_the_interval():
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(30), 10)
    truth = np.repeat(rng.integers(0, 2, 30), 10)
    scores = np.repeat(rng.normal(size=30), 10) + truth
    images, patients = evaluate(truth, scores), evaluate(truth, scores, groups=[f"p{i}" for i in patient])
    assert images.roc_auc.value == patients.roc_auc.value
    assert patients.n_groups == 30
    assert images.n_groups is None
    for narrow, wide in [(images.roc_auc, patients.roc_auc), (images.coin.roc_auc, patients.coin.roc_auc)]:
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_groups_of_one_image_are_no_groups():
    truth, scores = [1, 0, 1, 0, 1], [0.3, 0.2, 0.9, 0.8, 0.1]
    plain = evaluate(truth, scores, threshold=0.5)
    grouped = evaluate(truth, scores, threshold=0.5, groups=["e", "d", "c", "b", "a"])
    assert dataclasses.replace(grouped, n_groups=None).to_json() == plain.to_json()


def test_coin_is_chance():
    result = evaluate(np.repeat([1, 0], 100), np.zeros(200), threshold=0.5, n_bootstrap=4000)
    assert result.coin.accuracy == pytest.approx((0.5, 0.43, 0.57), abs=0.011)  # binomial
    assert result.coin.kappa.value == pytest.approx(0, abs=0.01)
    assert result.coin.roc_auc == pytest.approx((0.5, 0.42, 0.58), abs=0.01)
    assert result.all_ones.f1.value == pytest.approx(2 / 3)


def test_blocks_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 40)
    scores = rng.normal(size=40)
    whole = evaluate(truth, scores, threshold=0.0, n_bootstrap=200)
    audit = audit_scores(scores[:20], scores[20:], n_permutations=199)
    monkeypatch.setattr(evaluation, "_CHUNK", 333)
    assert evaluate(truth, scores, threshold=0.0, n_bootstrap=200).to_json() == whole.to_json()
    assert audit_scores(scores[:20], scores[20:], n_permutations=199).to_json() == audit.to_json()


def test_seed_decides():
    truth, scores = [1, 0, 1, 0, 1, 1, 0], [0.3, 0.2, 0.9, 0.8, 0.1, 0.7, 0.6]
    first = evaluate(truth, scores, n_bootstrap=100)
    assert evaluate(truth, scores, n_bootstrap=100).to_json() == first.to_json()
    assert evaluate(truth, scores, n_bootstrap=100, seed=1).to_json() != first.to_json()


def test_evaluation_is_written(tmp_path):
    result = evaluate([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.3], n_bootstrap=100)
    text = result.to_csv(tmp_path / "e.csv")
    assert (tmp_path / "e.csv").read_text() == text
    rows = {row["measure"]: row for row in csv.DictReader(io.StringIO(text))}
    assert tuple(rows) == MEASURES
    assert float(rows["roc_auc"]["value"]) == 1
    assert float(rows["roc_auc"]["coin"]) == result.coin.roc_auc.value
    assert rows["accuracy"]["value"] == "nan"
    found = json.loads(result.to_json(tmp_path / "e.json"))
    assert json.loads((tmp_path / "e.json").read_text()) == found
    assert found["roc_auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["accuracy"]["value"] is None
    assert found["all_ones"]["roc_auc"]["value"] == 0.5
    assert (found["n"], found["n_used"], found["threshold"]) == (4, 2, None)


def test_evaluation_reads_as_a_table():
    lines = str(evaluate([1, 0, 1, 0], [1, 0, 1, 0], n_bootstrap=100, groups=["p", "p", "q", "q"])).splitlines()
    assert lines[0] == "4 images, 2 used; 95 % intervals from 100 resamples of 2 patients"
    assert lines[2].split() == ["accuracy", "1.000", "(1.000", "to", "1.000)", "0.500", *lines[2].split()[-4:]]
    assert lines[-1].split() == ["TPR", "at", "0.1", "%", "FPR", "-", "-", "-"]
    assert str(evaluate([1, 0], [1, 0], n_bootstrap=100)).startswith(
        "2 images, 1 used; 95 % intervals from 100 resamples"
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "options", "message"),
    [
        ([], [], {}, r"truth: expected one value per image, shape \(n,\), got \[\]"),
        ([[1], [0, 1]], [1], {}, r"truth: expected one value per image"),
        (np.ones((2, 2), int), [1], {}, r"truth: expected one value per image.* got ndarray of shape \(2, 2\)"),
        ([1, 2], [1, 0], {}, r"truth: expected booleans or the integers 0 \(not used\) and 1 \(used\), got \[1, 2\]"),
        ([1.0, 0.0], [1, 0], {}, r"truth: expected booleans"),
        (["1", "0"], [1, 0], {}, r"truth: expected booleans"),
        ([1, 0], [1], {}, r"predicted_or_scores: expected one value for each of the 2 images of truth, got 1"),
        ([1, 0], [3, 0], {}, r"predicted_or_scores: expected decisions .* convert whole-number scores by float"),
        ([1, 0], ["a", "b"], {}, r"predicted_or_scores: expected decisions .* or scores"),
        ([1, 0], [NAN, 1.0], {}, r"predicted_or_scores: expected scores without nan, got 1 nan; leave those"),
        ([1, 0], [1, 0], {"threshold": 0.5}, r"threshold: expected none, since predicted_or_scores holds decisions"),
        ([1, 0], [1.0, 0.0], {"threshold": NAN}, r"threshold: expected a number"),
        ([1, 0], [1, 0], {"n_bootstrap": 10}, r"n_bootstrap: expected an integer of at least 100, got 10"),
        ([1, 0], [1, 0], {"seed": -1}, r"seed: expected an integer of at least 0, got -1"),
        ([1, 0], [1, 0], {"confidence": 95}, r"confidence: expected a number from 0.5 to 0.999, got 95"),
        ([1, 0], [1, 0], {"groups": ["a"]}, r"groups: expected one patient for each of the 2 images, got 1"),
        ([1, 0], [1, 0], {"groups": "ab"}, r"groups: expected a sequence of names, one per image, got 'ab'"),
        ([1, 0], [1, 0], {"groups": 3}, r"groups: expected a sequence of names"),
        ([1, 0], [1, 0], {"groups": [[1], [2]]}, r"groups: expected a sequence of names"),
        (
            [1, 0],
            [1, 0],
            {"groups": ["a", None]},
            r"groups: expected a name for every image, got None for image number 2",
        ),
        (
            [1, 0],
            [1, 0],
            {"groups": [NAN, "a"]},
            r"groups: expected a name for every image, got nan for image number 1",
        ),
    ],
)
def test_evaluate_refuses(truth, predicted, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(truth, predicted, **options)


# data-copying


def naive_z(near, far):
    u = sum((a > b) + (a == b) / 2 for a in near for b in far)
    m, n = len(near), len(far)
    return (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)


def test_data_copying_is_the_weighted_mean_of_the_cells():
    rng = np.random.default_rng(0)
    near, far = rng.random(60), rng.random(40)
    a, b = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    a[a == 2] = 1
    a[:3] = 2  # too few generated images in cell 2
    result = data_copying(near, far, cells=(a, b), minimum=10)
    z = {k: naive_z(near[a == k], far[b == k]) for k in (0, 1, 2)}
    n = {k: int((b == k).sum()) for k in (0, 1, 2)}
    assert {cell.name: (cell.z, cell.n_held_out, cell.counted) for cell in result.cells} == {
        k: (pytest.approx(z[k]), n[k], k != 2) for k in (0, 1, 2)
    }
    expected = (n[0] * z[0] + n[1] * z[1]) / (n[0] + n[1])
    assert result.z == pytest.approx(expected)
    spread = math.hypot(n[0], n[1]) / (n[0] + n[1])
    assert result.p_value == pytest.approx(stats.norm.cdf(expected / spread))
    assert 0 < result.closer < 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_data_copying_equals_scipy_with_ties(near, far):
    result = data_copying(near, far, minimum=1)
    if len({*near, *far}) == 1:
        assert (result.z, result.p_value, result.closer) == (0, 0.5, 0.5)
        return
    expected = stats.mannwhitneyu(near, far, alternative="less", method="asymptotic", use_continuity=False)
    assert result.p_value == pytest.approx(expected.pvalue)
    assert result.closer == pytest.approx(1 - expected.statistic / len(near) / len(far))


def test_data_copying_where_no_cell_counts():
    result = data_copying([1.0, 2.0], [3.0], minimum=3)
    assert np.isnan([result.z, result.p_value, result.closer]).all()
    assert [cell.counted for cell in result.cells] == [False]
    apart = data_copying([1.0, 2.0], [3.0], cells=(["a", "a"], ["b"]), minimum=1)
    assert math.isnan(apart.z)
    assert [(cell.name, cell.n_generated, cell.n_held_out) for cell in apart.cells] == [("a", 2, 0), ("b", 0, 1)]


@pytest.mark.parametrize(
    ("near", "far", "options", "message"),
    [
        ([-1.0], [1.0], {}, r"generated: expected distances of at least 0"),
        ([1.0], [NAN], {}, r"held_out: expected distances of at least 0"),
        ([True], [1.0], {}, r"generated: expected distances of at least 0"),
        ([1.0], [1.0], {"minimum": 0}, r"minimum: expected an integer of at least 1"),
        ([1.0], [1.0], {"cells": [1]}, r"cells: expected a pair of sequences, one for each side"),
        ([1.0], [1.0], {"cells": ([1], [1, 2])}, r"cells: expected 1 and 1 values, one per image, got 1 and 2"),
    ],
)
def test_data_copying_refuses(near, far, options, message):
    with pytest.raises(InputError, match=message):
        data_copying(near, far, **options)


# audit


def patients(rng, n_patients, size, shift=0.0, within=0.5):
    """Return scores in which images of one patient resemble each other, and the patients."""
    group = np.repeat(np.arange(n_patients), size)
    scores = np.sqrt(1 - within) * rng.normal(size=n_patients)[group] + np.sqrt(within) * rng.normal(size=len(group))
    return scores + shift, group


def simulated(n, *, share=0.0, groups=False, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n):
        if groups:
            (a, first), (b, second) = patients(rng, 12, 4), patients(rng, 14, 3)
            yield audit_scores(a, b, groups=(first, 100 + second), n_permutations=199, seed=i)
        else:
            a, b = rng.normal(size=40), rng.normal(size=40)
            a[rng.random(40) < share] += 100
            yield audit_scores(a, b, n_permutations=199, seed=i)


@pytest.mark.parametrize("groups", [False, True])
def test_p_values_are_uniform_without_a_leak(groups):
    audits = list(simulated(400, groups=groups))
    p = np.array([audit.p_value for audit in audits])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    low, high = stats.binom.ppf([0.005, 0.995], 400, 0.05)
    assert low <= (p <= 0.05).sum() <= high
    covered = sum(audit.auc.low <= 0.5 <= audit.auc.high for audit in audits)
    assert covered >= stats.binom.ppf(0.005, 400, 0.95)


def test_ignored_patients_give_false_alarms():
    # the simulation above must be able to fail
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        alarms += audit_scores(patients(rng, 12, 8)[0], patients(rng, 12, 8)[0], n_permutations=199).leaks
    assert alarms > stats.binom.ppf(0.999, 200, 0.05)


def test_flags_are_as_rare_as_stated_without_a_leak():
    rates = [audit.leak_rate.value for audit in simulated(400)]
    assert np.mean(rates) == pytest.approx(2 / 41, abs=0.008)  # 2 of 41 is the largest possible rate up to 5 %


def test_detectable_leak_is_detected_with_the_stated_power():
    share = next(simulated(1)).detectable_share
    found = sum(audit.leaks for audit in simulated(400, share=share, seed=1))
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_more_power_needs_a_larger_leak_and_more_images_show_a_smaller_one():
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(2, 30)), rng.normal(size=(2, 300))
    base, strong, large = audit_scores(*few), audit_scores(*few, power=0.95), audit_scores(*many)
    assert large.detectable_auc < base.detectable_auc < strong.detectable_auc < 1
    assert large.detectable_share < base.detectable_share < strong.detectable_share < 1
    a, b = patients(rng, 10, 5), patients(rng, 10, 5)
    grouped = audit_scores(a[0], b[0], groups=(a[1], b[1] + 10))
    assert grouped.detectable_auc > audit_scores(a[0], b[0]).detectable_auc


def test_interval_covers_a_true_effect():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        (a, first), (b, second) = patients(rng, 15, 3, shift=1.5), patients(rng, 15, 3)
        interval = audit_scores(a, b, groups=(first, second + 15), n_permutations=99).auc
        covered += interval.low <= stats.norm.cdf(1.5 / math.sqrt(2)) <= interval.high
    assert covered >= stats.binom.ppf(0.005, 300, 0.95)


def test_p_value_counts_the_permutations():
    # 3 + 3 images, all used above all unused: 1 of 20 labellings reaches that
    audit = audit_scores([4, 5, 6], [1, 2, 3], n_permutations=9999)
    assert audit.p_value == pytest.approx(1 / 20, abs=0.008)
    assert audit.auc.value == 1
    assert 0 < audit.auc.low < 0.9
    assert audit_scores([1, 2, 3], [4, 5, 6]).p_value == 1


def test_patients_move_as_a_whole():
    # 2 + 2 patients of 10 images: 1 of 6 labellings is as extreme, however many images there are
    used, unused = np.arange(20) + 20.0, np.arange(20.0)
    pair = (np.repeat(["a", "b"], 10), np.repeat(["c", "d"], 10))
    audit = audit_scores(used, unused, groups=pair)
    assert audit.p_value == pytest.approx(1 / 6, abs=0.015)
    assert (audit.n_used_groups, audit.n_unused_groups) == (2, 2)
    assert math.isnan(audit.detectable_auc)
    assert "of 2 and 2 patients no leak could have been shown; use more." in audit.verdict
    assert "patients, each with all of its images," in audit.null
    plain = audit_scores(used, unused)
    assert plain.p_value == 1e-4
    assert audit.auc.low < plain.auc.low < 1
    assert audit.leak_rate.low < plain.leak_rate.low < 1


def test_groups_of_one_image_leave_the_audit_as_it_is():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=25) + 0.5, rng.normal(size=25)
    plain, grouped = audit_scores(a, b), audit_scores(a, b, groups=(range(25), range(25, 50)))
    assert dataclasses.replace(grouped, n_used_groups=None, n_unused_groups=None) == plain


def test_leak_rate_is_the_share_above_the_threshold():
    unused = np.arange(99.0)
    audit = audit_scores([98.5, 97.5, 98.0, 50.0], unused, false_positive_rate=0.01, n_permutations=99)
    assert audit.leak_threshold == 98
    assert audit.leak_rate.value == 0.25
    expected = stats.binomtest(1, 4).proportion_ci(0.95, "exact")
    assert audit.leak_rate[1:] == pytest.approx((expected.low, expected.high))
    every = audit_scores([99.0, 100.0], unused, n_permutations=99)
    assert every.leak_rate == pytest.approx((1, 0.025**0.5, 1))
    few = audit_scores([99.0, 100.0], unused[:-1], false_positive_rate=0.01, n_permutations=99)
    assert np.isnan(few.leak_rate).all()
    assert math.isnan(few.leak_threshold)
    assert "Flagged" not in str(few)


def test_equal_scores_show_nothing():
    audit = audit_scores([1, 1, 1, 1], [1] * 20, n_permutations=99)
    assert (audit.auc.value, audit.p_value, audit.leak_rate.value) == (0.5, 1, 0)
    assert np.isnan([audit.detectable_auc, audit.detectable_share]).all()
    assert not audit.leaks


def test_nothing_is_detectable_where_chance_reaches_the_top():
    # 4 + 3 images: 1 of 35 labellings is the most extreme, more than the allowed 2.9 % at most once in the permutations
    audit = audit_scores([4, 5, 6, 7], [1, 2, 3], level=0.03)
    assert audit.p_value < 0.04
    assert math.isnan(audit.detectable_auc)


def test_verdicts():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    leak, none, reverse = audit_scores(a + 2, b), audit_scores(a, b), audit_scores(a - 2, b)
    assert (leak.leaks, none.leaks, reverse.leaks) == (True, False, False)
    assert leak.verdict.startswith("Leak shown: used images score higher than unused ones (AUC 0.9")
    assert leak.verdict.endswith("p = 0.0001).")
    assert none.verdict.startswith("No leak shown (AUC ")
    assert "does not prove that there is none: 50 used and 50 unused images show, in 80 % of cases" in none.verdict
    assert "check their origin" in reverse.verdict
    assert "check their origin" not in none.verdict
    assert none.null.startswith("Null: which images were used is random")
    lines = str(leak).splitlines()
    assert lines[0] == leak.verdict
    assert lines[1].startswith("Flagged at a false positive rate of 5 %: ")
    assert lines[2] == leak.null


def test_audit_is_written(tmp_path):
    audit = audit_scores([3.0, np.inf, 5.0], [1.0, 2.0, 4.0], n_permutations=99)
    assert isinstance(audit, Audit)
    assert "copying" not in audit.to_csv()
    audit = dataclasses.replace(audit, copying=data_copying([1.0, 2.0], [3.0, 4.0], minimum=1))
    text = audit.to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == text
    rows = {row["quantity"]: row for row in csv.DictReader(io.StringIO(text))}
    assert float(rows["auc"]["value"]) == audit.auc.value
    assert float(rows["auc"]["low"]) == audit.auc.low
    assert rows["n_used"] == {"quantity": "n_used", "value": "3", "low": "", "high": ""}
    assert float(rows["copying_z"]["value"]) == audit.copying.z
    assert "n_used_groups" not in rows
    found = json.loads(audit.to_json(tmp_path / "a.json"))
    assert json.loads((tmp_path / "a.json").read_text()) == found
    assert (found["verdict"], found["null"], found["leaks"]) == (audit.verdict, audit.null, audit.leaks)
    assert found["copying"]["cells"] == [
        {"name": "all", "z": audit.copying.z, "n_generated": 2, "n_held_out": 2, "counted": True}
    ]
    assert found["leak_rate"] == {"value": None, "low": None, "high": None}
    assert "Data-copying statistic C_T = -1.55 (far below 0: copying), p = 0.061." in str(audit)


def test_names_of_cells_that_json_does_not_know_become_text():
    audit = audit_scores([3.0, 5.0], [1.0, 2.0], n_permutations=99)
    copying = data_copying([1.0], [2.0], cells=([(0, np.int64(1))], [(0, np.int64(1))]), minimum=1)
    found = json.loads(dataclasses.replace(audit, copying=copying).to_json())
    assert found["copying"]["cells"][0]["name"] == [0, "1"]


def test_estimates_read_as_value_and_interval():
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert str(Estimate(NAN, NAN, NAN)) == "-"


@pytest.mark.parametrize(
    ("used", "unused", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, r"used_scores: expected at least two scores, got \[1.0\]"),
        ([1.0, 2.0], [True, False], {}, r"unused_scores: expected at least two scores"),
        ([1.0, NAN], [1.0, 2.0], {}, r"used_scores: expected scores without nan, got 1 nan"),
        ([1.0, 2.0], [1.0, 2.0], {"level": 0}, r"level: expected a number from 0.0001 to 0.5, got 0"),
        ([1.0, 2.0], [1.0, 2.0], {"false_positive_rate": 1}, r"false_positive_rate: expected a number from 0.0001"),
        ([1.0, 2.0], [1.0, 2.0], {"power": 0.3}, r"power: expected a number from 0.5 to 0.99, got 0.3"),
        ([1.0, 2.0], [1.0, 2.0], {"confidence": 1}, r"confidence: expected a number from 0.5 to 0.999, got 1"),
        ([1.0, 2.0], [1.0, 2.0], {"n_permutations": 18}, r"n_permutations: expected an integer of at least 19, got 18"),
        ([1.0, 2.0], [1.0, 2.0], {"seed": 1.5}, r"seed: expected an integer of at least 0"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": ["a", "b", "c", "d"]}, r"groups: expected a pair of sequences"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": (["a"], ["c", "d"])}, r"groups: expected 2 and 2 values, one per image"),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"groups": (["a", "b"], ["b", "c"])},
            r"groups: expected every patient on one side, got 1 both used and unused \(first: 'b'\); leave",
        ),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"groups": (["a", "a"], ["b", "c"])},
            r"groups: expected at least two patients on each",
        ),
    ],
)
def test_audit_refuses(used, unused, options, message):
    with pytest.raises(InputError, match=message):
        audit_scores(used, unused, **options)
