"""Values that cannot change: compared and hashed by what they hold, whatever that is, and safe to pickle and copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Frozen:
    """A dataclass whose arrays and mappings are read-only.

    Two are equal where they are of one type and hold the same, arrays bit for bit. Fields with ``compare=False`` do not
    count. Neither a comparison nor a hash raises an exception.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same."""
        return _key(self) == _key(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """Return the same number for all that hold the same."""
        return hash(_key(self))

    def __reduce__(self) -> tuple[object, ...]:
        # through the constructor, as read-only mappings cannot be pickled and arrays are writeable again afterwards
        return _restored, (type(self), {field.name: _thawed(getattr(self, field.name)) for field in fields(self)})


def _frozen(value: Any) -> Any:
    """Return a value that cannot be changed from outside; arrays are not copied."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    return {key: _thawed(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _restored(cls: type, values: dict[str, object]) -> object:
    return cls(**values)


def _key(value: Any) -> Any:
    """Return something hashable that is equal for equal contents; what is not a number equals itself."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        held = (_key(getattr(value, field.name)) for field in fields(value) if field.compare)
        return type(value), *held
    if isinstance(value, Mapping):
        return frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    return "nan" if value != value else value
