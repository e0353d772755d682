"""Text files that others may have written: read within bounds, and JSON that says one thing only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fingerprint._base.checks import shortened

if TYPE_CHECKING:
    from os import PathLike

_BYTES = 2**28  # of a file; reading a device might never end
_DIGITS = 100  # of a whole number


def read(path: str | PathLike[str]) -> str:
    """Return the text of a file in UTF-8, with or without byte order mark; raise OSError or ValueError."""
    with Path(path).open("rb") as file:
        data = file.read(_BYTES + 1)
    if len(data) > _BYTES:
        raise ValueError(f"more than {_BYTES} bytes")
    return data.decode("utf-8-sig")


def parsed(text: str) -> Any:
    """Return what JSON says; raise ValueError where it says a name twice, or a number that is none."""
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_integer, parse_float=_float
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"expected each name once, found {shortened(next(n for n in names if names.count(n) > 1))}")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word}, which is no number")


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    found = float(digits)
    if found - found:  # of an infinite number this is nan
        raise ValueError(f"a number too large: {shortened(digits)}")
    return found
