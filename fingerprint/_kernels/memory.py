"""Memory as vector instructions take it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array


def aligned(shape: Sequence[int], dtype: Any) -> Array:
    """Return zeros that begin on a cache line, so that no vector spans two."""
    result = unset(shape, dtype)
    result[...] = 0
    return result


def unset(shape: Sequence[int], dtype: Any) -> Array:
    """Like `aligned`, for arrays that are then written throughout."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    result: Array = memory[start : start + size].view(dtype).reshape(shape)
    return result


class Workspace(threading.local):
    """Arrays that a thread fills anew for block after block: fresh memory costs more than what it is filled with."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return this thread's array of this name, with whatever it holds; its first rows where it was longer."""
        found = self._arrays.get(name)
        if found is None or found.dtype != dtype or found.shape[1:] != shape[1:] or len(found) < shape[0]:
            found = self._arrays[name] = aligned(shape, dtype)
        return found[: shape[0]]


def unwritable(array: Array) -> Array:
    """Return a view that cannot be written to: kernels are compiled once for images that can and that cannot."""
    view = array.view()
    view.flags.writeable = False
    return view
