"""Argument checks: every message names the argument, the rule and what was received."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class InputError(ValueError, TypeError):
    """An argument or a file breaks a rule; the message says which, what was expected, what was found, what to do.

    It is both a `ValueError` and a `TypeError`, so code that expects either one catches it.

    Examples
    --------
    >>> import fingerprint
    >>> fingerprint.load("no/such/folder")
    Traceback (most recent call last):
    fingerprint._check.InputError: source: expected an existing folder or file, got 'no/such/folder'
    """


def describe(value: object) -> str:
    """Return a short text that says what was received, safe for huge values."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{type(value).__name__} of shape {tuple(shape)} and dtype {dtype}"
    text = repr(value)
    if len(text) > 80:
        text = f"{text[:77]}..."
    return f"{text} ({type(value).__name__})"


def integer(argument: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within the (closed) bounds, or raise `InputError`."""
    rule = f"an integer of at least {minimum}" if maximum is None else f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{argument}: expected {rule}, got {describe(value)}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        raise InputError(f"{argument}: expected {rule}, got {result}")
    return result


def number(argument: str, value: object, *, minimum: float, maximum: float = math.inf) -> float:
    """Return `value` as a finite float within the (closed) bounds, or raise `InputError`."""
    rule = f"a number of at least {minimum}" if maximum == math.inf else f"a number from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{argument}: expected {rule}, got {describe(value)}")
    result = float(value)
    if not (math.isfinite(result) and minimum <= result <= maximum):
        raise InputError(f"{argument}: expected {rule}, got {value}")
    return result


def choice(argument: str, value: object, allowed: Collection[str]) -> str:
    """Return `value` if it is one of the allowed words, or raise `InputError` that lists them."""
    if isinstance(value, str) and value in allowed:
        return value
    raise InputError(f"{argument}: expected one of {', '.join(map(repr, allowed))}, got {describe(value)}")
