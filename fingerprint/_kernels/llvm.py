# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""What kernels say in LLVM since Numba has no words for it: vectors of 16 numbers, and the tile registers.

The caches of compiled kernels do not notice an edit of this file: delete them after one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, runs

if TYPE_CHECKING:
    from collections.abc import Iterable

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
SUMS, REALS = ir.VectorType(I32, 16), ir.VectorType(F32, 16)


def const(value: int) -> Any:  # pragma: no cover  (emits LLVM)
    return ir.Constant(I64, value)


def read(builder: Any, address: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def write(builder: Any, value: Any, address: Any) -> None:  # pragma: no cover  (emits LLVM)
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 1


def prefetch(builder: Any, address: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Ask for a cache line to be brought to the second-level cache; it need not exist."""
    reading, level, data = ir.Constant(I32, 0), ir.Constant(I32, 2), ir.Constant(I32, 1)
    call(builder, "llvm.prefetch.p0", [builder.inttoptr(address, I8.as_pointer()), reading, level, data])


def lanes(numbers: Iterable[int]) -> Any:  # pragma: no cover  (emits LLVM)
    """Say which lanes a shuffle takes."""
    chosen = list(numbers)
    return ir.Constant(ir.VectorType(I32, len(chosen)), chosen)


def constant(kind: Any, value: float) -> Any:  # pragma: no cover  (emits LLVM)
    """Put a number known beforehand into every lane of a vector."""
    return ir.Constant(kind, [value] * kind.count)


def splat(builder: Any, value: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Put a number into every lane of a vector."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, nothing, lanes([0] * kind.count))


def _halves(builder: Any, emit: Any, *vectors: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Do to the first and to the last eight of 16 numbers what a processor cannot do to all at once."""
    found = []
    for first in (0, 8):
        half = lanes(range(first, first + 8))
        found.append(emit(*(builder.shuffle_vector(vector, vector, half) for vector in vectors)))
    return builder.shuffle_vector(*found, lanes(range(16)))


def add_products_of_bytes(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Add to each of 16 sums four products of uint8 in x and int8 in y."""
    if runs("avx512"):
        return call(builder, "llvm.x86.avx512.vpdpbusd.512", [total, x, y], SUMS)
    eight, words = ir.VectorType(I32, 8), ir.VectorType(I16, 16)
    if runs("avxvnni"):
        return _halves(
            builder, lambda *three: call(builder, "llvm.x86.avx512.vpdpbusd.256", [*three], eight), total, x, y
        )
    byte, even, odd = constant(words, 8), constant(eight, 0xFF00FF), constant(eight, 8)

    def add(total: Any, x: Any, y: Any) -> Any:
        # every other byte as 16 bits: those of x without, those of y with their sign
        signed = builder.bitcast(y, words)
        pairs = (
            (builder.and_(x, even), builder.ashr(builder.shl(signed, byte), byte)),
            (builder.and_(builder.lshr(x, odd), even), builder.ashr(signed, byte)),
        )
        for a, b in pairs:
            two = [builder.bitcast(a, words), b]
            total = builder.add(total, call(builder, "llvm.x86.avx2.pmadd.wd", two, eight))
        return total

    return _halves(builder, add, total, x, y)


def add_products_of_words(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Add to each of 16 sums two products of int16 in x and y."""
    if runs("avx512"):
        return call(builder, "llvm.x86.avx512.vpdpwssd.512", [total, x, y], SUMS)
    eight, words = ir.VectorType(I32, 8), ir.VectorType(I16, 16)

    def add(total: Any, x: Any, y: Any) -> Any:
        two = [builder.bitcast(x, words), builder.bitcast(y, words)]
        return builder.add(total, call(builder, "llvm.x86.avx2.pmadd.wd", two, eight))

    return _halves(builder, add, total, x, y)


def pair_of(builder: Any, index: Any, count: Any) -> tuple[Any, Any, Any]:  # pragma: no cover  (emits LLVM)
    """Return 2 * index, the number after it, or the same where it is the last of `count`, and whether it is."""
    first = builder.mul(index, const(2))
    second = builder.add(first, const(1))
    alone = builder.icmp_signed("==", second, count)
    return first, builder.select(alone, first, second), alone


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


@intrinsic  # type: ignore[untyped-decorator]
def lay_windows(
    typing: Any,
    source: Any,
    stride: Any,
    down: Any,
    right: Any,
    rows: Any,
    columns: Any,
    side: Any,
    target: Any,
    row: Any,
) -> Any:
    """Copy the words of side * side windows out of a map of words, whose rows lie `stride` bytes apart.

    A window has rows * columns words, each `down` rows or `right` words from the last; `source` is the address of the
    first word of the first window. Each of these words, of one window after the other, makes a row at `target`, `row`
    bytes apart. Words are copied 16 at a time, also beyond the last, and so are more than 16 windows side by side: the
    leftmost in the last call.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        source, stride, down, right, rows, columns, side, target, row = arguments
        step = builder.mul(side, const(4))
        with cgutils.for_range(builder, rows) as r, cgutils.for_range(builder, columns) as c:
            top = builder.mul(builder.mul(r.index, down), stride)
            start = builder.add(source, builder.add(top, builder.mul(builder.mul(c.index, right), const(4))))
            line = builder.add(target, builder.mul(row, builder.add(builder.mul(r.index, columns), c.index)))
            with cgutils.for_range(builder, side) as d:
                value = read(builder, builder.add(start, builder.mul(stride, d.index)), SUMS)
                write(builder, value, builder.add(line, builder.mul(step, d.index)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), generate
