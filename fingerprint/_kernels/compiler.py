"""How functions are compiled, for which processor, and which form of a kernel runs; what every kernel file shares.

All names of Numba and llvmlite that are not public stand here: `cgutils`, the cache of a kernel, and what is asked of
the target. The bounds of Numba in pyproject.toml are the oldest and the newest version that the tests ran with.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils as cgutils
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

from fingerprint._kernels.cache import KernelFiles, say, stamp

if TYPE_CHECKING:
    from collections.abc import Callable


class KernelCache(FunctionCache):  # type: ignore[misc]  # pragma: no cover  (not without a compiler)
    """Numba's cache of a kernel, in the folder that Numba chooses, with files that `KernelFiles` reads and writes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        source = Path(function.__code__.co_filename)
        name = f"{source.stem}.{function.__name__}"
        self._cache_file = KernelFiles(Path(self.cache_path), name, stamp(source), dumps)

    def holds(self, sig: Any) -> bool:
        """Return whether something of these sources is saved for a signature."""
        return self._cache_file.holds(self._index_key(sig, cpu_target.target_context.codegen()))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save what was compiled for a signature; where that fails, it is compiled again at the next start."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            say(logging.WARNING, f"kernels are compiled at every start: cannot write to {self.cache_path} ({error})")


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL and with a cache; where no folder for the cache can be written, without one."""
    compiled = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    if compiles():  # pragma: no cover  (not without a compiler)
        compiled._compiler.compile = _uncollected(compiled._compiler.compile)  # noqa: SLF001
        with contextlib.suppress(RuntimeError, OSError):
            compiled._cache = KernelCache(function)  # noqa: SLF001
    return compiled  # type: ignore[no-any-return]


def _uncollected(compile_one: Callable[..., Any]) -> Callable[..., Any]:  # pragma: no cover  (not without a compiler)
    """Compile without looking for garbage in between: of millions of objects there is none, and that took a tenth."""

    @functools.wraps(compile_one)
    def uncollected(*arguments: Any) -> Any:
        if not gc.isenabled():
            return compile_one(*arguments)
        gc.disable()
        try:
            return compile_one(*arguments)
        finally:
            gc.enable()

    return uncollected


def held(function: Any, sig: tuple[Any, ...]) -> bool:  # pragma: no cover  (not without a compiler)
    """Return whether a kernel is compiled for a signature, here or on disk; also where no folder takes its files."""
    cache = function._cache  # noqa: SLF001
    return not isinstance(cache, KernelCache) or sig in function.overloads or cache.holds(sig)


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be compiled in the kernels that call it alone, and not on its own as well."""
    return numba.njit(inline="always")(function)  # type: ignore[no-any-return]


def call(builder: Any, name: str, arguments: list[Any], result: Any = None) -> Any:  # pragma: no cover
    """Emit a call of an LLVM intrinsic."""
    kind = ir.FunctionType(result or ir.VoidType(), [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def has(*names: str) -> bool:
    """Return whether code is compiled here, for a processor that has all these features."""
    return features().issuperset(names)


def compiles() -> bool:
    """Return whether kernels are compiled, which Numba can be told not to do."""
    return not numba.config.DISABLE_JIT


def prepare() -> None:
    """Load what Numba leaves to the first function that is compiled; no other thread may see a part of it."""
    if compiles():  # pragma: no cover  (not without a compiler)
        with global_compiler_lock:
            cpu_target.typing_context.refresh()
            cpu_target.target_context.refresh()


def chosen(compiled: Callable[..., Any], interpreted: Callable[..., Any]) -> Callable[..., Any]:
    """Return the form of a kernel that runs here: compiled, or in NumPy where Numba is told not to compile."""
    return compiled if compiles() else interpreted


@functools.cache
def features() -> frozenset[str]:
    """Return what numba compiles for: the family and the features of this processor, or those that the user names.

    Empty where Numba is told not to compile.
    """
    if not compiles():
        return frozenset()
    named = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    family = llvmlite.binding.get_process_triple().partition("-")[0].replace("arm64", "aarch64")
    return frozenset([family, *(name[1:] for name in named if name.startswith("+"))])
