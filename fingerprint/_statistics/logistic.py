"""Logistic regression for a handful of statistics that are known to speak for one side, from few labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base.importing import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint._base.types import Array

FOLDS = 5
LEAST_SPREAD = 1e-9
_PENALTIES = (1.0, 10.0, 100.0)


class Model(NamedTuple):
    """A regression on statistics less their `centres`, in units of their `spreads`; the intercept comes first."""

    coefficients: Array
    centres: Array
    spreads: Array
    penalty: float

    def logits(self, values: Array) -> Array:
        """Return the log odds of each row of statistics."""
        return logits_of((values - self.centres) / self.spreads, self.coefficients)


def learn(values: Array, labels: Array, units: Array, seed: int) -> Model:
    """Fit with the penalty of the lowest cross-validated loss."""
    losses = []
    for penalty in _PENALTIES:
        loss = 0.0
        for inside, outside in folds(labels, units, seed + 1):
            logits = _optimised(values[inside], labels[inside], penalty).logits(values[outside])
            loss += float((np.logaddexp(0, logits) - labels[outside] * logits).sum())
        losses.append(loss)
    return _optimised(values, labels, _PENALTIES[int(np.argmin(losses))])


def _optimised(values: Array, labels: Array, penalty: float) -> Model:
    """Return the logistic regression with weights of at least 0, drawn towards equal ones of 1 together."""
    minimize = whole("scipy.optimize").minimize

    centres, spreads = values.mean(axis=0), np.maximum(values.std(axis=0), LEAST_SPREAD)
    scaled = (values - centres) / spreads
    prior = np.full(values.shape[1], 1 / values.shape[1])

    def loss(coefficients: Array) -> tuple[float, Array]:
        logits, off = logits_of(scaled, coefficients), coefficients[1:] - prior
        rest = sigmoid(logits) - labels
        value = (np.logaddexp(0, logits) - labels * logits).sum() + penalty / 2 * (off**2).sum()
        return float(value), np.append(rest.sum(), (rest[:, None] * scaled).sum(axis=0) + penalty * off)

    bounds = [(None, None), *[(0.0, None)] * len(prior)]
    found = minimize(loss, np.append(0.0, prior), jac=True, bounds=bounds, method="L-BFGS-B")
    return Model(found.x, centres, spreads, penalty)


def folds(labels: Array, units: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield which images are inside and outside of each fold; units stay whole, both labels are spread evenly."""
    rng = np.random.default_rng(seed)
    fold = np.empty(units.max() + 1, np.int64)
    for label in (1, 0):
        members = rng.permutation(np.unique(units[labels == label]))
        fold[members] = np.arange(len(members)) % FOLDS
    for number in range(FOLDS):
        outside = fold[units] == number
        if outside.any() and 0 < labels[~outside].sum() < (~outside).sum():
            yield ~outside, outside


def logits_of(scaled: Array, coefficients: Array) -> Array:
    """Return the log odds, added up in fixed order, which a matrix product does not promise."""
    total = np.full(len(scaled), coefficients[0])
    for weight, column in zip(coefficients[1:], scaled.T, strict=True):
        total += weight * column
    return total


def sigmoid(logits: Array) -> Array:
    """Return the probabilities; no log odds overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))


def moved(logits: Array, share: float) -> Array:
    """Add to all log odds what makes the mean probability the share."""
    brentq = whole("scipy.optimize").brentq

    reach = float(np.abs(logits).max()) + 10
    shift: float = brentq(lambda shift: float(sigmoid(logits + shift).mean()) - share, -reach, reach)
    return logits + shift
