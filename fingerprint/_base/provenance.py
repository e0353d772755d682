"""Provenance: when, by which version, from what and how a result was made, so that it can be made again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from fingerprint._base import display
from fingerprint._base.checks import InputError
from fingerprint._base.frozen import Frozen
from fingerprint._base.output import plain
from fingerprint._base.public import public
from fingerprint._base.version import __version__

P = ParamSpec("P")
R = TypeVar("R")

_SOURCES = {
    *("real", "fake", "reference", "population", "control", "used", "unused", "fake_a", "fake_b", "training_sets"),
    *("development", "test"),
    *("used_scores", "unused_scores", "truth", "predicted_or_scores"),
}
_URL = re.compile(r"[a-z][a-z0-9+.-]+(://|::)", re.IGNORECASE)  # of two letters: `c:` is a drive
_WITHOUT_EFFECT = {"block", "threads", "executor", "checkpoint", "progress"}  # on the result


@public
@dataclass(frozen=True, eq=False, repr=False)
class Provenance(Frozen):
    """When, by which version, from what and how a result was made.

    Parameters
    ----------
    version : str
        Of this library.
    date : str
        Time in UTC at which the work began, ISO 8601. The environment variable ``SOURCE_DATE_EPOCH``, in seconds since
        1970, takes its place where it is set: the same input then gives the same bytes.
    sources : mapping
        Each source by the name of its argument: a path or list of paths as given, the number of images of an array or
        of `fingerprint.Slices`, None for an iterator.
    settings : mapping
        All other arguments that have an effect on the result, also those left at their default; of a method, its
        object too, by the name of its class in lower case.
    """

    version: str
    date: str
    sources: Mapping[str, Any]
    settings: Mapping[str, Any]

    def also(self, **settings: object) -> Provenance:
        """Return the same with further settings."""
        return replace(self, settings={**self.settings, **settings})

    def __repr__(self) -> str:
        given = ", ".join(name for name, source in self.sources.items() if source is not None)
        return f"<Provenance: version {self.version}, {self.date}, {given}>"

    def _repr_html_(self) -> str:
        return display.facts(self, {**self.sources, **self.settings})


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that returns a result record its arguments in `Result.provenance`.

    Parameters
    ----------
    function : callable
        Its sources are told from its settings by their names.

    Returns
    -------
    callable
        The same, with a provenance.
    """
    parameters = signature(function)

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        date = now()
        result: Any = function(*args, **kwargs)
        bound = parameters.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if name not in _WITHOUT_EFFECT}
        if "self" in given:
            given = {type(given["self"]).__name__.lower(): given.pop("self"), **given}
        sources = {name: _source(value) for name, value in given.items() if name in _SOURCES}
        settings = {name: _setting(name, value) for name, value in given.items() if name not in _SOURCES}
        made: R = replace(result, provenance=Provenance(__version__, date, sources, settings))
        return made

    return wrapper


def is_url(path: str) -> bool:
    """Say whether a path is the URL of a store."""
    return _URL.match(path) is not None


def names_url(source: object) -> bool:
    """Say whether a recorded source names a URL: of a file by strangers, it must not be opened."""
    if isinstance(source, list | tuple):
        return any(map(names_url, source))
    return isinstance(source, str) and is_url(source)


def now() -> str:
    """Return the time in UTC to the second, or that of ``SOURCE_DATE_EPOCH`` where it is set."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        time = datetime.now(UTC) if fixed is None else datetime.fromtimestamp(int(fixed), UTC)
    except (OSError, OverflowError, ValueError):
        raise InputError(
            f"SOURCE_DATE_EPOCH: expected seconds since 1970, got {fixed!r}; correct or unset it"
        ) from None
    return time.isoformat(timespec="seconds")


def _source(value: Any) -> object:
    """Return a source as it was given, or how many images it has where it is no path."""
    if value is None or isinstance(value, (str, os.PathLike)):
        return None if value is None else os.fspath(value)
    if hasattr(value, "provenance"):  # a Summary: what it was made of
        return None if value.provenance is None else value.provenance.sources["fake"]
    if isinstance(value, (list, tuple)):
        return [_source(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _source(item) for name, item in value.items()}
    return len(value) if hasattr(value, "__len__") else None


def _setting(name: str, value: Any) -> object:
    if hasattr(value, "provenance"):  # the result that a method belongs to
        return value.to_dict()
    if callable(value):
        return f"<function {getattr(value, '__qualname__', type(value).__name__)}>"
    if name == "groups" and not (value is None or isinstance(value, str)):  # a patient may be whatever has a text
        return plain({k: str(v) for k, v in value.items()} if isinstance(value, Mapping) else list(map(str, value)))
    return plain(value)
