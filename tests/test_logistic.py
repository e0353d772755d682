"""Logistic regression: how the folds are drawn."""

import numpy as np

from fingerprint._statistics import logistic


def test_patients_stay_in_one_fold() -> None:
    units = np.repeat(np.arange(12), 5)
    labels = (units < 6).astype(int)
    outside = np.zeros(60, int)
    for inside, out in logistic.folds(labels, units, 0):
        assert not set(units[inside]) & set(units[out])
        assert 0 < labels[inside].mean() < 1
        outside += out
    assert (outside == 1).all()


def test_a_fold_without_both_labels_is_left_out() -> None:
    labels, units = np.array([1, 1, 1, 0]), np.array([0, 1, 2, 3])
    folds = list(logistic.folds(labels, units, 0))
    assert [labels[out].tolist() for _, out in folds] == [[1], [1]]
