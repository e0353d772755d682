"""Packing: values of known classes as a tree for JSON and arrays beside it, and back; no class is ever looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fingerprint._base.types import Array


def pack(value: Any, arrays: dict[str, Array]) -> Any:
    """Return a value as a tree for JSON; its arrays are added to `arrays`.

    Dataclasses, named tuples, tuples, and mappings from int to str are told apart, so that `unpack` makes them again.
    """
    if isinstance(value, np.ndarray):
        arrays[name := f"{len(arrays)}"] = value
        return {"array": name}
    if isinstance(value, Mapping):
        keys = pack(np.fromiter(value, np.int64, len(value)), arrays)
        return {"keys": keys, "values": [pack(item, arrays) for item in value.values()]}
    if is_dataclass(value) or hasattr(value, "_fields"):
        held = [pack(getattr(value, name), arrays) for name in _fields(type(value))]
        return {"class": type(value).__name__, "fields": held}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, arrays) for item in value]}
    return value


def unpack(tree: Any, arrays: Mapping[str, Array], classes: Iterable[type]) -> Any:
    """Return the value that a tree stands for; raise KeyError, TypeError or ValueError where it stands for none.

    Only `classes` are made; where one has a property `sound`, it says whether what was read goes together.
    """
    if not isinstance(tree, dict):
        if isinstance(tree, list):
            raise TypeError("a list where none stands")
        return tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "keys" in tree:
        keys = unpack(tree["keys"], arrays, classes).tolist()
        return dict(zip(keys, (unpack(item, arrays, classes) for item in tree["values"]), strict=True))
    held = tuple(unpack(item, arrays, classes) for item in tree["tuple" if "tuple" in tree else "fields"])
    if "tuple" in tree:
        return held
    cls = {each.__name__: each for each in classes}[tree["class"]]
    made = cls(**dict(zip(_fields(cls), held, strict=True)))
    if hasattr(cls, "sound") and not made.sound:
        raise ValueError(f"parts of a {cls.__name__} that do not go together")
    return made


def like(value: Any, model: Any) -> bool:
    """Return whether a value has the classes, types and axes of a model: a tuple that is not empty there is the same.

    The last axis of an array may have any length where it has none there, and unsigned integers any width.
    """
    if type(value) is not type(model):
        return False
    if isinstance(value, np.ndarray):
        same = value.dtype == model.dtype or value.dtype.kind == model.dtype.kind == "u"
        if not same or value.ndim != model.ndim or value.shape[:-1] != model.shape[:-1]:
            return False
        return value.shape == model.shape or not model.shape[-1]
    if isinstance(value, tuple):
        return not model or repr(value) == repr(model)  # arrays, which may stand there too, have no single truth
    if is_dataclass(value):
        return all(like(getattr(value, name), getattr(model, name)) for name in _fields(type(value)))
    return True


def _fields(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else cls._fields
