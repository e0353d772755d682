"""What all results have in common where people read them, and where they are written as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike


def write(text: str, path: str | PathLike[str] | None) -> str:
    """Return the text, and write it to `path` where given, the same bytes on every system."""
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    return text


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]], path: str | PathLike[str] | None) -> str:
    """Return rows under a header as CSV, and write them to `path` where given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return write(text.getvalue(), path)


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
