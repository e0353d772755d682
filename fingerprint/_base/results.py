"""What all results have in common: how they are shown, compared, copied, and written as table and as JSON."""

from __future__ import annotations

import textwrap
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, overload

from fingerprint._base import checks, display, output, texts
from fingerprint._base.checks import InputError
from fingerprint._base.frozen import Frozen
from fingerprint._base.provenance import Provenance

if TYPE_CHECKING:
    from os import PathLike


Table: TypeAlias = "tuple[list[str], Iterable[Sequence[object]]]"  # columns, rows
RowT = TypeVar("RowT")
T = TypeVar("T", bound="Result")

_LINES, _WIDTH = 14, 100  # of a repr
_ORIGIN = ("version", "date", "sources", "settings")


@dataclass(frozen=True, eq=False, repr=False)
class Result(Frozen):
    """Base of all results.

    Parameters
    ----------
    provenance : Provenance, optional
        When, by which version, from what and how it was made. Not compared.
    """

    schema: ClassVar[int] = 1  # of the JSON; counts up when a reader of the last one would fail
    _derived: ClassVar[tuple[str, ...]] = ()  # properties that stand in the JSON too

    provenance: Provenance | None = field(default=None, kw_only=True, compare=False)

    def __repr__(self) -> str:
        lines = [
            part for line in f"{type(self).__name__}: {self}".splitlines() for part in _wrapped(output.printable(line))
        ]
        return "\n".join(lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "…"])

    def _repr_html_(self) -> str:
        return display.table(str(self), *self.table())

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Write the main numbers as CSV.

        Parameters
        ----------
        path : path, optional
            File to write.

        Returns
        -------
        str
            What was, or would have been, written: a header, then the rows of `to_frame`. Yes and no are 1 and 0; what
            is not known is empty.
        """
        columns, rows = self.table()
        plain = ([int(value) if isinstance(value, bool) else value for value in row] for row in rows)
        return output.write_csv(columns, plain, path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Write everything as JSON.

        Parameters
        ----------
        path : path, optional
            File to write.

        Returns
        -------
        str
            What was, or would have been, written: `to_dict`.
        """
        return output.write_json(self.to_dict(), path)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in the types of JSON.

        Returns
        -------
        dict
            First ``format``, ``schema``, and what stands in `provenance`: ``version``, ``date``, ``sources`` and
            ``settings``. Then what the result holds. What is not defined, or infinite, is None.
        """
        made = dict.fromkeys(_ORIGIN) if self.provenance is None else output.plain(self.provenance)
        head = {"format": f"fingerprint {type(self).__name__}", "schema": self.schema}
        content: dict[str, Any] = output.plain(self._content())
        return head | made | content

    def to_frame(self) -> Any:
        """Return the main numbers as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            The columns and rows of `to_csv`.

        Raises
        ------
        InputError
            Without pandas.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise InputError("to_frame: needs pandas; pip install pandas") from None
        columns, rows = self.table()
        return pd.DataFrame([list(row) for row in rows], columns=columns)

    def _content(self) -> dict[str, object]:
        """Return what stands in the JSON."""
        held = {one.name: getattr(self, one.name) for one in fields(self) if one.compare}
        return held | {name: getattr(self, name) for name in self._derived}

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        rows: list[list[object]] = []
        for one in fields(self):
            value = getattr(self, one.name)
            if hasattr(value, "low"):
                rows.append([one.name, *value])
            elif isinstance(value, (int, float)):
                rows.append([one.name, value, None, None])
        return ["quantity", "value", "low", "high"], rows


@dataclass(frozen=True, eq=False, repr=False)
class ListResult(Result, Sequence[RowT]):
    """Base of results that are lists.

    ``len(result)``, ``result[0]``, ``result[-1]``, ``for row in result``; ``result[:5]`` is a list of rows, and
    ``"name" in result`` tells whether there is an image of this name.
    """

    _row_type: ClassVar[Any]  # a named tuple
    _by_row: ClassVar[tuple[str, ...]] = ()  # fields that the rows hold, so that they stand in the JSON once

    names: tuple[str, ...]

    @abstractmethod
    def _row(self, i: int) -> RowT:
        """Return the row at a position of at least 0."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> RowT: ...
    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...
    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        """Return the row at a position, from 0; or a list of rows."""
        if isinstance(index, slice):
            return [self._row(i) for i in range(len(self))[index]]
        return self._row(range(len(self))[index])

    def __iter__(self) -> Iterator[RowT]:
        """Iterate over the rows."""
        return map(self._row, range(len(self)))

    def __contains__(self, name: object) -> bool:
        """Return whether there is a row of this name."""
        return name in self.names

    def _content(self) -> dict[str, object]:
        return {k: v for k, v in super()._content().items() if k not in self._by_row} | {"rows": list(self)}

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        rows: Iterable[Any] = self
        return list(self._row_type._fields), rows


def read(kind: type[T], path: str | PathLike[str], restore: Callable[[dict[str, Any]], T]) -> T:
    """Read a result that `Result.to_json` wrote.

    Parameters
    ----------
    kind : type
        Of the result.
    path : path or str
        The file, or the JSON itself.
    restore : callable
        Makes the result of the content of the file; without its provenance.

    Returns
    -------
    Result
        As it was written.

    Raises
    ------
    InputError
        If the file does not exist, or is no complete result of this type and schema: what is read has to be written
        again as it was.
    """
    wanted = f"fingerprint {kind.__name__}"
    shown = textwrap.shorten(str(path), 80)
    try:
        content = texts.parsed(path if isinstance(path, str) and path.lstrip().startswith("{") else texts.read(path))
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"path: expected what {kind.__name__}.to_json wrote, got {shown}: {error}") from None
    claimed = (content.get("format"), content.get("schema")) if isinstance(content, dict) else (None, None)
    if claimed != (wanted, kind.schema) or claimed[1] is True:
        raise InputError(
            f"path: expected format {wanted!r} of schema {kind.schema}, got {shown} of format "
            f"{checks.shortened(claimed[0])} and schema {checks.shortened(claimed[1])}; make it anew with this version"
        )
    try:
        origin = {name: content[name] for name in _ORIGIN}
        made = None if origin["version"] is None else Provenance(**origin)
        if made is not None and not (isinstance(origin["sources"], dict) and isinstance(origin["settings"], dict)):
            raise InputError("sources and settings are no objects")
        found = replace(restore(content), provenance=made)
        written = found.to_dict()
        if other := sorted(name for name in {*written, *content} if written.get(name) != content.get(name)):
            raise InputError(f"{', '.join(map(checks.shortened, other[:5]))} would be written otherwise")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        why = f"{error}" if isinstance(error, InputError) else f"{type(error).__name__} {error}"[:200]
        raise InputError(f"path: expected a complete {kind.__name__}, got {shown}: {why}") from None
    return found


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH, break_on_hyphens=False) or [""]
