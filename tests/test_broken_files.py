"""Files that are broken, hostile or change while they are read, and a system that is short of something."""

import errno
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import dicom, nifti, one, png, reason, stack, tiff
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import files, formats, loading


def decoded(path: Path) -> Any:
    """Return the pixels of a file."""
    return formats.decoded(str(path)).pixels()


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
    expected = decoded(whole)
    failures = 0
    for length in range(0, len(data), 3):
        whole.write_bytes(data[:length])
        found = files.attempted(decoded, whole)
        if isinstance(found, str):
            failures += 1
        else:
            np.testing.assert_array_equal(found, expected)
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
    assert isinstance(files.attempted(decoded, path), str | np.ndarray)


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
