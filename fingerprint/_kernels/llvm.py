# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""What kernels say in LLVM since Numba has no words for it: vectors of 16 numbers, on every processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, has

if TYPE_CHECKING:
    from collections.abc import Iterable

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
SUMS, REALS = ir.VectorType(I32, 16), ir.VectorType(F32, 16)

# which special instructions are emitted; without any, LLVM makes what the processor has of the general form
X86 = has("x86_64")
AVX2, AVXVNNI, AVX512 = has("avx2"), has("avx2", "avxvnni"), has("avx512f", "avx512bw", "avx512vnni")
DOTPROD, I8MM = has("aarch64", "dotprod"), has("aarch64", "i8mm")
FMA = has("fma") or not X86
BYTES = AVX512 or AVXVNNI or DOTPROD or I8MM  # an instruction multiplies bytes; else they are made words first


def const(value: int) -> Any:  # pragma: no cover  (emits LLVM)
    return ir.Constant(I64, value)


def read(builder: Any, address: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    value = builder.load(_as_pointer(builder, address, kind))
    value.align = 1
    return value


def write(builder: Any, value: Any, address: Any) -> None:  # pragma: no cover  (emits LLVM)
    builder.store(value, _as_pointer(builder, address, value.type)).align = 1


def _as_pointer(builder: Any, address: Any, kind: Any) -> Any:  # pragma: no cover  (emits LLVM)
    cast = builder.bitcast if isinstance(address.type, ir.PointerType) else builder.inttoptr
    return cast(address, kind.as_pointer())


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


def _split(builder: Any, emit: Any, width: int, *vectors: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Do to `width` numbers of vectors at a time what a processor cannot do to all at once."""
    if vectors[0].type.count == width:
        return emit(*vectors)
    parts = []
    for first in range(0, vectors[0].type.count, width):
        taken = lanes(range(first, first + width))
        parts.append(emit(*(builder.shuffle_vector(vector, vector, taken) for vector in vectors)))
    while len(parts) > 1:
        every = lanes(range(2 * parts[0].type.count))
        parts = [builder.shuffle_vector(*two, every) for two in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def add_products_of_bytes(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Add to each sum, int32, four products of uint8 in x and int8 in y."""
    if AVX512:
        return call(builder, "llvm.x86.avx512.vpdpbusd.512", [total, x, y], SUMS)
    if AVXVNNI or I8MM:
        name, width = ("llvm.x86.avx512.vpdpbusd.256", 8) if AVXVNNI else ("llvm.aarch64.neon.usdot.v4i32.v16i8", 4)
        return _split(builder, lambda *three: _dot4(builder, name, *three), width, total, x, y)
    if DOTPROD:  # of two signed numbers: those of x less 128, and 128 times those of y, which is the same for every x
        half, quarter = constant(total.type, 0x80808080), constant(total.type, 0x40404040)
        name, nothing = "llvm.aarch64.neon.sdot.v4i32.v16i8", constant(total.type, 0)

        def signed(*three: Any) -> Any:
            return _dot4(builder, name, *three)

        offset = builder.shl(_split(builder, signed, 4, nothing, quarter, y), constant(total.type, 1))
        return builder.add(_split(builder, signed, 4, total, builder.xor(x, half), y), offset)

    def add(total: Any, x: Any, y: Any) -> Any:
        """Multiply every other byte as 16 bits: those of x without, those of y with their sign."""
        words = ir.VectorType(I16, 2 * total.type.count)
        byte, even, eight = constant(words, 8), constant(total.type, 0xFF00FF), constant(total.type, 8)
        signed_words = builder.bitcast(y, words)
        pairs = (
            (builder.and_(x, even), builder.ashr(builder.shl(signed_words, byte), byte)),
            (builder.and_(builder.lshr(x, eight), even), builder.ashr(signed_words, byte)),
        )
        for a, b in pairs:
            total = builder.add(total, _products_of_words(builder, a, builder.bitcast(b, total.type)))
        return total

    # one register after the other: in all at once, LLVM keeps more than there are
    return _split(builder, add, 8 if AVX2 else 4 if X86 else total.type.count, total, x, y)


def add_products_of_words(builder: Any, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Add to each sum, int32, two products of int16 in x and y."""
    if AVX512 and total.type.count == 16:
        return call(builder, "llvm.x86.avx512.vpdpwssd.512", [total, x, y], total.type)
    return builder.add(total, _products_of_words(builder, x, y))


def _products_of_words(builder: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Return the sums of two products each of int16 in x and y."""
    if X86:
        name, width = ("llvm.x86.avx2.pmadd.wd", 8) if AVX2 else ("llvm.x86.sse2.pmadd.wd", 4)
        words, sums = ir.VectorType(I16, 2 * width), ir.VectorType(I32, width)
        return _split(
            builder, lambda *two: call(builder, name, [builder.bitcast(v, words) for v in two], sums), width, x, y
        )
    half = constant(x.type, 16)
    low = (builder.ashr(builder.shl(side, half), half) for side in (x, y))
    high = (builder.ashr(side, half) for side in (x, y))
    return builder.add(builder.mul(*low), builder.mul(*high))


def _dot4(builder: Any, name: str, total: Any, x: Any, y: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Call an instruction that adds four products of bytes to each sum; on ARM64 it takes bytes, on x86 words."""
    kind = ir.VectorType(I8, 4 * total.type.count) if "aarch64" in name else total.type
    return call(builder, name, [total, builder.bitcast(x, kind), builder.bitcast(y, kind)], total.type)


def multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:  # pragma: no cover  (emits LLVM)
    """Return x * y + z of float32, rounded once."""
    if FMA:
        return call(builder, f"llvm.fma.v{x.type.count}f32", [x, y, z], x.type)
    # exact in float64, where the product has 48 bits, as long as the sum has no more than 53
    doubles = ir.VectorType(F64, x.type.count)
    x, y, z = (builder.fpext(value, doubles) for value in (x, y, z))
    return builder.fptrunc(builder.fadd(builder.fmul(x, y), z), REALS)


def pair_of(builder: Any, index: Any, count: Any) -> tuple[Any, Any, Any]:  # pragma: no cover  (emits LLVM)
    """Return 2 * index, the number after it, or the same where it is the last of `count`, and whether it is."""
    first = builder.mul(index, const(2))
    second = builder.add(first, const(1))
    alone = builder.icmp_signed("==", second, count)
    return first, builder.select(alone, first, second), alone


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
