# ruff: noqa: ARG001  (numba asks for the signatures of its intrinsics)
"""Rows of a PNG, from the differences that it stores, or from the stream that holds these.

Each byte differs from a guess by its left, upper and upper left neighbours, and waits for them. So 16 rows run side by
side in the lanes of a vector, each a pixel behind the one above it:
24 µs for 256 x 256 bytes on Zen 4, 28 with the instructions of SSE2, where two rows at a time took 65.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fingerprint._kernels.compiler import call, cgutils, kernel
from fingerprint._kernels.llvm import I8, I64, const, constant, lanes, read, write

_BYTES = ir.VectorType(I8, 16)


def _turned(builder: Any, rows: list[Any]) -> list[Any]:  # pragma: no cover  (emits LLVM)
    """Return the columns of 16 x 16 bytes."""
    halves = [lanes(i // 2 + 16 * (i % 2) for i in range(first, first + 16)) for first in (0, 16)]
    for _ in range(4):
        rows = [builder.shuffle_vector(rows[i], rows[i + 8], half) for i in range(8) for half in halves]
    return rows


def _guess(builder: Any, left: Any, up: Any, corner: Any, chosen: list[Any]) -> Any:  # pragma: no cover  (emits LLVM)
    """Return what each lane adds to the byte it stores; `chosen` has all bits of the lanes that a filter is for."""

    def saturated(name: str, x: Any, y: Any) -> Any:
        return call(builder, f"llvm.u{name}.sat.v16i8", [x, y], _BYTES)

    less = builder.icmp_unsigned("<", left, up)
    low, high = builder.select(less, left, up), builder.select(less, up, left)
    mean = builder.add(builder.and_(left, up), builder.lshr(builder.xor(left, up), constant(_BYTES, 1)))
    # low + high - corner lies as far below the higher as the corner lies over the lower, and the other way round
    over, under = saturated("sub", corner, low), saturated("sub", high, corner)
    nearest = builder.select(builder.icmp_unsigned("<=", saturated("add", over, over), under), high, corner)
    nearest = builder.select(builder.icmp_unsigned("<=", saturated("add", under, under), over), low, nearest)
    found = [builder.and_(value, mask) for value, mask in zip((left, up, mean, nearest), chosen, strict=True)]
    return functools.reduce(builder.add, found)


@intrinsic  # type: ignore[untyped-decorator]
def _run(typing: Any, pixel: Any, source: Any, target: Any, pitch: Any, blocks: Any, filters: Any) -> Any:
    """Write 16 rows to `target`, from what is stored at `source`; of bytes, or of words if `pixel` is a word.

    Both are `pitch` bytes a row, of which the first 16 * (bytes of a pixel) come before the first pixel: 0 in `source`.
    Above the first row of `target` is the last. `filters`, (4, 16) uint8, are 255 where a row has a filter. 16 *
    `blocks` bytes are gone through.
    """
    step = pixel.bitwidth // 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # pragma: no cover  (emits LLVM)
        _, source, target, pitch, blocks, filters = arguments
        chosen = [read(builder, builder.add(filters, const(16 * kind)), _BYTES) for kind in range(4)]
        # of the last pixel of each row, and of the one above that
        states = [[cgutils.alloca_once_value(builder, constant(_BYTES, 0)) for _ in range(step)] for _ in range(2)]
        above = builder.add(target, builder.add(builder.mul(pitch, const(15)), const(16 * step)))
        with cgutils.for_range(builder, blocks) as loop:
            x = builder.mul(loop.index, const(16))

            def row(base: Any, r: int) -> Any:
                start = builder.add(builder.mul(pitch, const(r)), const((16 - r) * step))
                return builder.add(builder.add(base, start), x)

            stored = _turned(builder, [read(builder, row(source, r), _BYTES) for r in range(16)])
            lefts, corners = ([builder.load(one) for one in state] for state in states)
            for i in range(16):
                first = read(builder, builder.add(builder.add(above, x), const(i - 15)), _BYTES)
                up = builder.shuffle_vector(first, lefts[i], lanes(range(15, 31)))
                guess = _guess(builder, lefts[i], up, corners[i], chosen)
                lefts.append(builder.add(stored[i], guess))
                corners.append(up)
            found = _turned(builder, lefts[step:])
            for r in range(16):
                write(builder, found[r], row(target, r))
            for state, values in zip(states, (lefts, corners), strict=True):
                for one, value in zip(state, values[16:], strict=True):
                    builder.store(value, one)
        return context.get_dummy_value()

    return types.void(pixel, *[types.int64] * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def _called(typing: Any, address: Any, arguments: Any) -> Any:
    """Call the function of C at an address, which takes and returns numbers of 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # pragma: no cover  (emits LLVM)
        kind = ir.FunctionType(I64, [I64] * arguments.count)
        function = builder.inttoptr(values[0], kind.as_pointer())
        return builder.call(function, cgutils.unpack_tuple(builder, values[1], arguments.count))

    return types.int64(types.int64, arguments), generate


@kernel
def unfilter(packed, rows):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write rows (h, w), uint8 or big-endian uint16, from packed (h, 1 + bytes of w) uint8.

    Packed rows begin with their filter. Return whether all filters are known.
    """
    out = rows.view(np.uint8)
    height, width = out.shape
    ahead = 16 * (width // rows.shape[1])
    blocks = (ahead + width + 15) // 16
    source, target = np.zeros((2, 16, ahead + 16 * blocks), np.uint8)
    filters = np.empty((4, 16), np.uint8)
    for first in range(0, height, 16):
        count = min(16, height - first)
        filters[:] = 0
        for r in range(count):
            line = packed[first + r]
            if line[0] > 4:
                return False
            if line[0]:
                filters[line[0] - 1, r] = 255
            stored = source[r, ahead : ahead + width]
            for x in range(width):
                stored[x] = line[1 + x]
        pitch = source.strides[0]
        _run(rows[0, 0], source.ctypes.data, target.ctypes.data, pitch, blocks, filters.ctypes.data)
        for r in range(count):
            line, found = out[first + r], target[r, ahead : ahead + width]
            for x in range(width):
                line[x] = found[x]
    return True


@kernel
def unpack(library, streams, ends, rows):  # type: ignore[no-untyped-def]  # pragma: no cover  (not without a compiler)
    """Write rows (n, h, w), uint8 or big-endian uint16, of n images from their streams, uint8.

    These follow one another up to `ends`, (n,) int64. `library`, int64, has the addresses of three functions of
    libdeflate, to begin, to inflate and to end. Return whether each stream is whole, with nothing behind it.
    """
    count, height, width = rows.shape
    packed, sizes = np.empty((height, 1 + width * rows.itemsize), np.uint8), np.zeros(2, np.int64)
    source, target, lengths = streams.ctypes.data, packed.ctypes.data, sizes.ctypes.data
    inflater = _called(library[0], ())
    whole = inflater != 0
    start = 0
    for i in range(count):
        size = ends[i] - start
        if whole:
            at = (inflater, np.int64(source) + start, size, np.int64(target), packed.size)
            failed = _called(library[1], (*at, np.int64(lengths), np.int64(lengths) + 8)) & 0xFFFFFFFF
            whole = failed == 0 and sizes[0] == size and sizes[1] == packed.size and unfilter(packed, rows[i])
        start = ends[i]
    if inflater:
        _called(library[2], (inflater,))
    return whole
