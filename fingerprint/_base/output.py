"""What all results have in common where people read them, and where they are written as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from os import PathLike


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # what a spreadsheet computes, or drops, at the start of a text


def write(text: str, path: str | PathLike[str] | None) -> str:
    """Return the text, and write it to `path` where given, the same bytes on every system; see `replaced`.

    Characters that UTF-8 has not, of names that were none, are escaped.
    """
    if path is not None:
        with replaced(path) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    return text


@contextmanager
def replaced(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file to write what is to stand at `path`.

    It is written beside the file and renamed, so that a full disk or a killed process leaves the old file as it was.
    """
    target = Path(path).resolve()
    special = target.exists() and not target.is_file()  # such as a pipe, which cannot be renamed over
    written = target if special else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with written.open("wb") as file:
            yield file
            file.flush()
            if not special:
                os.fsync(file.fileno())
        if not special:
            written.replace(target)
        logging.getLogger("fingerprint").info("wrote %s", printable(str(target)))
    except BaseException:
        if not special:
            written.unlink(missing_ok=True)
        raise


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]], path: str | PathLike[str] | None) -> str:
    """Return rows under a header as CSV, and write them to `path` where given.

    A text that a spreadsheet would compute, such as ``=1+1``, gets an apostrophe before it; `from_cell` takes it off.
    """
    text = io.StringIO()
    minimal = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # of a carriage return, the other thinks not
    for row in chain([header], rows):
        cells = [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row]
        writer = quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else minimal
        writer.writerow(cells)
    return write(text.getvalue(), path)


def from_cell(cell: str) -> str:
    """Return a text as it was before `write_csv` made it harmless for spreadsheets.

    Examples
    --------
    >>> from_cell("'=1+1"), from_cell("a'b")
    ('=1+1', "a'b")
    """
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def printable(text: str) -> str:
    r"""Return a text from outside in one line: control characters are escaped, so that none reaches a terminal.

    Examples
    --------
    >>> printable("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def write_json(content: Mapping[str, object], path: str | PathLike[str] | None) -> str:
    """Return named contents, made plain, as JSON, and write them likewise."""
    return write(json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)


def plain(value: Any) -> Any:
    """Return a value in the types of JSON.

    Dataclasses, named tuples and mappings become objects, a dataclass without what its comparison leaves out. Arrays
    and sequences become lists, and numbers that are not finite None, as JSON knows no others.

    Parameters
    ----------
    value : object
        Whatever a result holds.

    Returns
    -------
    dict, list, str, int, float, bool or None
        What stands for it; text for what has no type in JSON, such as a path.

    Examples
    --------
    >>> plain({"scores": (1.5, float("nan")), "file": Path("a.png")})
    {'scores': [1.5, None], 'file': 'a.png'}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value) if field.compare}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
