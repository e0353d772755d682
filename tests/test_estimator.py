"""The classifier for scikit-learn learns what the detector learns."""

import numpy as np
import pytest
from leaks import blurred, images

import fingerprint
from fingerprint import InputError

USED, UNUSED = images(30, 1), images(30, 2)
FAKE = blurred(USED, 100, 3)
LABELS = np.arange(60) < 30
VALUES = fingerprint.statistics([USED, UNUSED], FAKE)


def fitted() -> fingerprint.DetectorClassifier:
    return fingerprint.DetectorClassifier().fit(VALUES, LABELS)


def test_it_is_the_detector_of_the_same_images() -> None:
    detector = fingerprint.fit(USED, UNUSED, FAKE)
    predictions = detector.predict([USED, UNUSED], FAKE)
    assert VALUES.shape == (60, len(detector.inputs))
    assert fitted().predict_proba(VALUES)[:, 1].tolist() == predictions.probabilities.tolist()
    assert fitted().predict(VALUES).tolist() == predictions.used.tolist()
    fewer = fingerprint.statistics([USED, UNUSED], FAKE, n_fake=50)
    assert fingerprint.fit(USED, UNUSED, FAKE, n_fake=50).centres == tuple(fewer.mean(axis=0))


def test_patients_stay_whole() -> None:
    patients = [f"p{i // 3}" for i in range(60)]
    detector = fingerprint.fit(USED, UNUSED, FAKE, groups=patients)
    values = fingerprint.statistics([USED, UNUSED], FAKE, groups=patients)
    found = fingerprint.DetectorClassifier().fit(values, LABELS, groups=patients)
    assert found.predict_proba(values)[:, 1].tolist() == pytest.approx(
        detector.predict([USED, UNUSED], FAKE, groups=patients).probabilities.tolist()
    )


def test_labels_come_back_as_they_were_given() -> None:
    assert fitted().classes_.tolist() == [False, True]
    whole = fingerprint.DetectorClassifier(seed=3).fit(VALUES.tolist(), LABELS.astype(int).tolist())
    assert whole.classes_.tolist() == [0, 1]
    assert {*whole.predict(VALUES).tolist()} == {0, 1}
    assert whole.score(VALUES, LABELS) > 0.7
    assert repr(whole.set_params(seed=4)) == "DetectorClassifier(seed=4)"


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (VALUES[0], LABELS, "X: expected a matrix of finite numbers, as statistics gives"),
        (VALUES * np.nan, LABELS, "X: expected a matrix of finite numbers"),
        (VALUES, LABELS[:9], "y: expected one boolean, 0 or 1 for each of the 60 rows of X"),
        (VALUES, LABELS + 1, "y: expected one boolean, 0 or 1"),
        (VALUES[:31], LABELS[:31], "y: expected at least two images, or patients, of either label"),
    ],
)
def test_what_is_wrong_is_said(X, y, message) -> None:  # noqa: N803
    with pytest.raises(InputError, match=message):
        fingerprint.DetectorClassifier().fit(X, y)


def test_what_is_not_fitted_or_does_not_fit_is_said() -> None:
    with pytest.raises(InputError, match="expected to be fitted first; call fit"):
        fingerprint.DetectorClassifier().predict(VALUES)
    with pytest.raises(InputError, match="X: expected 2 statistics, as the classifier was fitted on, got 1"):
        fingerprint.DetectorClassifier().fit(VALUES[:, :2], LABELS).predict(VALUES[:, :1])
    with pytest.raises(InputError, match="set_params: expected seed alone, got penalty"):
        fitted().set_params(penalty=1)
    with pytest.raises(InputError, match="n_fake: expected an integer from 10 to 100, got 101"):
        fingerprint.statistics(USED, FAKE, n_fake=101)


def test_scikit_learn_takes_it_for_one_of_its_own() -> None:
    pytest.importorskip("sklearn", "1.6")
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = fingerprint.DetectorClassifier(seed=7)
    assert is_classifier(model)
    copied = clone(fitted().set_params(seed=7))
    assert copied.get_params() == model.get_params() == {"seed": 7}
    assert not hasattr(copied, "classes_")
    found = cross_val_score(model, VALUES, LABELS, cv=3, scoring="roc_auc", error_score="raise")
    assert found.mean() > 0.7
    assert cross_val_score(model, VALUES, LABELS, cv=3, error_score="raise").mean() > 0.6
    patients = np.arange(60) // 3
    grouped = {"groups": patients, "cv": GroupKFold(4), "params": {"groups": patients}}
    assert len(cross_val_score(model, VALUES, LABELS, **grouped, error_score="raise")) == 4
    searched = GridSearchCV(model, {"seed": [0, 1]}, cv=3, error_score="raise").fit(VALUES, LABELS)
    assert searched.best_params_["seed"] in (0, 1)
    assert make_pipeline(FunctionTransformer(), model).fit(VALUES, LABELS).predict(VALUES).shape == (60,)
