"""Tables that people bring: patients, truth, and predictions, as spreadsheets and programs write them."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fingerprint import InputError, challenge
from fingerprint._base import texts
from fingerprint._base.checks import shortened
from fingerprint._base.output import from_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_NAMES = ("name", "image", "file", "filename")  # columns of the name of an image
_PATIENTS = ("patient", "group", "patient_id", "PatientID")
_DELIMITERS = ",;\t"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE)


def read_groups(path: str) -> dict[str, object]:
    """Return the patients by file name, of a JSON object or a CSV of two columns."""
    text = _text(path)
    if Path(path).suffix.lower() == ".csv":
        return _once(path, _columns(path, text, _PATIENTS))
    try:
        groups = texts.parsed(text)
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, or a name that ends in .csv: {error}") from None
    if not isinstance(groups, dict):
        raise InputError(f"{path}: expected a JSON object from file name to patient, got a {type(groups).__name__}")
    for name, patient in groups.items():
        if isinstance(patient, bool) or not isinstance(patient, str | int | float):
            raise InputError(
                f"{path}: expected the patient of {shortened(name)} as text or a number, got {shortened(patient)}"
            )
    return groups


def read_numbers(path: str, columns: Sequence[str]) -> dict[str, int | float]:
    """Return a number by name: of a run file, or of the first of the columns that a table with a header has."""
    numbers = {}
    for name, value in _once(path, _columns(path, _text(path), columns)).items():
        if not _NUMBER.fullmatch(value) or (math.isinf(float(value)) and value[-1].isdigit()):
            raise InputError(f"{path}: expected a number for {shortened(name)}, got {shortened(value)}")
        numbers[name] = int(value) if value in ("0", "1") else float(value)
    if any(isinstance(number, float) for number in numbers.values()):
        return {name: float(number) for name, number in numbers.items()}
    return numbers


def in_order_of(names: Sequence[str], table: Mapping[str, Any], path: str) -> list[Any]:
    """Return the values of some images; they may be named with or without folder and extension.

    Exact names go first. Where some are missing, names are compared without folder and extension, if these alone tell
    the images apart.
    """
    if all(name in table for name in names):
        return [table[name] for name in names]
    short = {challenge.run_id(name): value for name, value in table.items()}
    wanted = [challenge.run_id(name) for name in names]
    if len(short) < len(table) or len(set(wanted)) < len(wanted):
        keys = wanted if len(set(wanted)) < len(wanted) else [challenge.run_id(name) for name in table]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(
            f"{path}: expected the very names of the truth, since {twice!r} without folder and extension stands for "
            "several images"
        )
    missing = [name for name, key in zip(names, wanted, strict=True) if key not in short]
    if missing:
        raise InputError(
            f"{path}: expected a line for each of the {len(names)} images of the truth, found none for "
            f"{missing[0]!r} ({len(missing)} missing)"
        )
    return [short[key] for key in wanted]


def _text(path: str) -> str:
    """Return the text of a file, with or without byte order mark."""
    try:
        return texts.read(path)
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text in UTF-8; save it as CSV in UTF-8") from None
    except ValueError as error:
        raise InputError(f"{path}: expected a table, got {error}") from None


def _once(path: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dictionary, each name once."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{path}: expected each name once, found {shortened(name)} twice")
        found[name] = value
    return found


def _columns(path: str, text: str, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and one other column of a CSV, with or without header."""
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise InputError(f"{path}: expected a CSV file: {error}") from None
    at, column = 0, 1
    names = [one for one in _NAMES if rows and one in rows[0]]
    if names:
        header = rows.pop(0)
        found = [one for one in wanted if one in header]
        if not found:
            raise InputError(f"{path}: expected a column {' or '.join(wanted)}, got {shortened(header)}")
        if max(header.count(names[0]), header.count(found[0])) > 1:
            raise InputError(f"{path}: expected each column once, got {shortened(header)}")
        at, column = header.index(names[0]), header.index(found[0])
    pairs = []
    for line, row in enumerate(rows, 1):
        if len(row) <= max(at, column) or not row[at].strip():
            raise InputError(f"{path}: expected a name and a value in row {line}, got {shortened(row)}")
        pairs.append((from_cell(row[at].strip()), row[column].strip()))
    return pairs
