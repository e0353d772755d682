"""The comparison of two generators: shown where one leaks more, silent where they are equal."""

import csv
import json

import numpy as np
import pytest
from leaks import LEAKS, SAFE, UNUSED, USED, images

import fingerprint
from fingerprint import InputError
from fingerprint._answers import compare
from fingerprint._statistics import roc


def test_the_generator_that_leaks_more_is_found_with_and_without_unused() -> None:
    found = fingerprint.compare(USED, LEAKS, SAFE, unused=UNUSED, n_bootstrap=200)
    assert found.difference.low > 0
    assert found.auc_a.value > 0.7 > found.auc_b.value
    assert found.auc_difference.value == pytest.approx(found.auc_a.value - found.auc_b.value)
    assert found.verdict.startswith("The first generator leaks more (")
    turned = fingerprint.compare(USED, SAFE, LEAKS, unused=UNUSED, n_bootstrap=200)
    assert turned.difference.value == pytest.approx(-found.difference.value)
    assert turned.verdict.startswith("The second generator leaks more (")
    alone = fingerprint.compare(USED, LEAKS, SAFE, n_bootstrap=200)
    assert alone.auc_a is alone.auc_b is alone.auc_difference is None
    assert alone.verdict.startswith("The first generator comes nearer (")
    assert "A better generator comes nearer as well" in alone.verdict


def test_equal_generators_show_no_difference_whatever_their_numbers() -> None:
    found = fingerprint.compare(USED, SAFE[:30], images(300, 8), unused=UNUSED, n_bootstrap=200)
    assert found.difference.low < 0 < found.difference.high
    assert found.verdict.startswith("No difference shown")
    assert found.n_fake == 30
    alone = fingerprint.compare(USED, SAFE[:40], images(400, 9), n_bootstrap=200)
    assert abs(alone.difference.value) < 0.2
    same = fingerprint.compare(USED, SAFE, SAFE, n_bootstrap=200)
    assert same.difference == (0, 0, 0)
    assert same.verdict.startswith("Neither generator")


def test_the_bootstrap_draws_whole_patients() -> None:
    units = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    weights = compare._weights(units, 5, 50, 0)
    assert (weights[0] == 1).all()
    assert (weights[:, :3] == weights[:, :1]).all()
    assert (weights[1:, 0] + weights[1:, 3] == 2).all()
    assert (weights[1:, 5] + weights[1:, 6] == 2).all()
    groups = [f"p{i // 5}" for i in range(60)]
    wide = fingerprint.compare(USED, LEAKS, SAFE, unused=UNUSED, groups=groups, n_bootstrap=200)
    assert wide.n_unused == 30


def test_weighted_auc_is_the_auc_of_the_copies() -> None:
    values, weights = np.array([1.0, 2, 2, 0, 2, 1]), np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 0, 2, 1]])
    for row, found in zip(weights, roc.weighted(weights, values, 3), strict=True):
        used, unused = np.repeat(values[:3], row[:3]), np.repeat(values[3:], row[3:])
        assert found == np.mean([(u > v) + (u == v) / 2 for u in used for v in unused])


def test_comparisons_can_be_read_and_written(tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    found = fingerprint.compare(USED, [LEAKS, broken], [SAFE, broken], unused=UNUSED, n_bootstrap=100)
    assert [len(found.failed[side]) for side in ("used", "unused", "fake_a", "fake_b")] == [0, 0, 1, 1]
    assert "failed, fake_b: " in str(found)
    rows = list(csv.reader(found.to_csv(tmp_path / "c.csv").splitlines()))
    assert [row[0] for row in rows[:5]] == ["quantity", "difference", "auc_a", "auc_b", "auc_difference"]
    assert float(rows[1][1]) == found.difference.value
    content = json.loads(found.to_json(tmp_path / "c.json"))
    assert content["difference"]["low"] == found.difference.low
    assert content["verdict"] == found.verdict
    alone = fingerprint.compare(USED, LEAKS, SAFE, n_bootstrap=100)
    assert "auc" not in alone.to_csv()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"confidence": 1}, r"confidence: expected a number from 0.5 to 0.999, got 1"),
        ({"n_bootstrap": 9}, r"n_bootstrap: expected an integer of at least 100, got 9"),
        ({"seed": -1}, r"seed: expected an integer of at least 0"),
        ({"used": "nowhere"}, r"used: "),
        ({"unused": "nowhere"}, r"unused: "),
    ],
)
def test_compare_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.compare(**({"fake_a": LEAKS, "fake_b": SAFE, "used": USED} | arguments))
