"""How functions are compiled, and which of them this machine runs; what every kernel file shares."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NEEDS = {
    "amx": {"amx-tile", "amx-int8"},
    "avx512": {"avx512f", "avx512bw", "avx512vnni"},
    "avxvnni": {"avx2", "avxvnni"},
    "avx2": {"avx2"},
    "vectors": {"avx2", "fma"},  # whichever of the above there are, chosen as LLVM is emitted
    "portable": {"compiler"},
    "numpy": set(),
}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL and with a cache; where no folder for the cache can be written, without one."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


def call(builder: Any, name: str, arguments: list[Any], result: Any = None) -> Any:  # pragma: no cover
    """Emit a call of an LLVM intrinsic."""
    kind = ir.FunctionType(result or ir.VoidType(), [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def available(kernels: Iterable[str]) -> list[str]:
    """Return the names of the kernels that run here, the fastest first as they are given; at least the last."""
    names = list(kernels)
    return [name for name in names if runs(name)] or names[-1:]


def runs(name: str) -> bool:
    """Return whether kernels of this name run here."""
    return NEEDS[name] <= _features() and (name != "amx" or _permits_amx())


@functools.cache
def _features() -> frozenset[str]:
    """Return what numba compiles for: the features of this processor, or those that the user restricts it to."""
    if numba.config.DISABLE_JIT:
        return frozenset()
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return frozenset(["compiler", *(name[1:] for name in features if name.startswith("+"))])


@functools.cache
def _permits_amx() -> bool:
    """Ask Linux for the tile registers, which a process may use only after it has asked; children inherit the leave."""
    if sys.platform != "linux":
        return False
    arch_prctl, request, tile_data = 158, 0x1023, 18
    return int(ctypes.CDLL(None).syscall(arch_prctl, request, tile_data)) == 0
