"""Progress: a bar of tqdm, where somebody looks and the work is long."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNSEEN = 2.0  # seconds of work without a bar


@contextmanager
def bar(
    progress: bool | None, *, unit: str, total: int | None = None, phase: str | None = None
) -> Iterator[Callable[[int], object]]:
    """Give a function that advances a progress bar on stderr by a number of units.

    With None there is a bar where somebody looks, in a terminal or a notebook, if the work takes more than two seconds.
    """
    if progress is None and not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        progress = False
    if progress is False:
        yield lambda _: None
        return
    delay = _UNSEEN if progress is None else 0
    with _tqdm()(total=total, unit=unit, file=sys.stderr, desc=phase, delay=delay) as shown:
        yield shown.update


@cache
def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook without ipywidgets the bar is text, which is no fault
        from tqdm.auto import tqdm
    return tqdm
