"""Kernels compiled before a call comes to them, by several processes: in one, Numba compiles one at a time.

Another process begins in a second. It asks for kernels, the last that the call will need first, and leaves them in the
files of the cache; where it dies or cannot be begun, they are compiled at their first use. It ends as soon as nobody
holds the other end of its input, which is so when the process that began it ends, however that happens.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from collections import deque
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

import numba
from numba.types import Array, UniTuple, boolean, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32

from fingerprint._kernels import compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FEW = 4  # kernels that are compiled sooner than another process begins
_PATIENCE = 10.0  # seconds, for the last kernel of a process
_MOST = 4  # processes: a fifth would be waiting for the longest kernel

_BYTES, _WORDS = (Array(kind, 3, "C", readonly=True) for kind in (uint8, uint16))  # pixels
_I1, _I2, _F1, _F2 = int64[::1], int64[:, ::1], float64[::1], float64[:, ::1]
_LAID = uint32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1]

# what a comparison of whole images needs, in this order; of images of 8 bits, too; of patches, too
_IMAGES = (
    ("packing.moments", _WORDS, _I1, _I1, int64, int64, _I2, _I2, _I1, _I1),
    ("packing.pack", _WORDS, _I1, _I1, _I1, _I1, int64, int64, int16[:, :, :, ::1]),
    ("packing.transpose", uint32[:, :, :, ::1], uint32, uint32[:, :, :, ::1]),
    ("gaps.outer", _I1, _I1, _I1, _I1, _I2),
    ("gaps.share", _I2, _I1, int64[:, :, ::1]),
    ("gaps.correlation", _I2, _I2, _I2, int64, _F2, int64, int64),
    ("dot_products.dot16", *[int16[:, :, :, ::1]] * 2, int64, int64, int64, int32[:, ::1], _I2),
    ("whitening.invert", _F2),
    ("whitening.multiply", _F2, _F2, _F2),
    ("whitening.centre", _F2, _I1, _F1, float64, _F2, _F1),
    ("whitening.project", _F2, _F2, _F1),
    ("whitening.cosines", _F2, _F2, _F1, _F1, float64, _F2),
)
_OF_BYTES = (
    ("packing.pack", _BYTES, _I1, _I1, _I1, _I1, int64, int64, uint8[:, :, :, ::1]),
    ("packing.byte_moments", uint8[:, :, :, ::1], _I1, int64, int64, _I2, _I2),
    ("dot_products.dot", uint8[:, :, :, ::1], int8[:, :, :, ::1], int64, int64, int32[:, ::1], _I2),
)


def _of_patches(pixels: Any) -> tuple[Any, ...]:
    quarters, means, above = uint32[:, :, :, :, ::1], float32[:, :, :, ::1], int32[:, :, ::1]
    room, work = uint32[:, :, :, ::1], int32[:, :, :, ::1]
    sides = float32[:, :, ::1], int32[:, :, ::1], float32
    rows = uint32[:, :, :, ::1], float32[:, :, ::1], float32[:, :, ::1], int32[:, :, ::1], float32
    place = UniTuple(int64, 4), int64, int64
    return (
        ("patch_windows.reduce", pixels, int64, int64, uint8[:, :, ::1]),
        ("patch_windows.lay_out", uint8[:, :, ::1], int64, int64, *_LAID),
        ("patch_gains.best_products", *_LAID, *place, quarters, means, above, float32[:, :, :, :, ::1]),
        ("patch_gains.sum_gains", *_LAID, _I2, int64, boolean, quarters, means, *sides, int32[::1], above, means, work),
        ("patch_gains.sum_gains_of", *_LAID, *place, boolean, int64[:, :, ::1], *rows, above, room, means, work),
    )


def _needed(wide: bool, patches: bool) -> tuple[tuple[Any, ...], ...]:
    """Return the kernels of a call, with the types of their arguments, in the order in which it comes to them."""
    pixels = _WORDS if wide else _BYTES
    reduced = (("packing.sum_squares", pixels, int64, int64, uint16[:, :, ::1]),)
    return reduced + (() if wide else _OF_BYTES) + _IMAGES + (_of_patches(pixels) if patches else ())


def compile_ahead(wide: bool, patches: bool, *, processes: int, bar: Callable[..., Any]) -> None:
    """Compile what the comparison of whole images, and of patches, will need; nothing where only a few are missing.

    Parameters
    ----------
    wide : bool
        Whether pixels have 16 bits.
    patches : bool
        Whether patches are compared.
    processes : int
        How many there may be, this one included.
    bar : callable
        With `total` returns a context, which gives a function that is called with 1 for each kernel.
    """
    if not compiler.compiles():
        return
    _compile_ahead(wide, patches, processes, bar)  # pragma: no cover  (not without a compiler)


def _compile_ahead(  # pragma: no cover  (not without a compiler)
    wide: bool, patches: bool, processes: int, bar: Callable[..., Any]
) -> None:
    kernels = _needed(wide, patches)
    left = deque(n for n, (name, *types) in enumerate(kernels) if not compiler.held(_kernel(name), tuple(types)))
    if len(left) < _FEW:
        return

    def work(take: Callable[[], int], compile_one: Callable[[int], bool]) -> None:
        with contextlib.suppress(IndexError):  # none is left
            while True:
                number = take()
                if not compile_one(number):
                    left.append(number)  # for this process, should it still be compiling
                    return
                advance(1)

    with bar(total=len(left)) as advance, contextlib.ExitStack() as stack:
        waiting = []
        for process in _begun(f"{wide}, {patches}", min(processes, _MOST) - 1):
            stack.enter_context(process)
            stack.callback(process.kill)
            thread = Thread(target=work, args=(left.pop, partial(_sent, process)), daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread can be started
                thread.start()
                waiting.append(thread)
        work(left.popleft, lambda number: _compile(kernels[number]))
        for thread in waiting:
            thread.join(_PATIENCE)


def _kernel(name: str) -> Any:  # pragma: no cover  (not without a compiler)
    file, _, kernel = name.partition(".")
    return getattr(importlib.import_module(f"fingerprint._kernels.{file}"), kernel)


def _compile(kernel: Sequence[Any]) -> bool:  # pragma: no cover  (not without a compiler)
    name, *types = kernel
    _kernel(name).compile(tuple(types))
    return True


def _begun(arguments: str, most: int) -> Iterator[subprocess.Popen[bytes]]:  # pragma: no cover  (begins processes)
    """Yield processes that call `serve`, none where this is one of many or no program that runs Python."""
    program = Path(sys.executable or "").stem.lower()
    if parent_process() is not None or getattr(sys, "frozen", False) or not program.startswith("python"):
        return
    path = [str(folder) for folder in sys.path]
    code = f"import sys; sys.path[:] = {path!r}; from fingerprint._kernels import ahead; ahead.serve({arguments})"
    settings = {"NUMBA_CACHE_DIR": numba.config.CACHE_DIR} if numba.config.CACHE_DIR else {}
    for _ in range(most):
        with contextlib.suppress(OSError):
            yield subprocess.Popen(
                [sys.executable, "-c", code],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | settings,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )


def _sent(process: Any, number: int) -> bool:  # pragma: no cover  (begins processes)
    """Let a process compile a kernel, and return whether it did."""
    with contextlib.suppress(OSError, ValueError):  # it ended, or this call did
        process.stdin.write(b"%d\n" % number)
        return bool(process.stdout.readline())
    return False


def serve(wide: bool, patches: bool) -> None:  # pragma: no cover  (runs in a process of its own)
    """Compile the kernels whose numbers come in, and answer each by a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts are for the process that began this one
    kernels, numbers = _needed(wide, patches), SimpleQueue[int]()

    def listen() -> None:
        for line in sys.stdin.buffer:
            numbers.put(int(line))
        os._exit(0)

    Thread(target=listen, daemon=True).start()
    while True:
        _compile(kernels[numbers.get()])
        os.write(1, b"\n")
