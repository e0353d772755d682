"""The detector: what it learns, what it promises, and that the number of synthetic images does not move it."""

import csv
import functools
import json
import math
import pickle

import numpy as np
import pytest
from leaks import blurred, images

import fingerprint
from fingerprint import InputError

USED, UNUSED = images(60, 1), images(60, 2)
FAKE = blurred(USED, 400, 3)


@functools.cache
def fitted():
    return fingerprint.fit(USED[:30], UNUSED[:30], FAKE[:100])


REAL = np.concatenate([USED[30:], UNUSED[30:]])
TRUTH = np.arange(60) < 30


def test_identical_copies_are_finite_evidence() -> None:
    seen = fingerprint.fit(USED[:20], UNUSED[:20], np.concatenate([FAKE[:50], USED[:20]]))
    assert np.isfinite([*seen.weights, *seen.centres, *seen.spreads, seen.intercept]).all()


def test_it_tells_used_from_unused() -> None:
    predictions = fitted().predict(REAL, FAKE[100:200])
    assert (predictions.used == TRUTH).mean() > 0.7
    assert (
        fitted().expected["accuracy"].low
        < (predictions.used == TRUTH).mean()
        < fitted().expected["accuracy"].high + 0.1
    )
    assert all(weight >= 0 for weight in fitted().weights)
    assert (fitted().n_used, fitted().n_unused, fitted().n_fake) == (30, 30, 100)
    assert fitted().inputs[-1] == "prominence"


def test_the_number_of_synthetic_images_does_not_move_it() -> None:
    few, many = fitted().predict(REAL, FAKE[100:200]), fitted().predict(REAL, FAKE[100:])
    accuracy = [(one.used == TRUTH).mean() for one in (few, many)]
    assert accuracy[1] >= accuracy[0] - 0.05
    logits = [np.log(one.probabilities / (1 - one.probabilities)).mean() for one in (few, many)]
    assert abs(logits[0] - logits[1]) < 0.5
    assert many.n_fake == 300


def test_a_known_share_moves_all_log_odds_alike() -> None:
    plain, told = fitted().predict(REAL, FAKE), fitted().predict(REAL, FAKE, share=0.2)
    assert told.probabilities.mean() == pytest.approx(0.2)
    moved = np.log(told.probabilities / (1 - told.probabilities)) - np.log(
        plain.probabilities / (1 - plain.probabilities)
    )
    np.testing.assert_allclose(moved, moved[0], atol=1e-6)
    assert told.share == 0.2


def test_a_generator_that_leaks_nothing_promises_chance() -> None:
    none = fingerprint.fit(USED[:30], UNUSED[:30], images(100, 9))
    accuracy = none.expected["accuracy"]
    assert accuracy.low < 0.55
    assert none.expected["roc_auc"].low <= 0.5
    assert "may be chance" in str(none)
    assert "may be chance" not in str(fitted())


def test_groups_make_the_promise_honest() -> None:
    # copies of ten patients, of which a random half is called used: slices of a patient tell each other's label
    rng = np.random.default_rng(4)
    patients = images(20, 5)
    real = np.clip(np.repeat(patients, 5, axis=0) + rng.normal(0, 3, (100, 16, 16)), 0, 255).astype(np.uint8)
    names = [f"p{i // 5}" for i in range(100)]
    fitted = fingerprint.fit(real[:50], real[50:], images(80, 6), groups=names)
    width = [
        one.expected["accuracy"].high - one.expected["accuracy"].low
        for one in (fitted, fingerprint.fit(real[:50], real[50:], images(80, 6)))
    ]
    assert width[0] > width[1]
    assert len(fitted.predict(real, images(90, 7), groups=names)) == 100
    assert set(fitted.expected_by_group) == set(fitted.expected)
    assert f"roc_auc: {fitted.expected['roc_auc']}; by patient {fitted.expected_by_group['roc_auc']}" in str(fitted)
    again = fingerprint.load_detector(fitted.to_json())
    assert again == fitted


def test_the_same_seed_gives_the_same_detector_and_any_thread_count_too() -> None:
    again = fingerprint.fit(USED[:30], UNUSED[:30], FAKE[:100], threads=1, block=7)
    assert again == fitted()
    assert fingerprint.fit(USED[:30], UNUSED[:30], FAKE[:100], seed=1).expected != fitted().expected


def test_saved_and_loaded_it_is_the_same(tmp_path) -> None:
    fitted().save(tmp_path / "d.json")
    loaded = fingerprint.load_detector(tmp_path / "d.json")
    assert loaded == fitted()
    assert loaded.predict(REAL, FAKE).to_csv() == fitted().predict(REAL, FAKE).to_csv()
    assert pickle.loads(pickle.dumps(loaded)) == fitted()


def test_undefined_measures_survive_the_file(tmp_path) -> None:
    from dataclasses import replace

    undefined = fingerprint.Estimate(math.nan, math.nan, math.nan)
    replace(fitted(), expected={**fitted().expected, "precision": undefined}).save(tmp_path / "d.json")
    assert math.isnan(fingerprint.load_detector(tmp_path / "d.json").expected["precision"].value)
    assert fitted().expected_by_group is None


def test_predictions_can_be_read_and_written(tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    predictions = fitted().predict([REAL, broken], FAKE)
    assert len(predictions) == 60
    first = predictions[0]
    assert (first.name, first.used) == (predictions.names[0], bool(predictions.used[0]))
    rows = list(csv.reader(predictions.to_csv(tmp_path / "p.csv").splitlines()))
    assert rows[0] == ["name", "probability", "used"]
    assert [float(row[1]) for row in rows[1:]] == predictions.probabilities.tolist()
    assert (tmp_path / "p.csv").read_text() == predictions.to_csv()
    content = json.loads(predictions.to_json())
    assert content["rows"][0] == first._asdict()
    assert content["failed"]["real"][0]["reason"]
    assert f"{predictions.used.sum()} of 60 real images are called used, by 400 synthetic ones" in str(predictions)
    assert "failed, real: " in str(predictions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"used": USED[:9]}, r"used, unused: expected at least 10 images each, got 9 and 12; add some"),
        ({"n_fake": 41}, r"n_fake: expected an integer from 10 to 40, got 41"),
        ({"n_fake": 9}, r"n_fake: expected an integer from 10 to 40, got 9"),
        ({"seed": -1}, r"seed: expected an integer of at least 0, got -1"),
        ({"used": "nowhere"}, r"used: "),
        ({"unused": "nowhere"}, r"unused: "),
        ({"fake": "nowhere"}, r"fake: "),
        (
            {"groups": ["a"] * 12 + ["b", "c"] * 6},
            r"groups: expected at least two patients among used and among unused",
        ),
    ],
)
def test_fit_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.fit(**({"used": USED[:12], "unused": UNUSED[:12], "fake": FAKE[:40]} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fake": FAKE[:99]}, r"fake: expected at least 100 synthetic images, .* got 99; fit with n_fake=99"),
        ({"share": 0}, r"share: expected a number from 0.01 to 0.99, got 0"),
        ({"real": images(3, 0, 64), "fake": images(9, 1, 64)}, r"real: expected images with the statistics nearness"),
    ],
)
def test_predict_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fitted().predict(**({"real": REAL, "fake": FAKE[:120]} | arguments))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": "x"},
            r"path: expected format 'fingerprint Detector' of schema 4, got .*d.json of format 'x' and schema 4",
        ),
        ({"schema": 1}, r"of format 'fingerprint Detector' and schema 1; make it anew"),
        (
            {"weights": [1.0]},
            r"path: expected a complete Detector, got .*: ValueError inputs, weights, centres and spreads differ",
        ),
        ({"expected": {}}, r"path: expected a complete Detector, got .*: KeyError 'accuracy'"),
    ],
)
def test_load_says_what_is_wrong(tmp_path, change, message) -> None:
    path = tmp_path / "d.json"
    fitted().save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        fingerprint.load_detector(path)


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_load_rejects_other_files(tmp_path, text) -> None:
    path = tmp_path / "d.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="path: expected "):
        fingerprint.load_detector(path)
    with pytest.raises(InputError, match=r"path: expected what Detector.to_json wrote, got 3"):
        fingerprint.load_detector(3.5)
