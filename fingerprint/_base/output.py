"""What all results have in common where people read them, and where they are written as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
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
    """Return named contents as JSON, dataclasses and read-only mappings as objects, and write them likewise."""
    return write(json.dumps(content, indent=1, ensure_ascii=False, default=_object) + "\n", path)


def write_measures_json(result: Any, path: str | PathLike[str] | None, **derived: object) -> str:
    """Return a dataclass of measures and what is derived from them as JSON, and write it likewise.

    Named tuples become objects; numbers that are not finite become null, as JSON knows no others.
    """
    return write(json.dumps(_plain({**asdict(result), **derived}), indent=2, allow_nan=False) + "\n", path)


def _object(value: Any) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else asdict(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
