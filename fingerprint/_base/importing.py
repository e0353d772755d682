"""Imports of large libraries, which an interrupt must not leave half done."""

from __future__ import annotations

import contextlib
import importlib
import sys
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def whole(name: str) -> Any:
    """Return a module, imported by a thread of its own where it is not there yet.

    An interrupt is raised in the main thread. An import that it ended there would leave modules of numba or scipy
    behind without the package that they belong to, and every later call would fail.
    """
    if name not in sys.modules:
        in_thread(lambda: importlib.import_module(name))
    return importlib.import_module(name)  # waits for the thread of an interrupted call


def in_thread(prepare: Callable[[], object]) -> None:
    """Call what may fail in a thread, where no interrupt is raised, and wait."""

    def attempt() -> None:
        with contextlib.suppress(Exception):  # raised again where it matters
            prepare()

    with contextlib.suppress(RuntimeError):  # no thread can be started
        thread = Thread(target=attempt, daemon=True)
        thread.start()
        thread.join()
