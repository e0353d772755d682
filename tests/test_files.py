"""Reading files: exact pixels in every format, and for what cannot be used the reason and the remedy."""

import errno
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import files, formats, loading
from fingerprint._images.grey import Decoded
from fingerprint._images.loading import Failure, Slices

Array = np.ndarray[Any, Any]


def stack(n: int = 3, height: int = 8, width: int = 6, dtype: str = "uint8") -> Array:
    high = 256 if dtype == "uint8" else 65536
    return np.random.default_rng(n).integers(0, high, (n, height, width)).astype(dtype)


def one(path: Path) -> Array:
    return loading.load(path)[0]


def reasons(folder: Path) -> tuple[Failure, ...]:
    """Return the failures of a folder without any usable image."""
    return tuple(failure for task in loading.listing(folder).plan(9) for failure in task().failed)


def reason(path: Path) -> str:
    """Return why a file cannot be used, read among good files."""
    good = path.parent / "a good one.png"
    Image.fromarray(stack(1)[0]).save(good)
    found = loading.load([good, path])
    assert found.names == (good.as_posix(),)
    (failure,) = found.failed
    assert failure.name == path.as_posix()
    return failure.reason


# --- Exact pixels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "bmp", "PNG"])
def test_eight_bits_are_exact(tmp_path: Path, suffix: str) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(one(tmp_path / f"x.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_exact(tmp_path: Path, suffix: str) -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}")
    found = one(tmp_path / f"x.{suffix}")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)


def tiff(path: Path, pixels: Array, *, order: str = "<", photometric: int = 1, kind: int = 1, pages: int = 1) -> None:
    """Write an uncompressed grey TIFF by hand, of either byte order."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data)) + data
    for page in range(pages):
        entries = {
            256: pixels.shape[1], 257: pixels.shape[0], 258: 8 * pixels.itemsize, 259: 1, 262: photometric,
            273: 8, 277: 1, 278: pixels.shape[0], 279: len(data), 339: kind,
        }  # fmt: skip
        directory = struct.pack(order + "H", len(entries))
        directory += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries.items())
        following = len(out) + len(directory) + 4 if page < pages - 1 else 0
        out += directory + struct.pack(order + "I", following)
    path.write_bytes(out)


@pytest.mark.parametrize("order", "<>")
def test_tiff_of_either_byte_order_is_exact(tmp_path: Path, order: str) -> None:
    pixels = stack(1, dtype="uint16")[0]
    tiff(tmp_path / "x.tif", pixels, order=order)
    found = one(tmp_path / "x.tif")
    assert found.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero_is_inverted(tmp_path: Path, dtype: str) -> None:
    pixels = stack(1, dtype=dtype)[0]
    tiff(tmp_path / "x.tif", pixels, photometric=0)
    np.testing.assert_array_equal(one(tmp_path / "x.tif"), np.iinfo(dtype).max - pixels)


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_wide_and_signed_tiffs_are_exact_where_they_fit(tmp_path: Path, dtype: str) -> None:
    pixels = np.array([[0, 1], [255, 32767]], dtype)
    tiff(tmp_path / "x.tif", pixels, kind=2)
    found = one(tmp_path / "x.tif")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)
    tiff(tmp_path / "y.tif", -pixels, kind=2)
    assert reason(tmp_path / "y.tif") == "values from -32767 to 0, outside 0 to 65535; scale them"


def test_compressed_signed_big_endian_pixels_are_refused_as_pillow_swaps_them(tmp_path: Path) -> None:
    pixels = np.full((4, 6), 0x0102, np.int16)
    tiff(tmp_path / "x.tif", pixels, order=">", kind=2)
    np.testing.assert_array_equal(one(tmp_path / "x.tif"), pixels)
    data = bytearray((tmp_path / "x.tif").read_bytes())
    packed = b"".join(bytes([11]) + row.astype(">i2").tobytes() for row in pixels)  # PackBits, of literals alone
    for tag, value in {259: 32773, 273: len(data), 279: len(packed)}.items():
        struct.pack_into(">I", data, data.index(struct.pack(">HHI", tag, 4, 1)) + 8, value)
    (tmp_path / "x.tif").write_bytes(data + packed)
    assert reason(tmp_path / "x.tif") == "signed big-endian pixels, compressed; save them unsigned"


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = stack(1)[0] > 127
    Image.fromarray(bits).save(tmp_path / "x.png")
    found = one(tmp_path / "x.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, bits * 255)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "row", "grey"), [(2, b"\0\x1b", [0, 85, 170, 255]), (4, b"\0\x0f\x5a", [0, 255, 85, 170])]
)
def test_two_and_four_bits_fill_the_range(tmp_path: Path, depth: int, row: bytes, grey: list[int]) -> None:
    (tmp_path / "x.png").write_bytes(png(4, 1, depth, 0, row))
    np.testing.assert_array_equal(one(tmp_path / "x.png"), [grey])


@pytest.mark.parametrize("mode", ["P", "LA", "RGB", "RGBA", "PA"])
def test_grey_in_other_clothes_is_exact(tmp_path: Path, mode: str) -> None:
    pixels = stack(1)[0]
    suffix = "tif" if mode == "PA" else "png"
    Image.fromarray(pixels).convert(mode).save(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(one(tmp_path / f"x.{suffix}"), pixels)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.frombytes("P", (2, 2), bytes([0, 1, 2, 1]))
    image.putpalette([9, 9, 9, 200, 200, 200, 77, 77, 77])
    image.save(tmp_path / "x.png")
    np.testing.assert_array_equal(one(tmp_path / "x.png"), [[9, 200], [77, 200]])


def test_grey_jpeg_equals_pillow(tmp_path: Path) -> None:
    pixels = stack(1, 16, 16)[0]
    for name, mode in {"x.jpg": "L", "y.jpeg": "RGB"}.items():
        Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            np.testing.assert_array_equal(one(tmp_path / name), np.asarray(image.convert("L")))


COLOUR = 'colour; pass grey="luminance"'
CLEAR = "transparent pixels; put the image on a background and save without alpha"
DEEP = "16-bit colour or alpha, which would be cut to 8 bits; save as 16-bit grey"


def test_colour_is_refused_with_the_remedy(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 3), 100, np.uint8)
    for channel in range(3):
        coloured = pixels.copy()
        coloured[1, 2, channel] += 1
        Image.fromarray(coloured).save(tmp_path / "x.png")
        assert reason(tmp_path / "x.png") == COLOUR
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([9, 9, 9, 1, 2, 3])
    image.save(tmp_path / "p.png")
    assert reason(tmp_path / "p.png") == COLOUR
    Image.new("CMYK", (4, 4)).save(tmp_path / "c.jpg")
    assert reason(tmp_path / "c.jpg") == 'colour (CMYK); convert to RGB or grey first, by Image.convert("L")'


def test_transparency_is_refused_unless_it_is_opaque(tmp_path: Path) -> None:
    for mode in ("LA", "RGBA"):
        image = Image.new(mode, (4, 4))
        image.putalpha(255)
        image.save(tmp_path / "opaque.png")
        assert not one(tmp_path / "opaque.png").any()
        image.putalpha(254)
        image.save(tmp_path / "clear.png")
        assert reason(tmp_path / "clear.png") == CLEAR


@pytest.mark.parametrize(("depth", "row"), [(8, b"\0\x05\x06"), (16, b"\0\x00\x05\x00\x06")])
def test_a_transparent_grey_level_is_refused_where_it_occurs(tmp_path: Path, depth: int, row: bytes) -> None:
    for level, occurs in ((5, True), (7, False)):
        (tmp_path / "x.png").write_bytes(png(2, 1, depth, 0, row, chunk(b"tRNS", struct.pack(">H", level))))
        if occurs:
            assert reason(tmp_path / "x.png") == CLEAR
        else:
            np.testing.assert_array_equal(one(tmp_path / "x.png"), [[5, 6]])


@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (2, 3), (6, 4)])
def test_sixteen_bits_are_never_cut(tmp_path: Path, colour: int, channels: int) -> None:
    (tmp_path / "x.png").write_bytes(png(1, 1, 16, colour, b"\0" + b"\x12\x34" * channels))
    assert reason(tmp_path / "x.png") == DEEP


def test_floating_point_tiff_is_refused(tmp_path: Path) -> None:
    Image.new("F", (4, 4)).save(tmp_path / "x.tif")
    assert reason(tmp_path / "x.tif") == "floating point pixels; scale and save them as 8-bit or 16-bit integers"


def test_several_pages_are_refused(tmp_path: Path) -> None:
    tiff(tmp_path / "x.tif", stack(1)[0], pages=3)
    message = "3 pages; save each as a file of its own, or pass them as an (n, h, w) array"
    assert reason(tmp_path / "x.tif") == message
    frames = [Image.fromarray(image) for image in stack(3)]
    frames[0].save(tmp_path / "x.png", save_all=True, append_images=frames[1:])
    assert reason(tmp_path / "x.png") == message


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_they_ask_for(tmp_path: Path, suffix: str, orientation: int) -> None:
    pixels = np.repeat(np.repeat(stack(1, 2, 3)[0], 8, 0), 8, 1)  # flat blocks, which JPEG keeps
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tif": {"tiffinfo": {274: orientation}}, "png": {"exif": exif}, "jpg": {"exif": exif, "quality": 100}}
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}", **options[suffix])  # type: ignore[arg-type]
    expected = [pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1], pixels.T, pixels.T[:, ::-1],
                pixels.T[::-1, ::-1], pixels.T[::-1]][orientation - 1]  # fmt: skip
    np.testing.assert_array_equal(one(tmp_path / f"x.{suffix}"), expected)


# --- Broken files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "save"),
    [
        ("uint8", {"format": "PNG"}),
        ("uint16", {"format": "PNG"}),
        ("uint8", {"format": "TIFF"}),
        ("uint16", {"format": "TIFF", "compression": "tiff_lzw"}),
        ("uint8", {"format": "JPEG"}),
        ("uint8", {"format": "BMP"}),
    ],
)
def test_a_file_cut_anywhere_fails_or_is_exact(
    tmp_path: Path, save: dict[str, str], dtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = stack(1, 9, 7, dtype)[0]
    whole = tmp_path / "x"
    Image.fromarray(pixels).save(whole, **save)  # type: ignore[arg-type]
    data = whole.read_bytes()
    expected = formats.decoded(str(whole))
    failures = 0
    for length in range(0, len(data), 3):
        whole.write_bytes(data[:length])
        found = files.attempted(formats.decoded, str(whole))
        if isinstance(found, str):
            failures += 1
        else:
            np.testing.assert_array_equal(found.values, expected.values)
    assert failures >= len(data) // 3 - 8
    assert capfd.readouterr() == ("", "")


@given(
    st.binary(max_size=300), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM", b"\xff\xd8\xff", b""])
)
def test_noise_never_escapes_as_an_exception(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(magic + data)
    assert isinstance(files.attempted(formats.decoded, str(path)), str | Decoded)


def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path: Path) -> None:
    pixels = stack(1)[0]
    Image.fromarray(pixels).save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    for part in (b"IHDR", b"IDAT", b"IEND"):
        damaged = data.copy()
        at = data.index(part)
        damaged[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
        (tmp_path / "x.png").write_bytes(damaged)
        assert reason(tmp_path / "x.png") == f"damaged: the checksum of its part {part.decode()} is wrong"
    (tmp_path / "x.png").write_bytes(data[:-12])
    assert reason(tmp_path / "x.png") == "cut short"


def test_reasons_have_one_line(tmp_path: Path) -> None:
    assert files.reason(ValueError("a\n\tb  \x1b" + "d" * 1000)) == "cannot be decoded: a b \\x1b" + "d" * 289 + "..."


def test_readers_are_silent_also_where_warnings_are_errors(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "x.dcm", stack(1)[0])
    header = pydicom.dcmread(tmp_path / "x.dcm")
    header.PixelData = stack(1)[0].tobytes() + bytes(4)
    header.save_as(tmp_path / "x.dcm")
    Image.fromarray(stack(1)[0]).save(tmp_path / "y.tif", compression="tiff_adobe_deflate")
    data = bytearray((tmp_path / "y.tif").read_bytes())
    data[8:30] = bytes(22)
    (tmp_path / "y.tif").write_bytes(data)
    tiff(tmp_path / "z.tif", stack(1)[0])
    data = bytearray((tmp_path / "z.tif").read_bytes())
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", 277, 4, 1)) + 8, 504)  # samples of a pixel, logged
    (tmp_path / "z.tif").write_bytes(data)
    code = f"""
import warnings, fingerprint
before = warnings.filters[:]
found = fingerprint.load({str(tmp_path)!r}, threads=3)
print(*found.names, *(failure.name for failure in found.failed), warnings.filters[-len(before):] == before)
"""
    for options in ((), ("-W", "error")):  # not here, where the handlers of pytest catch what is logged
        done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("x.dcm y.tif z.tif True\n", "")


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    for name in ("x.png", "x.npy", "x.npz"):
        (tmp_path / name).write_bytes(b"")
        assert reason(tmp_path / name) == "empty file (0 bytes)"
    (tmp_path / "y.png").write_bytes(b"GIF89a")
    assert reason(tmp_path / "y.png") == "no PNG, TIFF, JPEG, BMP or DICOM image (begins with b'GIF8')"
    (tmp_path / "z").write_bytes(b"id,label")
    assert reason(tmp_path / "z") == "no PNG, TIFF, JPEG, BMP or DICOM image (begins with b'id,l')"


def test_a_file_without_its_suffix_is_read_where_it_is_listed(tmp_path: Path) -> None:
    Image.fromarray(stack(1)[0]).save(tmp_path / "x", "PNG")
    np.testing.assert_array_equal(one(tmp_path / "x"), stack(1)[0])


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(png(20000, 20000, 8, 0, b"\0"))
    remedy = "more than the limit of 67108864; crop or resample the image"
    assert reason(tmp_path / "x.png") == f"20000x20000 pixels, {remedy}"
    tiff(tmp_path / "x.tif", np.empty((1, 2**27), np.uint8)[:, :1].repeat(2, 1))
    data = bytearray((tmp_path / "x.tif").read_bytes())
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", 256, 4, 1)) + 8, 2**28)
    (tmp_path / "x.tif").write_bytes(data)
    assert reason(tmp_path / "x.tif") == f"1x268435456 pixels, {remedy}"
    monkeypatch.setattr(files, "BYTES", 2000)
    (tmp_path / "y.png").write_bytes(bytes(2001))
    assert reason(tmp_path / "y.png") == "2001 bytes, more than the limit of 2000"


def test_few_bytes_hold_few_pixels(tmp_path: Path) -> None:
    Image.fromarray(stack(1)[0]).save(tmp_path / "x.bmp")
    data = bytearray((tmp_path / "x.bmp").read_bytes())
    struct.pack_into("<ii", data, 18, 8192, 8192)
    (tmp_path / "x.bmp").write_bytes(data)
    assert reason(tmp_path / "x.bmp") == f"{len(data)} bytes, which cannot hold 8192x8192 pixels"


@pytest.mark.parametrize("shape", [(60000, 256, 256), (2**40, 64, 64), (2**63, 1, 2)])
def test_arrays_are_no_longer_than_their_files(tmp_path: Path, shape: tuple[int, ...]) -> None:
    text = str({"descr": "|u1", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(1000)
    (tmp_path / "x.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", data)
    for name in ("x.npy", "x.npz"):
        (failure,) = loading.blocks(tmp_path / name, block=4).__next__().failed
        assert failure.reason == f"1128 bytes, fewer than shape {shape} and dtype |u1 need"


@pytest.mark.parametrize("bit", [5, 30, 45, 62])
def test_a_flipped_bit_in_the_shape_of_a_volume_is_one_failure(tmp_path: Path, bit: int) -> None:
    nibabel = pytest.importorskip("nibabel")
    data = bytearray(nibabel.Nifti2Image(np.zeros((8, 8, 5), np.uint8), np.eye(4)).to_bytes())
    data[40 + bit // 8] ^= 1 << bit % 8
    (tmp_path / "x.nii").write_bytes(data)
    assert reason(tmp_path / "x.nii") == f"864 bytes, fewer than shape {(5 ^ 1 << bit, 8, 8)} and dtype |u1 need"


@pytest.mark.parametrize("suffix", ["npz", "nii.gz", "zip"])
def test_what_unpacks_to_far_more_than_its_size_is_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, np.zeros((100, 64, 64), np.uint8))
    elif suffix == "zip":
        Image.new("L", (640, 640)).save(tmp_path / "x.bmp")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "x.bmp")
    else:
        nifti(path, np.zeros((64, 64, 100), np.uint8))
    assert len(loading.load(path))
    monkeypatch.setattr(files, "_PRESSED", 1000)
    with pytest.raises(InputError, match=r"bytes that would unpack to 4[0-9]+ or more; save it uncompressed$"):
        loading.load(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    data = b"\x93NUMPY\2\0" + struct.pack("<I", 3_600_000_000)
    (tmp_path / "x.npy").write_bytes(data)
    os.truncate(tmp_path / "x.npy", 3_600_000_100)  # of holes
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", data + bytes(1000))
    for name in ("x.npy", "x.npz"):
        assert reason_of(tmp_path / name) == "a header of 3600000000 bytes, more than the limit of 10000"


def reason_of(path: Path) -> str:
    (failure,) = next(loading.blocks(path, block=4)).failed
    return failure.reason


def test_a_name_of_megabytes_in_an_archive_is_not_read(tmp_path: Path) -> None:
    Image.fromarray(stack(1)[0]).save(tmp_path / "a.png")
    for length, kept in ((2**19, 1), (2**22, 0)):
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
            member = archive.gettarinfo(tmp_path / "a.png", "a.png")
            member.pax_headers = {"comment": "x" * length}
            with (tmp_path / "a.png").open("rb") as file:
                archive.addfile(member, file)
        found = next(loading.blocks(tmp_path / "x.tar.gz", block=4))
        assert len(found) == kept
    (failure,) = found.failed
    assert re.search(r"a name of 41943\d\d bytes, more than the limit of 1048576$", failure.reason)


def test_an_archive_of_many_arrays_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "x.npz", **{f"{i}": stack(1)[0] for i in range(50)})
    opened = []
    monkeypatch.setattr(files.os, "open", lambda *options: opened.append(options[0]) or descriptor(*options))
    assert len(loading.load(tmp_path)) == 50
    assert len(opened) == 1


descriptor = os.open


def test_a_file_that_shrinks_while_it_is_read_fails(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", stack(100))
    parts = loading.blocks(tmp_path / "x.npy", block=10, threads=1)
    assert len(next(parts)) == 10
    os.truncate(tmp_path / "x.npy", 1000)
    assert {failure.reason for part in parts for failure in part.failed} == {"shorter than its header says"}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_too_many_open_files_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    Image.fromarray(stack(1)[0]).save(tmp_path / "x.png")
    left = 3

    def opened(*options: Any) -> int:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(number, os.strerror(number))
        return descriptor(*options)

    monkeypatch.setattr(files.os, "open", opened)
    assert len(loading.load(tmp_path)) == 1
    monkeypatch.setattr(files, "_PATIENCE", 0.02)
    left = 1000
    with pytest.raises(InputError, match=f"^files: {os.strerror(number)}; close some, or raise the limit"):
        loading.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_child_forked_while_others_read_can_read(tmp_path: Path) -> None:
    Image.fromarray(stack(1)[0]).save(tmp_path / "x.tif")
    code = f"""
import os, threading, warnings, fingerprint
fingerprint.load([{str(tmp_path / "x.tif")!r}])
before = warnings.filters[:]
stop = threading.Event()
def read():
    while not stop.is_set():
        fingerprint.load([{str(tmp_path / "x.tif")!r}])
threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(30):
    child = os.fork()
    if not child:
        good = len(fingerprint.load([{str(tmp_path / "x.tif")!r}], threads=1)) == 1 and warnings.filters == before
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_out_of_memory_is_no_fault_of_the_file() -> None:
    def read() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        files.attempted(read)


def test_an_error_without_text_is_named_by_its_type() -> None:
    assert files.reason(EOFError()) == "cannot be decoded: EOFError"
    assert files.reason(OSError("broken data stream")) == "cannot be decoded: broken data stream"


# --- .npy and .npz ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int32", "bool"])
def test_npy_stacks(tmp_path: Path, dtype: str) -> None:
    pixels = stack(5).astype(dtype)
    path = tmp_path / "x.npy"
    np.save(path, pixels)
    found = loading.load(path)
    assert found.names == tuple(f"{path.as_posix()}[{i}]" for i in range(5))
    np.testing.assert_array_equal(found.pixels, loading.load(pixels).pixels)
    parts = list(loading.blocks(tmp_path, block=2))
    assert [part.names for part in parts] == [("x.npy[0]", "x.npy[1]"), ("x.npy[2]", "x.npy[3]"), ("x.npy[4]",)]


def test_npy_of_one_image(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(stack(1)[0]))
    found = loading.load(tmp_path)
    assert found.names == ("x.npy",)
    np.testing.assert_array_equal(found.pixels, stack(1))


@pytest.mark.parametrize(
    ("shape", "dtype", "rest"),
    [
        ((2, 3), "float32", "; convert, for values from 0 to 1 by np.rint(images * 255).astype(np.uint8)"),
        ((3,), "uint8", ""),
        ((1, 2, 9, 9), "uint8", ""),
        ((0, 3, 3), "uint8", ""),
    ],
)
def test_npy_of_something_else(tmp_path: Path, shape: tuple[int, ...], dtype: str, rest: str) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, dtype))
    expected = f"expected (h, w) or (n, h, w) integers, got shape {shape} and dtype {dtype}{rest}"
    assert reason(tmp_path / "x.npy") == expected


def test_npy_with_objects_or_noise_or_missing_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}]), allow_pickle=True)
    assert "Python objects" in reason(path)
    path.write_bytes(b"PK\3\4noise")
    assert reason(path) == "no .npy file (begins with b'PK\\x03\\x04no')"
    np.save(path, stack(5))
    path.write_bytes(path.read_bytes()[:-1])
    assert reason(path) == "367 bytes, fewer than shape (5, 8, 6) and dtype |u1 need"


def test_npy_cut_after_the_plan_fails_image_by_image(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", stack(3))
    tasks = loading.listing(tmp_path).plan(3)
    task = next(tasks)
    (tmp_path / "x.npy").write_bytes(b"")
    assert task().failed == tuple(Failure(f"x.npy[{i}]", "empty file (0 bytes)") for i in range(3))


def test_npy_with_a_value_out_of_range_loses_that_image(tmp_path: Path) -> None:
    pixels = stack(3).astype(np.int32)
    pixels[1, 0, 0] = -7
    np.save(tmp_path / "x.npy", pixels)
    found = loading.load(tmp_path)
    assert found.names == ("x.npy[0]", "x.npy[2]")
    assert found.failed == (
        Failure("x.npy[1]", f"values from -7 to {pixels[1].max()}, outside 0 to 65535; scale them"),
    )


def test_npz(tmp_path: Path) -> None:
    pixels = stack(4)
    bad = np.full((1, 8, 6), 70000)
    np.savez(tmp_path / "x.npz", some=pixels[:3], labels=np.arange(3), last=pixels[3], real=np.zeros((2, 2)), bad=bad)
    found = loading.load(tmp_path)
    assert found.names == ("x.npz[some][0]", "x.npz[some][1]", "x.npz[some][2]", "x.npz[last]")
    np.testing.assert_array_equal(found.pixels, pixels)
    assert [failure.name for failure in found.failed] == ["x.npz[real]", "x.npz[bad][0]"]
    assert found.failed[1].reason == "values from 70000 to 70000, outside 0 to 65535; scale them"
    assert found.ignored == 1
    assert sum(task().ignored for task in loading.listing(tmp_path).plan(1)) == 1


def test_tables_of_labels_are_no_images(tmp_path: Path) -> None:
    pixels = stack(6)
    np.savez(tmp_path / "x.npz", train=pixels, train_labels=np.zeros((6, 1), np.uint8), many=np.zeros((6, 14), int),
             validation=pixels[:, None], column=np.zeros((9, 1), int), last=pixels[0])  # fmt: skip
    found = loading.load(tmp_path, size=8)
    assert [name.split("[")[1] for name in found.names] == ["train]"] * 6 + ["validation]"] * 6 + ["last]"]
    assert (found.ignored, found.failed) == (3, ())
    np.savez(tmp_path / "x.npz", pixels, colour=np.zeros((6, 8, 6, 3), np.uint8))
    (failure,) = loading.load(tmp_path).failed
    assert failure == Failure("x.npz[colour]", "colour, shape (6, 8, 6, 3); convert to grey first")
    np.save(tmp_path / "y.npy", np.zeros((6, 1), int))
    assert reason(tmp_path / "y.npy") == "shape (6, 1), which looks like labels and not like an image"


@pytest.mark.parametrize("channels", [False, True])
def test_arrays_of_either_order(tmp_path: Path, channels: bool) -> None:
    pixels = np.asfortranarray(stack(5)[..., None] if channels else stack(5))
    np.save(tmp_path / "x.npy", pixels)
    np.savez(tmp_path / "y.npz", pixels)
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, np.concatenate([stack(5)] * 2))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_archives_are_read_like_folders(tmp_path: Path, kind: str) -> None:
    pixels = stack(3)
    (tmp_path / "in").mkdir()
    for name, image in zip(("a/2.png", "a/10.tif", "b.PNG"), pixels, strict=True):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "in" / name)
    for name in ("notes.txt", ".hidden.png"):
        (tmp_path / "in" / name).write_bytes(b"x")
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    path = shutil.make_archive(str(tmp_path / "x"), kind, tmp_path / "in")
    found = loading.load(path)
    names = [name.removeprefix(f"{path}/") for name in found.names]
    by_name = dict(zip(names, found.pixels, strict=True))
    assert sorted(by_name) == ["a/10.tif", "a/2.png", "b.PNG"]
    for name, image in zip(("a/2.png", "a/10.tif", "b.PNG"), pixels, strict=True):
        np.testing.assert_array_equal(by_name[name], image)
    assert (len(found.failed), found.ignored) == (1, 2)
    if kind == "zip":
        assert names == ["a/2.png", "a/10.tif", "b.PNG"]
    shutil.copy(path, tmp_path / "in")
    assert loading.load(tmp_path / "in").names == ("b.PNG",)


def test_npz_of_images_alone(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", stack(2))
    assert loading.load(tmp_path).names == ("x.npz[arr_0][0]", "x.npz[arr_0][1]")


def test_npz_without_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", labels=np.arange(3))
    assert reason(tmp_path / "x.npz") == "holds no (h, w) or (n, h, w) array"
    (tmp_path / "x.npz").write_bytes(b"noise")
    assert reason(tmp_path / "x.npz") == "cannot be decoded: File is not a zip file"


# --- Medical formats -------------------------------------------------------------------------------------------------


def dicom(path: Path, pixels: Array, *, frames: int = 1, without: tuple[str, ...] = (), **tags: Any) -> None:
    pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(None, {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames > 1:
        data.NumberOfFrames = frames
    raw = pixels.tobytes()
    data.add_new("PixelData", "OB" if pixels.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
    for tag, value in tags.items():
        setattr(data, tag, value)
    for tag in without:
        delattr(data, tag)
    data.save_as(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_dicom_of_unsigned_values_is_kept(tmp_path: Path, dtype: str) -> None:
    pixels = stack(1, dtype=dtype)[0]
    dicom(tmp_path / "x.dcm", pixels)
    found = one(tmp_path / "x.dcm")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


def test_dicom_hounsfield_units_have_1024_added(tmp_path: Path) -> None:
    units = np.array([[-1024, -1000, 0], [40, 3071, -1]], np.int16)
    dicom(tmp_path / "signed.dcm", units)
    dicom(tmp_path / "rescaled.dcm", (units + 1024).astype(np.uint16), RescaleSlope="1", RescaleIntercept="-1024")
    dicom(tmp_path / "halved.dicom", (units * 2 + 4096).astype(np.uint16), RescaleSlope="0.5", RescaleIntercept="-2048")
    dicom(tmp_path / "intercept.dcm", (units + 1024).astype(np.uint16), RescaleIntercept="-1024")
    found = loading.load(tmp_path)
    assert found.names == ("halved.dicom", "intercept.dcm", "rescaled.dcm", "signed.dcm")
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels, np.broadcast_to(units.astype(int) + 1024, (4, 2, 3)))


def test_dicom_monochrome1_is_inverted(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0] >> 4
    dicom(tmp_path / "x.dcm", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), 4095 - pixels)
    units = np.array([[-1000, 5, 2000]], np.int16)
    dicom(tmp_path / "y.dcm", units, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(one(tmp_path / "y.dcm"), 2047 - units)
    dicom(tmp_path / "z.dcm", units, PhotometricInterpretation="MONOCHROME1", BitsStored=13, HighBit=12,
          RescaleSlope=2, RescaleIntercept=-7)  # fmt: skip
    np.testing.assert_array_equal(one(tmp_path / "z.dcm"), 2 * (4095 - units.astype(int)))


def test_dicom_without_suffix_is_recognised(tmp_path: Path) -> None:
    for i, name in enumerate(("1.2.840.2", "IM0001", "x.ima")):
        dicom(tmp_path / name, stack(3)[i])
    (tmp_path / "notes").write_bytes(b"x" * 200)
    (tmp_path / "DICOMDIR").write_bytes((tmp_path / "IM0001").read_bytes())
    found = loading.load(tmp_path)
    assert (found.names, found.ignored) == (("1.2.840.2", "IM0001", "x.ima"), 2)
    np.testing.assert_array_equal(found.pixels, stack(3))
    np.testing.assert_array_equal(one(tmp_path / "IM0001"), stack(3)[1])


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("name", ["x.dcm", "IM1"])
def test_dicom_without_preamble_is_read(tmp_path: Path, name: str, implicit: bool) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "y", stack(1, dtype="uint16")[0])
    header = pydicom.dcmread(tmp_path / "y")
    (tmp_path / "y").unlink()
    with (tmp_path / name).open("wb") as file:
        out = pydicom.filebase.DicomFileLike(file)
        out.is_little_endian, out.is_implicit_VR = True, implicit
        pydicom.filewriter.write_dataset(out, pydicom.Dataset(header))
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, stack(1, dtype="uint16"))


def test_dicom_of_several_images(tmp_path: Path) -> None:
    pixels = stack(40, dtype="uint16")
    dicom(tmp_path / "x.dcm", pixels, frames=40, PatientID="p7")
    found = loading.load(tmp_path)
    assert found.names == tuple(f"x.dcm[{i}]" for i in range(40))
    assert found.groups == ("p7",) * 40
    np.testing.assert_array_equal(found.pixels, pixels)
    assert [len(part) for part in loading.blocks(tmp_path, block=16)] == [16, 16, 8]
    dicom(tmp_path / "y.dcm", pixels, frames=40, NumberOfFrames=10**9)
    assert reason(tmp_path / "y.dcm").endswith(" bytes, fewer than 1000000000 images need")


def test_patients_are_known_if_all_are(tmp_path: Path) -> None:
    for i in range(3):
        dicom(tmp_path / f"{i}.dcm", stack(3)[i], PatientID=f"p{i // 2}")
    found = loading.load(tmp_path)
    assert found.groups == ("p0", "p0", "p1")
    assert found[1:].groups == ("p0", "p1")
    assert loading.concatenate(found, found).groups == found.groups * 2
    assert loading.load([found, found]).groups == found.groups * 2
    assert pickle.loads(pickle.dumps(found)).groups == found.groups
    dicom(tmp_path / "3.dcm", stack(3)[0])
    assert loading.load(tmp_path).groups is None
    with pytest.raises(InputError, match="groups: expected one for each of the 3 images, got 1"):
        Slices(stack(3), ("a", "b", "c"), groups=("p",))


def test_dicom_grey_in_other_clothes_is_exact(tmp_path: Path) -> None:
    grey = stack(1)[0]
    rgb = np.repeat(grey[..., None], 3, 2)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "Rows": 8, "Columns": 6}
    dicom(tmp_path / "a.dcm", rgb, PlanarConfiguration=0, **colour)
    dicom(tmp_path / "b.dcm", np.moveaxis(rgb, 2, 0).copy(), PlanarConfiguration=1, **colour)
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, [grey, grey])
    rgb[..., 1] //= 2
    dicom(tmp_path / "a.dcm", rgb, PlanarConfiguration=0, **colour)
    dicom(tmp_path / "b.dcm", np.stack([rgb, rgb]), PlanarConfiguration=0, NumberOfFrames=2, **colour)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(loading.load(tmp_path, grey="luminance").pixels, [expected] * 3)


def test_dicom_bits_are_where_the_header_says(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0] >> 4
    dicom(tmp_path / "a.dcm", pixels << 4 | 5, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(one(tmp_path / "a.dcm"), pixels)
    signed = (pixels.astype(np.int16) - 2048).clip(-1024)
    dicom(tmp_path / "b.dcm", signed << 2, BitsStored=12, HighBit=13)
    np.testing.assert_array_equal(one(tmp_path / "b.dcm"), signed + 1024)


def test_dicom_padding_is_air(tmp_path: Path) -> None:
    units = np.array([[-2000, -3024, -1000], [40, 3071, -2000]], np.int16)
    air = np.maximum(units, -1024) + 1024
    other = "1.2.840.10008.5.1.4.1.1.4"
    dicom(tmp_path / "ct.dcm", units)
    np.testing.assert_array_equal(one(tmp_path / "ct.dcm"), air)
    dicom(tmp_path / "mr.dcm", units, SOPClassUID=other)
    assert reason(tmp_path / "mr.dcm") == "values from -3024 to 3071, outside -1024 to 64511; scale them"
    dicom(tmp_path / "mr.dcm", units, SOPClassUID=other, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-3100)
    np.testing.assert_array_equal(one(tmp_path / "mr.dcm"), air)


def test_dicom_with_a_fractional_slope_is_rounded(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0]
    dicom(tmp_path / "x.dcm", pixels, RescaleSlope="0.684", RescaleIntercept="200.5")
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), np.rint(pixels * 0.684 + 200.5) + 1024)
    dicom(tmp_path / "y.dcm", pixels, RescaleSlope="0.684", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(one(tmp_path / "y.dcm"), np.rint(65535 * 0.684 - pixels * 0.684))


@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [(40, 400), (-600.5, 1500), (0, 1), (100, 2)])
def test_a_window_is_that_of_dicom(tmp_path: Path, window: tuple[float, float], meaning: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    units = np.arange(-1024, 1176, dtype=np.int16).reshape(20, 110)
    tags = {"WindowCenter": window[0], "WindowWidth": window[1], "PhotometricInterpretation": meaning}
    dicom(tmp_path / "x.dcm", (units + 1024).astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024, **tags)
    header = pydicom.dcmread(tmp_path / "x.dcm")
    header.PhotometricInterpretation = "MONOCHROME2"
    seen = pydicom.pixels.apply_windowing(units, header)  # from the lowest value of 16 bits to the highest
    expected = np.rint((seen + 1024) / 65535 * 255)
    found = loading.load(tmp_path / "x.dcm", window=window).pixels
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], expected if meaning == "MONOCHROME2" else 255 - expected)


def test_a_window_makes_eight_bits_of_sixteen_everywhere(tmp_path: Path) -> None:
    deep = stack(3, dtype="uint16")
    expected = np.rint(((deep - 29999.5) / 9999 + 0.5).clip(0, 1) * 255)
    np.save(tmp_path / "a.npy", deep)
    np.savez(tmp_path / "b.npz", deep)
    nifti(tmp_path / "c.nii.gz", deep.T)
    for i, image in enumerate(deep):
        Image.fromarray(image).save(tmp_path / f"d{i}.png")
    for i, image in enumerate(stack(3)):
        Image.fromarray(image).save(tmp_path / f"e{i}.png")
    window = (30000, 10000)
    found = loading.load(tmp_path, window=window).pixels
    np.testing.assert_array_equal(found, np.concatenate([expected] * 4 + [stack(3)]))
    for source in (deep, loading.load(deep), [deep]):
        np.testing.assert_array_equal(loading.load(source, window=window).pixels, expected)
        np.testing.assert_array_equal(next(loading.blocks(source, window=window)).pixels, expected)


@pytest.mark.parametrize("window", [(1,), 5, (40, 0), (float("nan"), 4), ("a", 4)])
def test_a_window_is_centre_and_width(window: Any) -> None:
    with pytest.raises(InputError, match=r"^window: expected "):
        loading.load(stack(), window=window)


def test_deflated_dicom_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "y", np.zeros((512, 512), np.uint8))
    header = pydicom.dcmread(tmp_path / "y")
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    header.save_as(tmp_path / "x.dcm")
    assert one(tmp_path / "x.dcm").shape == (512, 512)
    monkeypatch.setattr(files, "_PRESSED", 1000)
    monkeypatch.setattr(files, "_RATIO", 10)
    assert "bytes that would unpack to" in reason(tmp_path / "x.dcm")


def test_dicom_that_is_put_right_is_read_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "x.dcm", stack(1)[0])
    read = pydicom.dcmread

    def dcmread(file: Any, **options: Any) -> Any:
        warnings.warn("Expected explicit VR, but found implicit VR", stacklevel=2)
        return read(file, **options)

    monkeypatch.setattr(pydicom, "dcmread", dcmread)
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), stack(1)[0])


@pytest.mark.parametrize(
    ("pixels", "options", "text"),
    [
        (np.array([[-2000, -1500]], np.int16), {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
         "values from -2000 to -1500, outside -1024 to 64511; scale them"),
        (np.ones((2, 2), np.uint16), {"RescaleSlope": "0.003"},
         "values of which 197 are whole; pass window=(centre, width)"),
        (np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
         {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0, "Rows": 2, "Columns": 2},
         'colour; pass grey="luminance"'),
        (np.zeros((2, 2), np.uint8), {"HighBit": 9}, "bits that do not fit: 8 stored, the highest 9, of 8 allocated"),
        (np.zeros((2, 2), np.uint8), {"without": ("PixelData",)}, "a DICOM file without pixels"),
        (np.zeros((2, 2), np.uint8), {"ModalityLUTSequence": []},
         "a modality lookup table; apply it and save the result"),
        (np.zeros((2, 2), np.uint8), {"Rows": 20000, "Columns": 20000},
         "20000x20000 pixels, more than the limit of 67108864; crop or resample the image"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)  # fmt: skip
def test_dicom_that_cannot_be_used(tmp_path: Path, pixels: Array, options: dict[str, Any], text: str) -> None:
    dicom(tmp_path / "x.dcm", pixels, **options)
    assert reason(tmp_path / "x.dcm") == text


def test_broken_dicom(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (tmp_path / "x.dcm").write_bytes(b"noise" * 100)
    assert reason(tmp_path / "x.dcm").startswith("cannot be decoded: File is missing DICOM File Meta")
    dicom(tmp_path / "y.dcm", stack(1)[0])
    data = (tmp_path / "y.dcm").read_bytes()
    (tmp_path / "y.dcm").write_bytes(data[:-20])
    assert reason(tmp_path / "y.dcm").startswith("cannot be decoded: ")


def nifti(path: Path, values: Array, **scale: float) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(values, np.eye(4))
    if scale:
        image.header.set_slope_inter(**scale)
    nibabel.save(image, path)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_nifti_slices_run_along_the_last_axis(tmp_path: Path, suffix: str, dtype: str) -> None:
    pixels = stack(5, dtype=dtype)
    nifti(tmp_path / f"x.{suffix}", pixels.T)
    found = loading.load(tmp_path)
    assert found.names == tuple(f"x.{suffix}[{i}]" for i in range(5))
    assert found.pixels.dtype == dtype
    np.testing.assert_array_equal(found.pixels, pixels)
    assert [len(part) for part in loading.blocks(tmp_path, block=2)] == [2, 2, 1]


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_nifti_hounsfield_units_have_1024_added(tmp_path: Path, dtype: str) -> None:
    units = (stack(3, dtype="uint16").astype(np.int32) // 16 - 1024).astype(dtype)
    nifti(tmp_path / "x.nii", units.T[..., None])
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, units.astype(np.int32) + 1024)


def test_nifti_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "x.nii"
    nifti(path, np.zeros((2, 2, 3, 2), np.uint8))
    assert reason(path) == (
        "expected (x, y, z) numbers, got shape (2, 2, 3, 2) and dtype uint8; save one volume a file"
    )
    nifti(path, np.zeros((2, 2, 3), np.complex64))
    assert reason(path) == "expected (x, y, z) numbers, got shape (2, 2, 3) and dtype complex64; save one volume a file"
    path.write_bytes(b"")
    assert reason(path) == "empty file (0 bytes)"
    path.write_bytes(b"noise" * 100)
    assert reason(path).startswith("cannot be decoded: ")


def test_nifti_loses_only_the_slices_that_do_not_fit(tmp_path: Path) -> None:
    values = np.zeros((3, 3, 5), np.float64)
    values[0, 0, 1], values[0, 0, 2] = -1500, 1e6
    values[0, 0, 3], values[0, 1, 3] = -1500, -1600
    values[1, 1, 4] = -1500
    nifti(tmp_path / "x.nii", values)
    found = loading.load(tmp_path)
    assert found.names == ("x.nii[0]", "x.nii[1]")
    assert found.pixels[:, 0, 0].tolist() == [1024, 0]  # a single value below air is padding
    assert found.failed == (
        Failure("x.nii[2]", "values from 0.0 to 1000000.0, outside -1024 to 64511; scale them"),
        Failure("x.nii[3]", "values from -1600.0 to 0.0, outside -1024 to 64511; scale them"),
        Failure("x.nii[4]", "values from -1500.0 to 0.0, outside -1024 to 64511; scale them"),
    )


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("value", [0.5, np.nan])
def test_a_floating_point_volume_fails_as_one(tmp_path: Path, suffix: str, value: float) -> None:
    values = np.zeros((2, 2, 40), np.float32)
    values[0, 0, 39] = value
    nifti(tmp_path / f"x.{suffix}", values)
    assert reason(tmp_path / f"x.{suffix}") == "values that are not whole numbers; scale and round the volume"


def test_the_patient_of_nifti_is_the_file(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii.gz"):
        nifti(tmp_path / name, stack(2).T)
    assert loading.load(tmp_path).groups == tuple(str(tmp_path / name) for name in ("a.nii",) * 2 + ("b.nii.gz",) * 2)


def test_a_damaged_compressed_volume_fails_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    nifti(path, np.random.default_rng(0).integers(0, 256, (64, 64, 2000), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[:-8] + bytes(4) + data[-4:])
    assert reason(path).startswith("cannot be decoded: CRC check failed")
    path.write_bytes(data[:-2000])
    assert reason(path).startswith("cannot be decoded: Compressed file ended")


def test_nifti_with_a_fractional_slope_is_rounded(tmp_path: Path) -> None:
    nifti(tmp_path / "x.nii", stack(2, dtype="uint16").T // 2, slope=0.684, inter=200)
    expected = np.rint(stack(2, dtype="uint16") // 2 * 0.684 + 200) + 1024
    np.testing.assert_allclose(loading.load(tmp_path).pixels, expected, atol=1, rtol=0)  # slopes are stored in 32 bits
    nifti(tmp_path / "x.nii", stack(2).T, slope=0.684, inter=200)
    assert {failure.reason for failure in reasons(tmp_path)} == {
        "values of which 175 are whole; pass window=(centre, width)"
    }


def test_scaled_nifti(tmp_path: Path) -> None:
    nifti(tmp_path / "x.nii", stack(2).T, slope=2, inter=-100)
    found = loading.load(tmp_path)
    np.testing.assert_array_equal(found.pixels, stack(2).astype(int) * 2 - 100 + 1024)


@pytest.mark.parametrize(("module", "name"), [("pydicom", "x.dcm"), ("nibabel", "x.nii.gz")])
def test_absent_extras_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"anything")
    assert reason(tmp_path / name) == f'needs {module}; pip install "synthetic-fingerprint[medical]"'
    with pytest.raises(InputError, match=re.escape('pip install "synthetic-fingerprint[medical]"')):
        loading.load(tmp_path / name)
