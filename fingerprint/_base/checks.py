"""Argument checks: every message names the argument, the rule and what was received."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._base.public import public

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from numpy.typing import ArrayLike

    from fingerprint._base.types import Array, Floats, Ints


@public
class InputError(ValueError, TypeError):
    """An argument or a file breaks a rule; the message says which, what was expected, what was found, what to do.

    It is both a `ValueError` and a `TypeError`, so code that expects either one catches it.

    Examples
    --------
    >>> import fingerprint
    >>> fingerprint.load("no/such/folder")
    Traceback (most recent call last):
    fingerprint.InputError: source: expected an existing folder or file, got 'no/such/folder'
    """

    def __str__(self) -> str:
        """Return the message, and further arguments as lines below it."""
        return "\n  ".join(map(str, self.args))


def describe(value: object) -> str:
    """Return a short text that says what was received, safe for huge values."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{type(value).__name__} of shape {tuple(shape)} and dtype {dtype}"
    return f"{shortened(value)} ({type(value).__name__})"


def shortened(value: object) -> str:
    """Return a value as code writes it, in one line of at most 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def integer(argument: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within the (closed) bounds, or raise `InputError`."""
    rule = f"an integer of at least {minimum}" if maximum is None else f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{argument}: expected {rule}, got {describe(value)}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        raise InputError(f"{argument}: expected {rule}, got {shortened(result)}")
    return result


def number(argument: str, value: object, *, minimum: float, maximum: float = math.inf) -> float:
    """Return `value` as a finite float within the (closed) bounds, or raise `InputError`."""
    rule = f"a number of at least {minimum}" if maximum == math.inf else f"a number from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{argument}: expected {rule}, got {describe(value)}")
    try:
        result = float(value)
    except OverflowError:  # an integer of hundreds of digits
        result = math.inf
    if not (math.isfinite(result) and minimum <= result <= maximum):
        raise InputError(f"{argument}: expected {rule}, got {shortened(value)}")
    return result


def choice(argument: str, value: object, allowed: Collection[str]) -> str:
    """Return `value` if it is one of the allowed words, or raise `InputError` that lists them."""
    if isinstance(value, str) and value in allowed:
        return value
    raise InputError(f"{argument}: expected one of {', '.join(map(repr, allowed))}, got {describe(value)}")


def executor(value: Any) -> None:
    """Raise `InputError` if a value is no executor."""
    if value is not None and (isinstance(value, type) or not callable(getattr(value, "submit", None))):
        raise InputError(
            f"executor: expected a concurrent.futures.Executor, such as ProcessPoolExecutor(4), got {describe(value)}"
        )


# --- One value, or one name, for each image ---------------------------------------------------------------------------


def vector(argument: str, values: ArrayLike) -> Array:
    """Return values as an array (n,) of any type, n at least 1."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty((0, 0))
    if array.ndim != 1 or not array.size:
        raise InputError(f"{argument}: expected one value per image, shape (n,), got {describe(values)}")
    return array


def binary(values: Array) -> bool:
    """Whether all values are booleans, or the integers 0 and 1."""
    return values.dtype.kind in "biu" and bool(np.isin(values, (0, 1)).all())


def ordered(argument: str, scores: Array) -> Floats:
    """Return float64 scores, which may be infinite but not nan."""
    missing = int(np.isnan(scores).sum())
    if missing:
        raise InputError(f"{argument}: expected scores without nan, got {missing} nan; leave those images out")
    return scores.astype(np.float64)


def units(argument: str, groups: Sequence[Hashable], n: int) -> Ints:
    """Return the number of the group of each image, groups numbered in the order of their first image."""
    names = members(argument, groups)
    if len(names) != n:
        raise InputError(f"{argument}: expected one patient for each of the {n} images, got {len(names)}")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])


def members(argument: str, names: Any) -> list[Hashable]:
    """Return the names of groups or cells as a list, each of them given and hashable."""
    sequence: Any = None if isinstance(names, (str, bytes)) else names
    try:
        found: list[Hashable] = list(sequence)
        hash(tuple(found))
    except TypeError:
        raise InputError(f"{argument}: expected a sequence of names, one per image, got {describe(names)}") from None
    for position, member in enumerate(found, 1):
        if member in (None, "") or member != member:  # nan alone differs from itself
            raise InputError(f"{argument}: expected a name for every image, got {member!r} for image number {position}")
    return found


def pair(argument: str, both: Any, m: int, n: int) -> tuple[list[Hashable], list[Hashable]]:
    """Return the two lists of a pair of sequences of lengths m and n."""
    if not isinstance(both, (tuple, list)) or len(both) != 2:
        raise InputError(f"{argument}: expected a pair of sequences, one for each side, got {describe(both)}")
    first, second = members(argument, both[0]), members(argument, both[1])
    if len(first) != m or len(second) != n:
        raise InputError(f"{argument}: expected {m} and {n} values, one per image, got {len(first)} and {len(second)}")
    return first, second
