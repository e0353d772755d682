"""Hostile inputs by the million: `python benchmarks/fuzz.py --seconds 300` reports what was no `InputError`.

Files of every kind that the library reads are changed at random (bits, numbers at their limits, cuts, splices; what
checksums protect is also changed below the checksum) and read in children with a limit on memory and on time. An input
is known by its kind and number: `--only png:1234` reads it again, here, and lets its exception through.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

import fingerprint
from fingerprint import InputError, challenge
from fingerprint._base import sealed
from fingerprint._cli import tables
from fingerprint._images import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 400  # inputs of one child
SECONDS = 10  # for one input
MEMORY = 2**30  # of address space beyond what the child begins with
EXTREME = [b"\0", b"\xff", b"\x7f", b"\x80", b"\x01"]


class Kind(NamedTuple):
    """One kind of file: its suffix, files that are right, what makes a changed one whole again, and its reader."""

    suffix: str
    seeds: list[bytes]
    finish: Callable[[bytes], bytes]
    read: Callable[[str], object]


def images(path: str) -> None:
    for task in loading.listing([path]).plan(64).tasks:
        task()


def merged(path: str) -> None:
    str(fingerprint.Summary.load(path))
    fingerprint.merge([path])


def as_is(data: bytes) -> bytes:
    return data


def png_checksums(data: bytes) -> bytes:
    """Return a PNG with the right checksum in each of its parts."""
    out, at = bytearray(data[:8]), 8
    while at + 8 <= len(data):
        end = at + 8 + min(int.from_bytes(data[at : at + 4], "big"), len(data))
        out += data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(out)


def png_pixels(data: bytes) -> bytes:
    """Return a PNG of 16x12 whose stream unpacks to anything."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 16, 12, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    whole = [struct.pack(">I", len(body)) + kind + body for kind, body in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(part + struct.pack(">I", zlib.crc32(part[4:])) for part in whole)


def in_zip(name: str) -> Callable[[bytes], bytes]:
    def finish(data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        return out.getvalue()

    return finish


def in_tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.png")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def sealed_again(data: bytes) -> bytes:
    """Return a sealed file with the right checksum."""
    import hashlib

    begin = len(sealed._BEGIN)
    return data[:begin] + hashlib.sha256(data[begin + sealed._DIGEST :]).digest() + data[begin + sealed._DIGEST :]


def saved(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, **options)
    return out.getvalue()


def numpy_file(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, pixels)
    return out.getvalue()


def dicoms(eight: np.ndarray, sixteen: np.ndarray) -> list[bytes]:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

    found = []
    for pixels, syntax, frames in (
        (eight, ExplicitVRLittleEndian, 1),
        (sixteen, ImplicitVRLittleEndian, 1),
        (np.stack([sixteen] * 3), ExplicitVRLittleEndian, 3),
        (eight, DeflatedExplicitVRLittleEndian, 1),
        (sixteen, RLELossless, 1),
    ):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
        data = FileDataset(None, {}, b"\0" * 128, meta)
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
        data.Rows, data.Columns, data.SamplesPerPixel = *pixels.shape[-2:], 1
        data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
        data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
        data.HighBit, data.PatientID = data.BitsStored - 1, "p1"
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        if frames > 1:
            data.NumberOfFrames = frames
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
        if syntax == RLELossless:
            data.compress(RLELossless)
        out = io.BytesIO()
        data.save_as(out, enforce_file_format=True)
        found.append(out.getvalue())
    return found


def volumes(pixels: np.ndarray) -> list[bytes]:
    import nibabel

    kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    return [kind(pixels.T.astype(dtype), np.eye(4)).to_bytes() for kind in kinds for dtype in ("u1", "i2", "f4")]


def kinds() -> dict[str, Kind]:
    rng = np.random.default_rng(0)
    eight = rng.integers(0, 256, (12, 16), np.uint8)
    sixteen = rng.integers(0, 65536, (12, 16)).astype(np.uint16)
    palette = io.BytesIO()
    Image.fromarray(eight).convert("P").save(palette, "PNG")
    grey = [saved(pixels, format="PNG") for pixels in (eight, sixteen)]
    pngs = [*grey, palette.getvalue(), saved(np.repeat(eight[..., None], 3, 2), format="PNG")]
    tiffs = [saved(eight, format="TIFF", compression=c) for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")]
    tiffs += [saved(sixteen, format="TIFF"), saved(eight, format="TIFF", big_tiff=True)]
    arrays = [numpy_file(np.stack([p] * 3)) for p in (eight, sixteen)] + [numpy_file(np.asfortranarray(eight))]
    dicom, nifti = dicoms(eight, sixteen), volumes(np.stack([eight] * 3))
    archive = io.BytesIO()
    np.savez_compressed(archive, a=np.stack([eight] * 3), labels=np.arange(3))
    real = rng.integers(0, 256, (24, 16, 16), np.uint8)
    detector = fingerprint.fit(real[:12], real[12:], rng.integers(0, 256, (20, 16, 16), np.uint8)).to_json().encode()
    ranking = fingerprint.rank(real[:4], real[4:9], k=2).to_json().encode()
    run = b"".join(b"real_unknown_%04d,%d\n" % (i, i % 2) for i in range(20))
    groups = json.dumps({f"{i}.png": f"p{i // 2}" for i in range(9)}).encode()
    table = b"name,used,patient\n" + b"".join(b"%d.png,%d,p%d\n" % (i, i % 2, i // 2) for i in range(9))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        sealed.write(path, {"a": [1, "b"]}, {"x": np.arange(6.0).reshape(2, 3), "y": np.arange(4)})
        parts = path.read_bytes()
        fingerprint.summarise(real[:4], real[4:9], k=2).save(path)
        summary = path.read_bytes()

    def run_file(path: str) -> None:
        challenge.check_run(path, ["real_unknown_0001"])
        challenge.read_run(path)

    def numbers(path: str) -> None:
        tables.in_order_of(["1.png"], tables.read_numbers(path, ("used",)), path)

    return {
        "png": Kind(".png", pngs, as_is, images),
        "png below checksums": Kind(".png", pngs, png_checksums, images),
        "png below deflate": Kind(".png", [(b"\0" + b"abcdefghijklmnop") * 12], png_pixels, images),
        "bmp": Kind(".bmp", [saved(eight, format="BMP"), saved(eight > 99, format="BMP")], as_is, images),
        "tiff": Kind(".tif", tiffs, as_is, images),
        "jpeg": Kind(
            ".jpg", [saved(eight, format="JPEG"), saved(eight, format="JPEG", progressive=True)], as_is, images
        ),
        "dicom": Kind(".dcm", dicom, as_is, images),
        "dicom without suffix": Kind("", dicom, as_is, images),
        "nifti": Kind(".nii", nifti, as_is, images),
        "nifti.gz": Kind(".nii.gz", [gzip.compress(data) for data in nifti], as_is, images),
        "nifti below gz": Kind(".nii.gz", nifti, lambda data: gzip.compress(data, 1), images),
        "npy": Kind(".npy", arrays, as_is, images),
        "npz": Kind(".npz", [archive.getvalue()], as_is, images),
        "npy in npz": Kind(".npz", arrays, in_zip("a.npy"), images),
        "zip": Kind(".zip", [in_zip("a.png")(data) for data in grey], as_is, images),
        "dicom in zip": Kind(".zip", dicom, in_zip("a.dcm"), images),
        "tar": Kind(".tar", [gzip.decompress(in_tar(data)) for data in grey], as_is, images),
        "tar.gz": Kind(".tar.gz", [in_tar(data) for data in grey], as_is, images),
        "tiff in tar.gz": Kind(".tar.gz", tiffs, in_tar, images),
        "detector": Kind(".json", [detector], as_is, fingerprint.load_detector),
        "ranking": Kind(".json", [ranking], as_is, fingerprint.Ranking.from_json),
        "run": Kind(".csv", [run], as_is, run_file),
        "groups": Kind(".json", [groups], as_is, tables.read_groups),
        "groups, csv": Kind(".csv", [table], as_is, tables.read_groups),
        "truth": Kind(".csv", [table, run], as_is, numbers),
        "summary": Kind("", [summary], as_is, merged),
        "summary below checksum": Kind("", [summary], sealed_again, merged),
        "sealed": Kind("", [parts], as_is, lambda path: sealed.read(path, argument="path")),
        "sealed below checksum": Kind("", [parts], sealed_again, lambda path: sealed.read(path, argument="path")),
    }


def changed(kind: Kind, number: int) -> bytes:
    """Return input `number` of a kind."""
    rng = random.Random(number)
    data = bytearray(rng.choice(kind.seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(len(data) + 1, 400))
        size = rng.choice((1, 1, 2, 4, 8))
        way = rng.randrange(9)
        if way < 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif way == 3:
            data[at : at + size] = rng.choice(EXTREME) * size
        elif way == 4:
            data[at : at + size] = rng.randbytes(size)
        elif way == 5:
            del data[at : at + rng.choice((1, 2, 8, 100, 10**6))]
        elif way == 6:
            data[at:at] = data[at : at + rng.choice((1, 8, 100))] * rng.choice((1, 2, 50))
        elif way == 7:
            other = rng.choice(kind.seeds)
            data[at:] = other[rng.randrange(len(other)) :]
        else:
            data[at:at] = rng.choice((b"-", b"9" * 40, b"[" * 3000, b"e999", b"\xff", b'"', b"\n", b",", b"NaN"))
    return kind.finish(bytes(data))


def attempt(kind: Kind, number: int, path: Path) -> str:
    """Read one input; return what it raised that is no `InputError`."""
    path.write_bytes(changed(kind, number))
    try:
        kind.read(str(path))
    except InputError:
        return ""
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {str(error)[:100]!r} at {Path(frame.filename).name}:{frame.lineno}"
    return ""


def child(kind: Kind, first: int, folder: Path, out: int) -> None:
    """Read a batch, telling the parent of each input before and after."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    warnings.simplefilter("error")
    path = folder / f"x{kind.suffix}"
    for number in range(first, first + BATCH):
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        os.write(out, f"{json.dumps([number, attempt(kind, number, path)])}\n".encode())
    os._exit(0)


def batch(kind: Kind, first: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield number and fault of each input of a batch."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.close(reading)
        child(kind, first, folder, writing)
    os.close(writing)
    done = first
    with open(reading, encoding="utf-8") as lines:  # noqa: PTH123  (a descriptor, no path)
        for line in lines:
            number, fault = json.loads(line)
            done = number + 1
            yield number, fault
    status = os.waitpid(process, 0)[1]
    if status:
        why = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        yield done, f"killed: {why}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    options.add_argument("--kinds", nargs="*", help="those whose names contain one of these words")
    options.add_argument("--only", help="KIND:NUMBER of one input, to be read here")
    given = options.parse_args()
    known = kinds()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        if given.only:
            kind, _, number = given.only.rpartition(":")
            path = folder / f"x{known[kind].suffix}"
            path.write_bytes(changed(known[kind], int(number)))
            known[kind].read(str(path))
            return 0
        chosen = [kind for kind in known if not given.kinds or any(word in kind for word in given.kinds)]
        executions: Counter[str] = Counter()
        faults: dict[str, list[str]] = {}
        end, first = time.monotonic() + given.seconds, given.first
        while time.monotonic() < end:
            for kind in chosen:
                for number, fault in batch(known[kind], first, folder):
                    executions[kind] += 1
                    if fault:
                        faults.setdefault(f"{kind}: {fault}", []).append(f"{kind}:{number}")
                if time.monotonic() > end:
                    break
            first += BATCH
    for kind in chosen:
        print(f"{executions[kind]:9,}  {kind}")
    print(f"{executions.total():9,}  inputs in all, {len(faults)} faults")
    for fault, inputs in faults.items():
        print(f"{len(inputs):6} x {fault}, such as --only '{inputs[0]}'")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
