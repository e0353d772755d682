"""The audit and the comparison of two generators: shown where there is a leak, silent where there is none."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, auditing, evaluation


def images(n: int, seed: int, size: int = 16) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (n, size // 4, size // 4))
    return np.kron(coarse, np.ones((1, 4, 4))).round().astype(np.uint8)


def blurred(originals: np.ndarray, n: int, seed: int, noise: float = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picked = originals[rng.integers(len(originals), size=n)]
    return np.clip(picked + np.kron(rng.normal(0, noise, (n, 4, 4)), np.ones((1, 4, 4))), 0, 255).astype(np.uint8)


USED, UNUSED = images(30, 1), images(30, 2)
LEAKS, SAFE = blurred(USED, 90, 3), images(90, 4)


def test_a_leak_is_shown() -> None:
    found = fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=999)
    assert found.leaks
    assert found.auc.low > 0.6
    assert found.copying.z < -3
    assert "Leak shown" in found.verdict


def test_no_leak_is_no_proof() -> None:
    found = fingerprint.audit(USED, UNUSED, SAFE, n_permutations=999)
    assert not found.leaks
    assert abs(found.copying.z) < 3
    assert "does not prove that there is none" in found.verdict
    assert 0.5 < found.detectable_auc < 0.8


def test_the_audit_is_that_of_the_scores_of_the_ranking() -> None:
    found = fingerprint.audit(USED, UNUSED, LEAKS, method="gan-leaks", n_permutations=199, seed=3)
    ranking = fingerprint.rank(np.concatenate([USED, UNUSED]), LEAKS, method="gan-leaks")
    score = dict(zip(map(int, ranking.names), ranking.scores, strict=True))
    by_place = [score[i] for i in range(60)]
    expected = evaluation.audit_scores(by_place[:30], by_place[30:], n_permutations=199, seed=3)
    assert (found.auc, found.p_value, found.leak_rate) == (expected.auc, expected.p_value, expected.leak_rate)


def test_the_copying_statistic_is_that_of_the_distances() -> None:
    near = fingerprint.distances(LEAKS, USED).min(axis=1)
    held_out = fingerprint.distances(UNUSED, USED).min(axis=1)
    expected = evaluation.data_copying(near, held_out)
    assert fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=99, block=40).copying == expected


def test_a_stream_is_read_once_and_has_no_copying_statistic() -> None:
    found = fingerprint.audit(USED, UNUSED, iter([LEAKS[:50], LEAKS[50:]]), n_permutations=99)
    assert found.copying is None
    assert found.auc == fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=99).auc


def test_patients_stay_whole() -> None:
    patients = [f"u{i // 10}" for i in range(30)] + [f"n{i // 10}" for i in range(30)]
    found = fingerprint.audit(USED, UNUSED, LEAKS, groups=patients, n_permutations=199)
    assert (found.n_used_groups, found.n_unused_groups) == (3, 3)
    assert found.p_value >= 0.02  # there are but 20 ways to choose three of six patients
    with pytest.raises(InputError, match="expected every patient on one side"):
        fingerprint.audit(USED, UNUSED, LEAKS, groups=["a", "b"] * 30)


def test_labels_drawn_at_random_give_uniform_p_values() -> None:
    pool, rng, p_values = images(40, 5), np.random.default_rng(6), []
    for i in range(40):
        order = rng.permutation(40)
        found = fingerprint.audit(
            pool[order[:20]], pool[order[20:]], SAFE[:20], method="gan-leaks", n_permutations=99, seed=i
        )
        p_values.append(found.p_value)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.05) < 0.15


def test_failed_files_are_listed_and_sizes_brought_together(tmp_path) -> None:
    for name, stack in (("used", USED), ("unused", UNUSED)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(stack):
            Image.fromarray(image).resize((20 + i % 2, 20)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "used" / "x.png").write_bytes(b"")
    found = fingerprint.audit(tmp_path / "used", tmp_path / "unused", LEAKS, size=16, n_permutations=99)
    assert [failure.name for failure in found.failed["used"]] == ["x.png"]
    assert found.failed["fake"] == found.failed["unused"] == ()
    assert "failed, used: x.png: " in str(found)
    assert json.loads(found.to_json())["failed"]["used"][0]["name"] == "x.png"
    assert found.n_used == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "x"}, r"method: expected one of 'default'"),
        ({"level": 2}, r"level: expected a number from 0.0001 to 0.5, got 2"),
        ({"used": "nowhere"}, r"used: "),
        ({"unused": "nowhere"}, r"unused: "),
        ({"fake": "nowhere"}, r"fake: "),
        ({"unused": images(4, 0, 8)}, r"unused: "),
        ({"used": USED[:1]}, r"used_scores: expected at least two scores"),
    ],
)
def test_audit_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.audit(**({"used": USED, "unused": UNUSED, "fake": SAFE, "n_permutations": 99} | arguments))


def test_the_generator_that_leaks_more_is_found_with_and_without_unused() -> None:
    found = fingerprint.compare(LEAKS, SAFE, USED, unused=UNUSED, n_bootstrap=200)
    assert found.difference.low > 0
    assert found.auc_a.value > 0.7 > found.auc_b.value
    assert found.auc_difference.value == pytest.approx(found.auc_a.value - found.auc_b.value)
    assert found.verdict.startswith("The first generator leaks more (")
    turned = fingerprint.compare(SAFE, LEAKS, USED, unused=UNUSED, n_bootstrap=200)
    assert turned.difference.value == pytest.approx(-found.difference.value)
    assert turned.verdict.startswith("The second generator leaks more (")
    alone = fingerprint.compare(LEAKS, SAFE, USED, n_bootstrap=200)
    assert alone.auc_a is alone.auc_b is alone.auc_difference is None
    assert alone.verdict.startswith("The first generator comes nearer (")
    assert "A better generator comes nearer as well" in alone.verdict


def test_equal_generators_show_no_difference_whatever_their_numbers() -> None:
    found = fingerprint.compare(SAFE[:30], images(300, 8), USED, unused=UNUSED, n_bootstrap=200)
    assert found.difference.low < 0 < found.difference.high
    assert found.verdict.startswith("No difference shown")
    assert found.n_fake == 30
    alone = fingerprint.compare(SAFE[:40], images(400, 9), USED, n_bootstrap=200)
    assert abs(alone.difference.value) < 0.2
    same = fingerprint.compare(SAFE, SAFE, USED, n_bootstrap=200)
    assert same.difference == (0, 0, 0)
    assert same.verdict.startswith("Neither generator")


def test_the_bootstrap_draws_whole_patients() -> None:
    units = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    weights = auditing._weights(units, 5, 50, 0)
    assert (weights[0] == 1).all()
    assert (weights[:, :3] == weights[:, :1]).all()
    assert (weights[1:, 0] + weights[1:, 3] == 2).all()
    assert (weights[1:, 5] + weights[1:, 6] == 2).all()
    groups = [f"p{i // 5}" for i in range(60)]
    wide = fingerprint.compare(LEAKS, SAFE, USED, unused=UNUSED, groups=groups, n_bootstrap=200)
    assert wide.n_unused == 30


def test_weighted_auc_is_the_auc_of_the_copies() -> None:
    values, weights = np.array([1.0, 2, 2, 0, 2, 1]), np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 0, 2, 1]])
    for row, found in zip(weights, auditing._aucs(weights, values, 3), strict=True):
        used, unused = np.repeat(values[:3], row[:3]), np.repeat(values[3:], row[3:])
        assert found == np.mean([(u > v) + (u == v) / 2 for u in used for v in unused])


def test_comparisons_can_be_read_and_written(tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    found = fingerprint.compare([LEAKS, broken], [SAFE, broken], USED, unused=UNUSED, n_bootstrap=100)
    assert [len(found.failed[side]) for side in ("real", "unused", "fake_a", "fake_b")] == [0, 0, 1, 1]
    assert "failed, fake_b: " in str(found)
    rows = list(csv.reader(found.to_csv(tmp_path / "c.csv").splitlines()))
    assert [row[0] for row in rows] == ["quantity", "difference", "auc_a", "auc_b", "auc_difference"]
    assert float(rows[1][1]) == found.difference.value
    content = json.loads(found.to_json(tmp_path / "c.json"))
    assert content["difference"]["low"] == found.difference.low
    assert content["verdict"] == found.verdict
    alone = fingerprint.compare(LEAKS, SAFE, USED, n_bootstrap=100)
    assert len(alone.to_csv().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"confidence": 1}, r"confidence: expected a number from 0.5 to 0.999, got 1"),
        ({"n_bootstrap": 9}, r"n_bootstrap: expected an integer of at least 100, got 9"),
        ({"seed": -1}, r"seed: expected an integer of at least 0"),
        ({"real": "nowhere"}, r"real: "),
        ({"unused": "nowhere"}, r"unused: "),
    ],
)
def test_compare_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.compare(**({"fake_a": LEAKS, "fake_b": SAFE, "real": USED} | arguments))
