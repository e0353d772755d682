"""Plain PNG by our own decoder: the pixels of Pillow over files of every kind, and a word about every damage."""

from __future__ import annotations

import io
import itertools
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fingerprint
from fingerprint import InputError
from fingerprint._images import blocks, files, pictures, png
from fingerprint._kernels import compiler, unfilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Array = np.ndarray[Any, Any]

SIDES = [(1, 1), (1, 7), (7, 1), (2, 2), (13, 9), (32, 33)]
NEEDS_COMPILER = pytest.mark.skipif(not compiler.compiles(), reason="interpreted, all files go to Pillow")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(rows: Array, kinds: list[int], step: int) -> bytes:
    """Return rows of bytes as a PNG stores them, by the definition of its filters."""
    out = bytearray()
    above = [0] * rows.shape[1]
    for row, kind in zip(rows.tolist(), itertools.cycle(kinds)):
        out.append(kind)
        for x, value in enumerate(row):
            a, b, c = (row[x - step], above[x], above[x - step]) if x >= step else (0, above[x], 0)
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        above = row
    return bytes(out)


def written(
    rows: Array,
    width: int,
    *,
    depth: int = 8,
    colour: int = 0,
    kinds: tuple[int, ...] = (0,),
    before: bytes = b"",
    cuts: tuple[int, ...] = (),
    interlaced: int = 0,
) -> bytes:
    """Return a PNG of (h, bytes) rows, its stream cut into several parts."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlaced)
    stream = zlib.compress(filtered(rows, list(kinds), max(1, depth * channels // 8)))
    edges = [0, *cuts, len(stream)]
    parts = b"".join(chunk(b"IDAT", stream[a:b]) for a, b in itertools.pairwise(edges))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + parts + chunk(b"IEND", b"")


def noise(height: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def by_pillow(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)))


def plain(data: bytes) -> Array | None:
    """Return the pixels of a file that is plain."""
    stream = png.plain(data)
    return None if stream is None else stream.pixels()


def decoded(data: bytes) -> Array:
    return pictures.png(data).pixels()


@pytest.fixture(params=["libdeflate", "zlib"])
def _inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unpack by each library; where `deflate` is absent, zlib is what is left."""
    if request.param == "libdeflate":
        pytest.importorskip("deflate")
    else:
        monkeypatch.setitem(__import__("sys").modules, "deflate", None)
    png._library.cache_clear()
    yield
    png._library.cache_clear()


# --- The same pixels -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_inflater")
@NEEDS_COMPILER
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (4, 4, 1), (3, 4, 2, 4, 0)])
@pytest.mark.parametrize("side", SIDES)
def test_grey_has_the_pixels_of_pillow(depth: int, kinds: tuple[int, ...], side: tuple[int, int]) -> None:
    data = written(noise(side[0], side[1] * depth // 8), side[1], depth=depth, kinds=kinds)
    assert plain(data) is not None
    assert decoded(data).dtype == f"uint{depth}"
    np.testing.assert_array_equal(decoded(data), by_pillow(data))


@NEEDS_COMPILER
@settings(deadline=None)
@given(st.data())
def test_any_pixels_and_filters_have_the_pixels_of_pillow(data: st.DataObject) -> None:
    height, width, depth = (
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(1, 9)),
        data.draw(st.sampled_from([8, 16])),
    )
    size = height * width * depth // 8
    rows = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(height, -1)
    kinds = tuple(data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height)))
    file = written(rows, width, depth=depth, kinds=kinds)
    np.testing.assert_array_equal(plain(file), by_pillow(file))


@NEEDS_COMPILER
@pytest.mark.parametrize("cuts", [(1,), (0,), (5, 5, 5), (2, 3, 40)])
def test_a_stream_in_several_parts_is_one(cuts: tuple[int, ...]) -> None:
    data = written(noise(9, 11), 11, cuts=cuts)
    np.testing.assert_array_equal(plain(data), by_pillow(data))


@NEEDS_COMPILER
def test_parts_that_change_no_pixel_are_passed_over() -> None:
    data = written(noise(9, 11), 11, before=chunk(b"gAMA", bytes([0, 0, 177, 143])) + chunk(b"tIME", bytes(7)))
    np.testing.assert_array_equal(plain(data), by_pillow(data))


@pytest.mark.parametrize(
    ("depth", "colour", "interlaced", "before"),
    [
        (1, 0, 0, b""),
        (2, 0, 0, b""),
        (4, 0, 0, b""),
        (8, 0, 1, b""),
        (8, 2, 0, b""),
        (8, 3, 0, chunk(b"PLTE", bytes(range(256)) * 3)),
        (8, 4, 0, b""),
        (8, 6, 0, b""),
        (16, 2, 0, b""),
        (8, 0, 0, chunk(b"tRNS", b"\0\7")),
        (8, 0, 0, chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0")),
        (8, 0, 0, chunk(b"tEXt", b"transparency\x007")),
        (8, 0, 0, chunk(b"acTL", bytes(8))),
        (8, 0, 0, chunk(b"gAMA", b"\0")),
    ],
)
def test_other_kinds_are_left_to_pillow(depth: int, colour: int, interlaced: int, before: bytes) -> None:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width = 8
    data = written(
        noise(1, width * channels * depth // 8), width, depth=depth, colour=colour, interlaced=interlaced, before=before
    )
    assert plain(data) is None


# --- Damage ----------------------------------------------------------------------------------------------------------


def sealed(stream: bytes, height: int, width: int) -> bytes:
    """Return a file whose parts have the right checksum, around any stream."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


@pytest.mark.usefixtures("_inflater")
@NEEDS_COMPILER
@pytest.mark.parametrize(
    "change",
    [
        lambda good: good[:-1] + bytes([good[-1] ^ 1]),  # the checksum
        lambda good: good[:-1],
        lambda good: good + b"more",
        lambda _: zlib.compress(bytes(4 * 6)),  # a row too many
        lambda _: zlib.compress(bytes(2 * 6)),
        lambda _: zlib.compress(b"\5" + bytes(3 * 6 - 1)),  # an unknown filter
        lambda _: b"no stream at all",
    ],
)
def test_a_stream_that_is_damaged_fails(change: Any) -> None:
    good = zlib.compress(bytes(3 * 6))
    assert np.asarray(plain(sealed(good, 3, 5))).tolist() == [[0] * 5] * 3
    assert "\n" not in files.attempted(decoded, sealed(change(good), 3, 5))
    assert files.attempted(decoded, sealed(change(good), 3, 5)).startswith("damaged: ")


@NEEDS_COMPILER
def test_a_flipped_bit_in_any_byte_never_gives_another_picture() -> None:
    rows = noise(5, 6)
    good = written(rows, 6, kinds=(4, 3))
    for at, bit in itertools.product(range(len(good)), range(8)):
        bad = bytearray(good)
        bad[at] ^= 1 << bit
        found = files.attempted(decoded, bytes(bad))
        assert isinstance(found, str) or np.array_equal(found, rows)
    for at, bit in itertools.product(range(good.index(b"IDAT") + 4, len(good) - 16), range(8)):
        stream = bytearray(good[good.index(b"IDAT") + 4 : len(good) - 16])
        stream[at - good.index(b"IDAT") - 4] ^= 1 << bit  # with the checksum of the part put right
        found = files.attempted(decoded, sealed(bytes(stream), 5, 6))
        assert isinstance(found, str) or np.array_equal(found, rows)


@NEEDS_COMPILER
def test_a_size_that_the_stream_cannot_hold_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_library", lambda: (zlib.crc32, lambda *_: pytest.fail("unpacked")))
    assert plain(sealed(zlib.compress(bytes(9)), 8192, 8192)) is None
    assert "cannot hold" in files.attempted(decoded, sealed(zlib.compress(bytes(9)), 8192, 8192))


# --- Several at once -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["at once", "one by one"])
def _at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack files together, as where libdeflate can be called, and each on its own."""
    if request.param == "one by one":
        monkeypatch.setattr(png, "_addresses", lambda: None)


@pytest.mark.usefixtures("_at_once")
@NEEDS_COMPILER
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("most", [1, 3, 16])
def test_files_unpacked_at_once_are_those_unpacked_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int, most: int
) -> None:
    monkeypatch.setattr(blocks, "_WAITING", most)
    height, width = 5, 7
    rows = [noise(height, width * depth // 8, seed) for seed in range(20)]
    for i, each in enumerate(rows):
        data = written(each, width, depth=depth, kinds=(4, i % 5, 2))
        data = data[:-20] if i == 4 else data.replace(b"IEND", b"JEND") if i == 9 else data
        (tmp_path / f"{i}.png").write_bytes(data)
    bad = zlib.compress(filtered(rows[6], [4], depth // 8))
    parts = (chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)), chunk(b"IDAT", bad + b"more"))
    (tmp_path / "6.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    palette = chunk(b"PLTE", bytes(3 * 256))  # left to Pillow, as it may change what pixels show
    (tmp_path / "11.png").write_bytes(written(rows[11], width, depth=depth, before=palette))
    good = [i for i in range(20) if i not in (4, 6, 9)]
    found = next(fingerprint.blocks(tmp_path, threads=1))
    assert found.names == tuple(f"{i}.png" for i in good)
    np.testing.assert_array_equal(found.pixels, np.array(rows).view(f">u{depth // 8}")[good])
    failed = [(name, why.partition(":")[0]) for name, why in found.failed]
    assert failed == [("4.png", "cut short"), ("6.png", "damaged"), ("9.png", "damaged")]
    with pytest.raises(InputError, match=r"source: 4.png: cut short"):
        next(fingerprint.blocks(tmp_path, threads=1, on_error="raise"))


@NEEDS_COMPILER
def test_deflate_shows_libdeflate_here() -> None:
    pytest.importorskip("deflate")
    assert png._addresses() is not None or sys.platform == "win32"


@NEEDS_COMPILER
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unpack_writes_rows_where_all_streams_are_whole(dtype: type) -> None:
    if (library := png._addresses()) is None:
        pytest.skip("no libdeflate to be called")
    expected = np.random.default_rng(0).integers(0, 256 ** np.dtype(dtype).itemsize, (4, 9, 17)).astype(dtype)
    pixels = expected.view(np.uint8).reshape(4, 9, -1)
    good = [zlib.compress(filtered(rows, [4, 3, 1, 0, 2], expected.itemsize)) for rows in pixels]

    def unpack(streams: list[bytes]) -> bool:
        rows = np.empty_like(expected)
        ends = np.cumsum([len(stream) for stream in streams])
        whole = unfilter.unpack(library, np.frombuffer(b"".join(streams), np.uint8), ends, rows)
        if whole:
            np.testing.assert_array_equal(rows, expected)
        return bool(whole)

    assert unpack(good)
    for i, stream in enumerate(good):
        bad = bytearray(zlib.decompress(stream))
        for worse in (stream + b"m", stream[:-1], b"", stream[:-1] + bytes([stream[-1] ^ 1]), b"no stream at all"):
            assert not unpack([*good[:i], worse, *good[i + 1 :]])
        for worse in (bad + bytes(1), bad[:-1], b"\5" + bad[1:]):
            assert not unpack([*good[:i], zlib.compress(worse), *good[i + 1 :]])


# --- The kernel ------------------------------------------------------------------------------------------------------


@NEEDS_COMPILER
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("side", [*SIDES, (16, 16), (33, 15), (15, 40)])
def test_unfilter_is_the_definition(side: tuple[int, int], dtype: type) -> None:
    rows = np.zeros(side, dtype)
    step = rows.itemsize
    for seed in range(5):
        packed = noise(side[0], 1 + side[1] * step, seed)
        packed[:, 0] %= 5
        assert unfilter.unfilter(packed, rows)
        for first in range(step):
            expected = naive.unfilter(packed[:, 0], packed[:, 1 + first :: step])
            np.testing.assert_array_equal(rows.view(np.uint8)[:, first::step], expected)
    packed[-1, 0] = 5
    assert not unfilter.unfilter(packed, rows)


@NEEDS_COMPILER
def test_unfilter_takes_the_nearest_of_any_neighbours() -> None:
    left, up, corner = (each.ravel() for each in np.meshgrid(*[np.arange(0, 256, 3)] * 3, indexing="ij"))
    above, row = np.stack([corner, up], 1).ravel(), np.stack([left, 0 * left], 1).ravel()
    a, b, c = np.append(0, row[:-1]), above, np.append(0, above[:-1])
    nearest = np.choose(np.argmin([abs(b - c), abs(a - c), abs(a + b - 2 * c)], axis=0), [a, b, c])
    packed = np.stack([np.append(0, above), np.append(4, (row - nearest) % 256)]).astype(np.uint8)
    rows = np.empty((2, row.size), np.uint8)
    assert unfilter.unfilter(packed, rows)
    np.testing.assert_array_equal(rows, [above, row])
