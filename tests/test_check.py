"""Argument checks: the messages, and what passes."""

import re
from fractions import Fraction

import numpy as np
import pytest

from fingerprint._base import checks
from fingerprint._base.checks import InputError


def test_an_input_error_is_a_value_error_and_a_type_error() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, TypeError)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3 (int)"),
        ("a", "'a' (str)"),
        (None, "None (NoneType)"),
        (np.zeros((2, 3), np.uint8), "ndarray of shape (2, 3) and dtype uint8"),
        ("x" * 200, "'" + "x" * 76 + "... (str)"),
    ],
)
def test_describe_says_value_or_shape_and_type(value: object, text: str) -> None:
    assert checks.describe(value) == text


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_integer_returns_an_int(value: object) -> None:
    result = checks.integer("k", value, minimum=2, maximum=2)
    assert result == 2
    assert type(result) is int


@pytest.mark.parametrize(
    ("value", "maximum", "message"),
    [
        (0, None, "k: expected an integer of at least 1, got 0"),
        (9, 5, "k: expected an integer from 1 to 5, got 9"),
        (1.0, None, "k: expected an integer of at least 1, got 1.0 (float)"),
        (True, None, "k: expected an integer of at least 1, got True (bool)"),
        ("1", 5, "k: expected an integer from 1 to 5, got '1' (str)"),
    ],
)
def test_integer_names_argument_rule_and_value(value: object, maximum: int | None, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        checks.integer("k", value, minimum=1, maximum=maximum)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), Fraction(1, 2)])
def test_number_returns_a_float(value: object) -> None:
    result = checks.number("q", value, minimum=0, maximum=1)
    assert result == float(value)  # type: ignore[arg-type]
    assert type(result) is float


@pytest.mark.parametrize(
    ("value", "maximum", "message"),
    [
        (-1, float("inf"), "q: expected a number of at least 0, got -1"),
        (2.5, 1, "q: expected a number from 0 to 1, got 2.5"),
        (float("nan"), 1, "q: expected a number from 0 to 1, got nan"),
        (float("inf"), float("inf"), "q: expected a number of at least 0, got inf"),
        (False, 1, "q: expected a number from 0 to 1, got False (bool)"),
        ("x", 1, "q: expected a number from 0 to 1, got 'x' (str)"),
    ],
)
def test_number_names_argument_rule_and_value(value: object, maximum: float, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        checks.number("q", value, minimum=0, maximum=maximum)


def test_choice() -> None:
    assert checks.choice("mode", "a", ("a", "b")) == "a"
    with pytest.raises(InputError, match=r"^mode: expected one of 'a', 'b', got 'c' \(str\)$"):
        checks.choice("mode", "c", ("a", "b"))
    with pytest.raises(InputError, match=r"^mode: expected one of 'a', 'b', got \['a'\] \(list\)$"):
        checks.choice("mode", ["a"], ("a", "b"))
