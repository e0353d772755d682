# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""What kernels say in LLVM since Numba has no words for it: vectors of 16 numbers, and the tile registers.

The caches of compiled kernels do not notice an edit of this file: delete them after one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fingerprint._compiler import call

I8, I32, I64, F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
SUMS, REALS = ir.VectorType(I32, 16), ir.VectorType(F32, 16)


def const(value: int) -> Any:  # pragma: no cover  (emits LLVM)
    return ir.Constant(I64, value)


def read(builder: Any, address: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def write(builder: Any, value: Any, address: Any) -> None:  # pragma: no cover  (emits LLVM)
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 1


def splat(builder: Any, value: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(SUMS, [0] * 16))


@intrinsic  # type: ignore[untyped-decorator]
def amx_begin(typing: Any, layout: Any) -> Any:
    """Shape the tile registers as the 64 bytes at the address `layout` say."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.ldtilecfg", [builder.inttoptr(arguments[0], I8.as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def amx_end(typing: Any) -> Any:
    """Give the tile registers back."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.tilerelease", [])
        return context.get_dummy_value()

    return types.void(), generate
