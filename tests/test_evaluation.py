"""The measures against their definitions, their intervals against a plain bootstrap."""

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

from fingerprint import Estimate, audit_scores
from fingerprint._base.checks import InputError
from fingerprint._statistics import evaluation, intervals
from fingerprint._statistics.evaluation import MEASURES, evaluate

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
    assert dataclasses.replace(grouped, n_groups=None, by_group=None) == plain
    for name in MEASURES:
        assert getattr(grouped.by_group, name) == pytest.approx(getattr(plain, name), nan_ok=True)


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
    monkeypatch.setattr(intervals, "_CHUNK", 333)
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
    assert lines[-2].split() == ["TPR", "at", "0.1", "%", "FPR", "-", "-", "-"]
    assert lines[-1] == "- = not defined: decisions have no order, as scores and probabilities have"
    scored = [1, 0, 1, 0], [0.9, 0.2, 0.4, 0.3]
    assert str(evaluate(*scored, n_bootstrap=100)).endswith("- = not defined: scores decide only with a threshold")
    assert "not defined" not in str(evaluate(*scored, threshold=0.5, n_bootstrap=100))
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


def test_estimates_read_as_value_and_interval():
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert str(Estimate(NAN, NAN, NAN)) == "-"


def test_patients_are_measured_by_their_mean_scores() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), rng.integers(1, 6, 20))
    truth, scores = (groups < 9).astype(int), rng.normal(size=len(groups)) + (groups < 9)
    found = evaluate(truth, scores, threshold=0.5, groups=groups, n_bootstrap=200)
    means = np.array([scores[groups == group].mean() for group in range(20)])
    expected = evaluate(np.arange(20) < 9, means, threshold=0.5, n_bootstrap=200)
    for name in MEASURES:
        assert getattr(found.by_group, name) == pytest.approx(getattr(expected, name))
    assert "by patient" in str(found)
    assert found.table()[0][-3:] == ["by_group", "by_group_low", "by_group_high"]
    assert [row[-3] for row in found.table()[1]] == pytest.approx([getattr(expected, name).value for name in MEASURES])


def test_a_patient_is_called_used_where_half_of_its_images_are() -> None:
    found = evaluate([1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0], groups=list("aabbcc"), n_bootstrap=100)
    assert found.by_group.recall.value == 0.5
    assert found.by_group.specificity.value == 1


def test_no_measures_by_patient_without_patients_or_with_some_used_in_part() -> None:
    scores = [0.1, 0.2, 0.3, 0.4]
    assert evaluate([1, 1, 0, 0], scores, n_bootstrap=100).by_group is None
    assert evaluate([1, 1, 1, 0], scores, groups=list("aabb"), n_bootstrap=100).by_group is None
    assert (
        evaluate([1, 1, 0, 0], [math.inf, -math.inf, 0.0, 1.0], groups=list("aabb"), n_bootstrap=100).by_group is None
    )
