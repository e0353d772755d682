"""Run files of the challenge: one decision a line, written, checked and read; public in `fingerprint.challenge`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fingerprint._base import checks, output
from fingerprint._base.checks import InputError
from fingerprint._base.public import public

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

EDITIONS = (2023, 2024, 2025)

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_SHOWN = 5  # problems quoted in an error message


@public
class RunError(NamedTuple):
    """One fault of a run file.

    Parameters
    ----------
    line : int or None
        Number of the line, from 1; None where the fault belongs to no line.
    problem : str
        What is wrong.
    remedy : str
        What to do about it.
    """

    line: int | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return line, problem and remedy in one line."""
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.problem}; {self.remedy}"


@public
def run_id(name: str, edition: int = 2023) -> str:
    """Return the id of an image in the run file of an edition.

    Parameters
    ----------
    name : str
        File name of the image, with or without folder; but for 2025, with or without extension.
    edition : int
        2023 and 2024: the id has no extension. 2025: it has.

    Raises
    ------
    InputError
        If the edition is unknown, or it is 2025 and the name does not end like that of an image.

    Examples
    --------
    >>> from fingerprint import challenge
    >>> challenge.run_id("test/real_unknown_0001.png"), challenge.run_id("real_unknown_0001.png", 2025)
    ('real_unknown_0001', 'real_unknown_0001.png')
    """
    return _id("name", name, known_edition(edition))


@public
def write_run(path: str | os.PathLike[str], ids: Iterable[str], decisions: ArrayLike, *, edition: int = 2023) -> None:
    """Write a run file: one line an image, ``id,decision``, no header, no quotes, in the order given.

    Parameters
    ----------
    path : path
        File to write; what was there is replaced.
    ids : iterable of str
        Names of the n images, every one once; turned into ids by `run_id`.
    decisions : array_like
        (n,) bool, or integers 0 (not used) and 1 (used).
    edition : int
        2023 and 2024: ids without extension. 2025: with.

    Raises
    ------
    InputError
        If ids and decisions differ in number, an id occurs twice or cannot stand in such a file, a decision is not 0 or
        1, or the folder of `path` does not exist.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> challenge.write_run(path, ["real_unknown_0001.png", "real_unknown_0002.png"], [1, 0])
    >>> print(path.read_text(), end="")
    real_unknown_0001,1
    real_unknown_0002,0
    """
    names = _expected("ids", ids, known_edition(edition))
    try:
        labels = np.asarray(decisions)
    except ValueError:  # ragged
        labels = np.empty((0, 0))
    if labels.ndim != 1 or not checks.binary(labels):
        raise InputError(
            f"decisions: expected booleans or the integers 0 (not used) and 1 (used), got {checks.describe(decisions)}"
        )
    if len(labels) != len(names):
        raise InputError(f"decisions: expected one for each of the {len(names)} ids, got {len(labels)}")
    target = to_write(path)
    text = "".join(f"{name},{label:d}\n" for name, label in zip(names, labels.astype(int), strict=True))
    output.write(text, target)


@public
def check_run(
    path: str | os.PathLike[str], ids: Iterable[str] | None = None, *, edition: int = 2023
) -> tuple[RunError, ...]:
    r"""Find every fault of a run file.

    Parameters
    ----------
    path : path
        The run file.
    ids : iterable of str, optional
        Names of all images that the run must decide on, with or without extension as for `run_id`. Without them,
        unknown and missing ids cannot be found.
    edition : int
        2023: ids have no extension. 2025: they have. 2024: either, as the rule is not known for certain; what is read
        has none.

    Returns
    -------
    tuple of RunError
        The faults in the order of their lines, missing ids last; empty if the file is right. Every fault of a line is
        named, Windows line ends once in the file.

    Raises
    ------
    InputError
        If the file does not exist or the ids are faulty themselves.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> _ = path.write_text("real_unknown_0001,1\nreal_unknown_0002,yes\n")
    >>> for error in challenge.check_run(path, ["real_unknown_0001", "real_unknown_0002", "real_unknown_0003"]):
    ...     print(error)
    line 2: label 'yes'; write 0 (not used) or 1 (used)
    id 'real_unknown_0003' is missing; add a line for it
    """
    year = known_edition(edition)
    return _parsed("path", path, None if ids is None else _expected("ids", ids, year), year)[1]


@public
def read_run(path: str | os.PathLike[str], ids: Iterable[str] | None = None, *, edition: int = 2023) -> dict[str, int]:
    """Read a run file that has no fault.

    Parameters
    ----------
    path, ids, edition
        As for `check_run`.

    Returns
    -------
    dict
        Decision, 0 or 1, of each id, in the order of the file.

    Raises
    ------
    InputError
        If `check_run` finds a fault; the message quotes the first ones.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> challenge.write_run(path, ["a.png", "b.png"], [True, False], edition=2025)
    >>> challenge.read_run(path, edition=2025)
    {'a.png': 1, 'b.png': 0}
    """
    year = known_edition(edition)
    return faultless("path", path, None if ids is None else _expected("ids", ids, year), year)


def by_id(argument: str, values: Any, edition: int) -> dict[str, Any]:
    """Return a mapping by name as one by id."""
    if not hasattr(values, "items"):
        raise InputError(f"{argument}: expected a mapping from the names of the images, got {checks.describe(values)}")
    names, found = list(values.keys()), list(values.values())
    return dict(zip(_expected(argument, names, edition), found, strict=True))


def faultless(argument: str, path: Any, ids: list[str] | None, edition: int) -> dict[str, int]:
    """Return the labels of a run file, or raise an error that names its faults."""
    labels, errors = _parsed(argument, path, ids, edition)
    if errors:
        rest = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        word = "fault" if len(errors) == 1 else "faults"
        head = f"{path}: expected a run file of {edition}, got {len(errors)} {word}:"
        raise InputError(head, *map(str, errors[:_SHOWN]), *rest)
    return labels


def known_edition(edition: int) -> int:
    """Return the edition, or raise if there is none of this year."""
    if edition not in EDITIONS:
        raise InputError(f"edition: expected 2023, 2024 or 2025, got {checks.describe(edition)}")
    return edition


def to_write(path: Any) -> Path:
    """Return the path of a run file to write, whose folder has to exist."""
    target = to_path("path", path)
    if not target.parent.is_dir():
        raise InputError(f"path: expected a file in an existing folder, got {str(target)!r}; create {target.parent}")
    return target


def to_path(argument: str, value: Any) -> Path:
    """Return a path, or raise if the value is none."""
    try:
        return Path(value)
    except TypeError:
        raise InputError(f"{argument}: expected a path, got {checks.describe(value)}") from None


def _expected(argument: str, ids: Any, edition: int) -> list[str]:
    """Return the ids of the edition, each of which may stand in a run file, once."""
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
        raise InputError(f"{argument}: expected a list of names, got {checks.describe(ids)}")
    names = [_id(argument, name, edition) for name in ids]
    if not names:
        raise InputError(f"{argument}: expected at least one name, got none")
    for name in names:
        if not name or name != name.strip() or re.search(r"[\x00-\x1f,;\"'|]", name):
            raise InputError(f"{argument}: expected names without comma, quote or outer space, got {name!r}; rename")
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise InputError(f"{argument}: expected every id once, got {quoted(twice)} more than once")
    return names


def _id(argument: str, name: Any, edition: int) -> str:
    if not isinstance(name, str):
        raise InputError(f"{argument}: expected the name of an image, got {checks.describe(name)}")
    file = PurePath(name).name
    extension = _extension(file)
    if edition != 2025:
        return file.removesuffix(extension)
    if not extension:
        raise InputError(f"{argument}: expected a name with its extension for 2025, got {name!r}; add it, say .png")
    return file


def _extension(file: str) -> str:
    suffix = PurePath(file).suffix
    return suffix if suffix.lower() in _SUFFIXES else ""


def quoted(names: Sequence[str]) -> str:
    """Return the first names for a message, and how many more there are."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _parsed(
    argument: str, path: Any, ids: list[str] | None, edition: int
) -> tuple[dict[str, int], tuple[RunError, ...]]:
    """Return the decisions by id, as far as they can be read, and every fault."""
    file = to_path(argument, path)
    if not file.is_file():
        raise InputError(f"{argument}: expected an existing run file, got {str(file)!r}")
    data = file.read_bytes()
    if not data.strip():
        return {}, (RunError(None, "the file is empty", "write one line an image, such as real_unknown_0001,1"),)
    save = "save the file as plain UTF-8 text"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data:
        return {}, (RunError(1, "the file is UTF-16 or no text", save),)
    errors = []
    if data.startswith(b"\xef\xbb\xbf"):
        errors.append(RunError(1, "a byte order mark stands before the first id", f"{save} without byte order mark"))
        data = data[3:]
    lines = re.split(rb"\r\n|\n|\r", data)
    if not lines[-1]:
        lines.pop()
    if b"\r" in data:
        number = data[: data.index(b"\r")].count(b"\n") + 1
        errors.append(RunError(number, "the line end of Windows (CR LF)", "end every line with LF alone"))

    labels: dict[str, int] = {}
    seen: dict[str, int] = {}
    known = None if ids is None else set(ids)
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            errors.append(RunError(number, "bytes that are not UTF-8", save))
            continue
        name, label, faults = _row(line, edition, first=number == 1, known=known)
        if name is not None:
            if name in seen:
                faults.append((f"id {name!r} stands on line {seen[name]} already", "keep one of them"))
            elif known is not None and name not in known:
                faults.append((f"unknown id {name!r}", "remove the line or correct the id"))
            seen.setdefault(name, number)
            if label is not None:
                labels.setdefault(name, label)
        errors.extend(RunError(number, *fault) for fault in faults)
    errors.sort(key=lambda error: error.line or 0)
    errors.extend(
        RunError(None, f"id {name!r} is missing", "add a line for it") for name in ids or () if name not in seen
    )
    return labels, tuple(errors)


def _row(
    line: str, edition: int, *, first: bool, known: set[str] | None
) -> tuple[str | None, int | None, list[tuple[str, str]]]:
    """Return id, label and faults of one line; no id where the line cannot be that of an image."""
    if not line.strip():
        return None, None, [("empty line", "remove it")]
    faults = []
    if re.search("[\"']", line):
        faults.append(("quotes", "write id and label without quotes"))
        line = re.sub("[\"']", "", line)
    columns = line.split(",")
    if len(columns) != 2:
        other = next((mark for mark in ";\t|" if len(line.split(mark)) == 2), None)
        if len(columns) > 1 or other is None:
            faults.append((f"{len(columns)} columns", "write two, the id and 0 or 1, with one comma between"))
            name = columns[0].strip()
            # the line still speaks of this image, so that the image is not missing as well
            return (name if name in (known or ()) else None), None, faults
        faults.append((f"columns parted by {other!r}", "part them by a comma"))
        columns = line.split(other)
    name, label = (column.strip() for column in columns)
    if [name, label] != columns:
        faults.append(("space around id or label", "remove it"))
    stem = name.removesuffix(_extension(name))
    strange = re.search(r"\d", name) is None if known is None else known.isdisjoint((name, stem))
    if first and strange and not re.search(r"\d", label):
        return None, None, [*faults, ("header", "remove it; the first line is that of an image")]
    if not name:
        return None, None, [*faults, ("no id", "write the id before the comma")]
    if edition != 2025 and stem != name:
        if edition == 2023:
            faults.append((f"id {name!r} carries an extension", f"write {stem!r}; ids of 2023 have none"))
        name = stem
    elif edition == 2025 and stem == name:
        faults.append((f"id {name!r} has no extension", f"write {name + '.png'!r}; ids of 2025 carry it"))
        name = next((full for full in known or () if full.removesuffix(_extension(full)) == name), name)
    if label not in ("0", "1"):
        return name, None, [*faults, (f"label {label!r}", "write 0 (not used) or 1 (used)")]
    return name, int(label), faults
