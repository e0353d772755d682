"""Reading images: conserved rows, defined order, bounded streams, errors that say what to do."""

import itertools
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import loading
from fingerprint._images.loading import Failure, PixelFormat, Slices

Array = np.ndarray[Any, Any]


def stack(n: int = 3, height: int = 8, width: int = 6, dtype: str = "uint8") -> Array:
    high = 256 if dtype == "uint8" else 65536
    return np.random.default_rng(n).integers(0, high, (n, height, width)).astype(dtype)


def write(folder: Path, pixels: Array, template: str = "{}.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / template.format(i))


def raises(message: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


# --- Slices ----------------------------------------------------------------------------------------------------------


def test_slices_hold_a_read_only_view() -> None:
    pixels = stack()
    found = Slices(pixels, ("a", "b", "c"), (Failure("d", "broken"),), 2)
    assert (len(found), found.height, found.width) == (3, 8, 6)
    assert np.shares_memory(found.pixels, pixels)
    assert pixels.flags.writeable
    assert not found.pixels.flags.writeable
    np.testing.assert_array_equal(found[1], pixels[1])
    np.testing.assert_array_equal(np.stack(list(found)), pixels)
    part = found[1:]
    assert (part.names, part.failed, part.ignored) == (("b", "c"), (), 0)
    assert repr(found) == "<Slices: 3 images of 8x6, uint8, 1 failed, 2 ignored>"
    assert repr(part) == "<Slices: 2 images of 8x6, uint8>"
    assert found.format == PixelFormat(8, 6, "uint8")
    assert found[:0].format is None


def test_slices_are_made_contiguous() -> None:
    pixels = stack().transpose(0, 2, 1)
    found = Slices(pixels, ("a", "b", "c"))
    assert found.pixels.flags.c_contiguous
    np.testing.assert_array_equal(found.pixels, pixels)


def test_slices_survive_pickling_read_only() -> None:
    found = Slices(stack(), ("a", "b", "c"), (Failure("d", "broken"),), 2)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.pixels, found.pixels)
    assert (again.names, again.failed, again.ignored) == (found.names, found.failed, found.ignored)
    assert not again.pixels.flags.writeable


def test_slices_refuse_what_does_not_go_together() -> None:
    with raises("pixels: expected an (n, h, w) array of uint8 or uint16, got ndarray of shape (8, 6) and dtype uint8"):
        Slices(stack()[0], ("a",))
    with raises(
        "pixels: expected an (n, h, w) array of uint8 or uint16, got ndarray of shape (3, 8, 6) and dtype float64"
    ):
        Slices(stack().astype(float), ("a", "b", "c"))
    with raises("pixels: expected an (n, h, w) array of uint8 or uint16, got [1] (list)"):
        Slices([1], ("a",))  # type: ignore[arg-type]
    with raises("names: expected one for each of the 3 images, got 1"):
        Slices(stack(), ("a",))


# --- Order and names -------------------------------------------------------------------------------------------------


def test_natural_key_orders_numbers_by_value() -> None:
    names = ["b", "a10", "a2", "a02", "a1b3", "a1b20", "a", "10", "9", "A", "", "a" + "9" * 5000]
    ordered = sorted(names, key=loading.natural_key)
    assert ordered == ["", "9", "10", "A", "a", "a1b3", "a1b20", "a02", "a2", "a10", "a" + "9" * 5000, "b"]


@given(st.lists(st.text(alphabet="ab01٣ ./", max_size=6), unique=True))
def test_natural_key_is_a_total_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=loading.natural_key) == sorted(backwards, key=loading.natural_key)
    assert len({repr(loading.natural_key(name)) for name in names}) == len(names)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    pixels = stack(12)
    write(tmp_path, pixels)
    for folder in (tmp_path, str(tmp_path)):
        found = loading.load(folder)
        assert found.names == tuple(f"{i}.png" for i in range(12))
        np.testing.assert_array_equal(found.pixels, pixels)
        assert (found.failed, found.ignored) == ((), 0)


def test_paths_in_a_list_keep_their_order_and_their_folder(tmp_path: Path) -> None:
    pixels = stack(4)
    write(tmp_path / "x", pixels[:2])
    write(tmp_path / "y", pixels[2:])
    found = loading.load([tmp_path / "y", str(tmp_path / "x" / "1.png"), (tmp_path / "x" / "0.png",)])
    base = tmp_path.as_posix()
    assert found.names == (f"{base}/y/0.png", f"{base}/y/1.png", f"{base}/x/1.png", f"{base}/x/0.png")
    np.testing.assert_array_equal(found.pixels, pixels[[2, 3, 1, 0]])


def test_a_file_is_a_list_of_one(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    path = tmp_path / "0.png"
    assert loading.load(path).names == loading.load([path]).names == (path.as_posix(),)


def test_odd_names_are_fine(tmp_path: Path) -> None:
    names = ["[a] (1).png", "lunge ü.png", "肺 2.PNG", "100%.png"]
    for name in names:
        Image.fromarray(stack(1)[0]).save(tmp_path / name)
    assert sorted(loading.load(tmp_path).names) == sorted(names)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_can_be_saved(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    os.rename(os.fsencode(tmp_path / "0.png"), os.fsencode(tmp_path) + b"/\xff.png")  # noqa: PTH104
    (name,) = loading.load(tmp_path).names
    assert name == "\\udcff.png"
    name.encode("utf-8")


def test_arrays_are_named_by_position_over_the_source(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    held = Slices(stack(2), ("a", "b"))
    found = loading.load([stack(2), held, tmp_path / "0.png", stack(3)])
    assert found.names == ("0", "1", "a", "b", (tmp_path / "0.png").as_posix(), "2", "3", "4")
    np.testing.assert_array_equal(found.pixels, np.concatenate([stack(2), stack(2), stack(1), stack(3)]))


# --- Folders ---------------------------------------------------------------------------------------------------------


def test_other_files_are_ignored_and_counted(tmp_path: Path) -> None:
    write(tmp_path, stack(3))
    for name in ("Thumbs.db", ".DS_Store", "truth.csv", "._0.png", "notes", "archive.gz"):
        (tmp_path / name).write_bytes(b"x")
    write(tmp_path / "inner", stack(2))
    found = loading.load(tmp_path)
    assert (len(found), found.ignored, found.failed) == (3, 6, ())
    assert [part.ignored for part in loading.blocks(tmp_path, block=2)] == [6, 0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    os.mkfifo(tmp_path / "pipe.png")
    found = loading.load(tmp_path)
    assert (found.names, found.ignored) == (("0.png",), 1)
    with raises(f"source: expected an existing folder or file, got {str(tmp_path / 'pipe.png')!r}"):
        loading.load([tmp_path / "pipe.png"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_links_to_what_never_ends_fail(tmp_path: Path) -> None:
    write(tmp_path / "in", stack(1))
    os.mkfifo(tmp_path / "pipe")
    links = {"p.png": "../pipe", "p.npy": "../pipe", "p.nii.gz": "../pipe", "p.dcm": "../pipe", "p": "../pipe",
             "z.tif": "/dev/zero", "z.npz": "/dev/zero", "l.png": "l.png", "l": "l", "self": "."}  # fmt: skip
    for name, target in links.items():
        (tmp_path / "in" / name).symlink_to(target)
    for recursive in (False, True):
        found = loading.load(tmp_path / "in", recursive=recursive)
        assert (found.names, found.ignored) == (("0.png",), 2)
        reasons = dict.fromkeys(sorted({"p.png", "p.npy", "p.nii.gz", "p.dcm", "z.tif", "z.npz"}), "no regular file")
        assert dict(found.failed) == reasons | {"l.png": os.strerror(40)}


def test_unsupported_images_fail_rather_than_vanish(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    (tmp_path / "x.webp").write_bytes(b"RIFF....WEBP")
    found = loading.load(tmp_path)
    assert found.failed == (Failure("x.webp", "unsupported format; convert to PNG or TIFF"),)
    assert found.ignored == 0


def test_recursion_on_request(tmp_path: Path) -> None:
    write(tmp_path, stack(1), "z{}.png")
    write(tmp_path / "p10" / "deep", stack(1))
    write(tmp_path / "p9", stack(1))
    write(tmp_path / ".hidden", stack(1))
    assert loading.load(tmp_path).names == ("z0.png",)
    assert loading.load(tmp_path, recursive=True).names == ("p9/0.png", "p10/deep/0.png", "z0.png")
    assert loading.load([tmp_path], recursive=True).names[0] == f"{tmp_path.as_posix()}/p9/0.png"


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "a", stack(1))
    write(tmp_path / "elsewhere", stack(1))
    try:
        (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    except OSError:  # pragma: no cover
        pytest.skip("links are not allowed here")
    (tmp_path / "z").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "1.png").symlink_to(tmp_path / "a" / "0.png")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nothing")
    found = loading.load(tmp_path, recursive=True)
    assert found.names == ("a/0.png", "a/1.png", "elsewhere/0.png")
    assert found.failed == (Failure("a/gone.png", "No such file or directory"),)
    linked = loading.load(tmp_path / "a", recursive=True)
    assert linked.names == ("0.png", "1.png", "loop/elsewhere/0.png")


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, stack(1))
    write(tmp_path / "inner", stack(1))
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith(closed):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    closed = "inner"
    found = loading.load(tmp_path, recursive=True)
    assert found.names == ("0.png",)
    assert found.failed == (Failure("inner", "Permission denied"),)
    with raises(f"source: cannot read the folder {tmp_path / 'inner'}: Permission denied"):
        loading.load(tmp_path / "inner")


def test_missing_and_empty_folders_raise_at_the_call(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "truth.csv").write_text("x")
    write(tmp_path / "nested" / "inner", stack(1))
    known = ".png, .tif, .tiff, .jpg, .jpeg, .bmp, .dcm, .dicom, .nii, .nii.gz, .npy, .npz"

    def readers(source: Any) -> Iterator[Any]:
        yield lambda: loading.load(source)
        yield lambda: loading.blocks(source)
        yield lambda: loading.listing(source).plan(4)

    for folder, message in {
        missing: f"source: expected an existing folder or file, got {missing!r}",
        str(tmp_path / "empty"): f"source: expected images ({known}) in the folder {tmp_path / 'empty'}, got no file",
        str(tmp_path / "other"): f"source: expected images ({known}) in the folder {tmp_path / 'other'}, "
        "got 1 other file",
        str(tmp_path / "nested"): f"source: expected images ({known}) in the folder {tmp_path / 'nested'}, "
        "got no file; pass recursive=True to read the folders in it",
    }.items():
        for read in itertools.chain(readers(folder), readers([folder])):
            with raises(message):
                read()


def test_the_argument_can_be_named() -> None:
    with raises("fake: expected an existing folder or file, got 'nowhere'"):
        loading.read("nowhere", argument="fake")
    with raises("real: expected an existing folder or file, got 'nowhere'"):
        loading.listing("nowhere", argument="real").plan(2)


def test_a_missing_file_among_others_fails(tmp_path: Path) -> None:
    write(tmp_path, stack(1))
    gone = tmp_path / "gone.png"
    found = loading.load([gone, tmp_path / "0.png"])
    assert len(found) == 1
    assert found.failed == (Failure(gone.as_posix(), "No such file or directory"),)
    with raises(f"source: {tmp_path / 'gone.png'}: No such file or directory"):
        loading.load([tmp_path / "gone.png"], on_error="raise")


def test_a_file_that_vanishes_after_listing_fails(tmp_path: Path) -> None:
    write(tmp_path, stack(3))
    tasks = loading.listing(tmp_path).plan(8)
    (tmp_path / "1.png").unlink()
    found = next(tasks)()
    assert found.names == ("0.png", "2.png")
    assert found.failed == (Failure("1.png", "No such file or directory"),)


def test_a_file_that_changes_after_listing_fails(tmp_path: Path) -> None:
    write(tmp_path, stack(3))
    np.save(tmp_path / "3.npy", stack(40))
    blocks = loading.blocks(tmp_path, block=8, threads=1)
    assert len(next(blocks)) == 8
    np.save(tmp_path / "3.npy", 255 - stack(40))  # of the same size
    os.utime(tmp_path / "3.npy", (time.time() + 1,) * 2)  # clocks of file systems are coarse
    failed = [failure for part in blocks for failure in part.failed]
    why = "changed after it was listed; read it again once nothing writes to it"
    assert failed == [Failure(f"3.npy[{i}]", why) for i in range(5, 40)]
    tasks = loading.listing([tmp_path / "0.png", tmp_path / "1.png", tmp_path / "2.png"]).plan(3)
    task = next(tasks)
    with (tmp_path / "1.png").open("ab") as file:
        file.write(b"more")
    os.utime(tmp_path / "2.png", (0, 0))  # as where a copy of the file is read on another machine
    found = task()
    assert found.failed == (Failure(f"{tmp_path.as_posix()}/1.png", why),)
    assert len(loading.load(tmp_path)) == 43


def test_a_folder_where_every_file_fails(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"")
    message = (
        f"source: expected at least one usable image in {tmp_path}, got none; "
        "2 failed, first a.png: empty file (0 bytes)"
    )
    with raises(message):
        loading.load(tmp_path)
    stream = loading.blocks(tmp_path, block=1)
    assert len(next(stream)) == len(next(stream)) == 0
    with raises(message):
        next(stream)
    assert [len(task().failed) for task in loading.listing(tmp_path).plan(1)] == [1, 1]


def test_rows_are_conserved(tmp_path: Path) -> None:
    write(tmp_path, stack(20))
    for i in (0, 3, 4, 19):
        (tmp_path / f"{i}.png").write_bytes(b"broken")
    kept = [i for i in range(20) if i not in (0, 3, 4, 19)]
    for block, threads in itertools.product((1, 3, 20, 50), (1, 3)):
        parts = list(loading.blocks(tmp_path, block=block, threads=threads))
        assert all(len(part) + len(part.failed) == block for part in parts[:-1])
        assert sum(len(part) + len(part.failed) for part in parts) == 20
        np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts if len(part)]), stack(20)[kept])
    found = loading.load(tmp_path)
    assert found.names == tuple(f"{i}.png" for i in kept)
    assert [failure.name for failure in found.failed] == ["0.png", "3.png", "4.png", "19.png"]
    with raises("source: 0.png: no PNG, TIFF, JPEG, BMP or DICOM image (begins with b'brok')"):
        loading.load(tmp_path, on_error="raise")
    with raises("source: 0.png: no PNG, TIFF, JPEG, BMP or DICOM image (begins with b'brok')"):
        list(loading.blocks(tmp_path, on_error="raise", threads=3))


# --- Arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("uint8", "uint8"), ("uint16", "uint16"), ("int8", "uint8"), (">u2", "uint16"), ("int16", "uint16"),
     ("int64", "uint16"), ("uint64", "uint16"), (">i4", "uint16")],
)  # fmt: skip
def test_integer_arrays_are_exact(dtype: str, kept: str) -> None:
    pixels = (stack() // 2).astype(dtype)
    found = loading.load(pixels)
    assert found.pixels.dtype == kept
    np.testing.assert_array_equal(found.pixels, pixels)


def test_bool_arrays_become_black_and_white() -> None:
    found = loading.load(stack() > 100)
    assert found.pixels.dtype == np.uint8
    np.testing.assert_array_equal(found.pixels, (stack() > 100) * 255)


def test_an_array_is_not_copied() -> None:
    pixels = stack(100)
    assert np.shares_memory(loading.load(pixels).pixels, pixels)
    assert all(np.shares_memory(part.pixels, pixels) for part in loading.blocks(pixels, block=7))


def test_slices_come_back_as_they_are() -> None:
    held = Slices(stack(3), ("a", "b", "c"), (Failure("d", "broken"), Failure("e", "broken")), 4)
    assert loading.load(held) is held
    for on_error in ("collect", "raise"):
        parts = [task() for task in loading.listing(held, on_error=on_error).plan(2)]
        assert [(len(part), len(part.failed), part.ignored) for part in parts] == [(0, 2, 4), (2, 0, 0), (1, 0, 0)]
    again = loading.load([held, held])
    assert (again.names, again.failed, again.ignored) == (held.names * 2, held.failed * 2, 8)


class Tensor:
    """Something that NumPy can read, as tensors are."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return stack()


def test_anything_that_numpy_reads_is_an_array() -> None:
    np.testing.assert_array_equal(loading.load(Tensor()).pixels, stack())  # type: ignore[arg-type]


ARRAY = "source: expected an (n, h, w) array"
COLOUR = ', which looks like colour; pass grey="luminance"'


@pytest.mark.parametrize(
    ("shape", "dtype", "rule", "rest"),
    [
        ((8, 6), "uint8", "", "; pass a single image as image[None]"),
        ((3, 8, 6, 3), "uint8", " of grey images", COLOUR),
        ((2, 3, 8, 6), "uint8", " of grey images", COLOUR),
        ((8, 6, 4), "float32", " of grey images", COLOUR),
        ((2, 2, 8, 6), "uint8", "", ""),
        ((), "uint8", "", ""),
        ((3, 8, 6), "complex64", " of numbers", ""),
        ((0, 8, 8), "uint8", ", none of them 0", ""),
        ((3, 0, 8), "uint8", ", none of them 0", ""),
        ((3, 8, 0), "uint8", ", none of them 0", ""),
    ],
)
def test_other_arrays_are_refused_with_the_remedy(shape: tuple[int, ...], dtype: str, rule: str, rest: str) -> None:
    for source in (np.zeros(shape, dtype), [np.zeros(shape, dtype)]):
        with raises(f"{ARRAY}{rule}, got ndarray of shape {shape} and dtype {dtype}{rest}"):
            loading.load(source)


def test_axes_of_one_channel_are_dropped() -> None:
    for source in (stack()[:, None], stack()[..., None]):
        np.testing.assert_array_equal(loading.load(source).pixels, stack())


def test_floats_become_eight_bits() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for dtype in ("float32", "float64"):
        unit = (pixels / 255).astype(dtype)
        np.testing.assert_array_equal(loading.load(unit).pixels, pixels)
        np.testing.assert_array_equal(loading.load([unit * 2 - 1, unit[:, 8:].repeat(2, 1)]).pixels[0], pixels[0])
        found = loading.load(pixels.astype(dtype)).pixels
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, pixels)
        np.testing.assert_array_equal(loading.load(pixels.astype(dtype) * 257).pixels, pixels * np.uint16(257))
    np.testing.assert_array_equal(loading.load((pixels / 255 + 1e-3).clip(0, 1)).pixels, pixels)
    many = np.full((300, 4, 4), 0.5)
    assert loading.load(many).names == tuple(map(str, range(300)))
    assert [len(part) for part in loading.blocks(many, block=128)] == [128, 128, 44]


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ([[0.5, 300]], "whole numbers up to 65535, got values from 0.5 to 300"),
        ([[-2, 1]], "floats from 0 to 1 or from -1 to 1, or whole numbers, got values from -2 to 1"),
        ([[0.5, float("nan")]], "floats from 0 to 1 or from -1 to 1, or whole numbers, got values from nan to nan"),
        ([[0.5, 1], [-0.5, 1]], "floats from 0 to 1 like the first, got values from -0.5 to 1"),
        ([[0, 200], [0, 0.5]], "whole numbers up to 255, got values from 0 to 0.5"),
        ([[0, 200], [0, 300]], "whole numbers up to 255, got values from 0 to 300"),
        ([[-0.5, 1], [0, 200]], "floats from -1 to 1 like the first, got values from 0 to 200"),
    ],
)
def test_floats_of_no_range_or_of_two_are_refused(values: list[list[float]], rule: str) -> None:
    for threads in (1, 2):
        with raises(f"source: expected {rule}; scale them"):
            loading.load([np.array(each, float).reshape(1, 1, 2) for each in values], threads=threads)


class Exported:
    """An array of another library, which exports it by DLPack alone."""

    def __dlpack__(self, **options: Any) -> Any:
        return stack().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return stack().__dlpack_device__()


class OnDevice:
    """A tensor that has to be detached and copied."""

    def detach(self) -> "OnDevice":
        return self

    def cpu(self) -> Tensor:
        return Tensor()


class Unreadable:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        raise TypeError("implicit conversion is not allowed")


def test_arrays_of_other_libraries() -> None:
    for source in (Exported(), OnDevice(), [Exported()], iter([OnDevice()])):
        np.testing.assert_array_equal(loading.load(source).pixels, stack())  # type: ignore[arg-type]
    with raises("source: Unreadable: cannot be decoded: implicit conversion is not allowed"):
        loading.load(Unreadable())  # type: ignore[arg-type]


def test_pillow_images() -> None:
    images = [Image.fromarray(image) for image in stack()]
    np.testing.assert_array_equal(loading.load(images).pixels, stack())  # type: ignore[arg-type]
    np.testing.assert_array_equal(loading.load(images[0].convert("RGB")).pixels, stack()[:1])  # type: ignore[arg-type]
    with raises('source: Image: colour; pass grey="luminance"'):
        loading.load(Image.new("RGB", (4, 4), (1, 2, 3)))  # type: ignore[arg-type]


def test_labels_of_batches_are_no_images() -> None:
    pixels, labels = stack(), np.arange(3)
    for batch in ((pixels, labels), [pixels, 1], (pixels, [0, 1, 1]), {"image": pixels, "label": labels, "name": "x"}):
        np.testing.assert_array_equal(loading.load(iter([batch, batch])).pixels, np.concatenate([pixels] * 2))
    for wrong in ({"a": 1}, {"a": pixels, "b": pixels}):
        count = sum(isinstance(value, np.ndarray) for value in wrong.values())
        keys = ", ".join(map(repr, wrong))
        with raises(f"source: expected a batch with one array of images, got {count} among {keys}"):
            loading.load(wrong)


def test_arrays_and_series_of_paths(tmp_path: Path) -> None:
    write(tmp_path, stack(3))
    paths = [str(tmp_path / f"{i}.png") for i in (2, 0, 1)]
    series = pytest.importorskip("pandas").Series(paths, index=[5, 6, 7])
    for source in (np.array(paths), np.array(paths, object), series):
        np.testing.assert_array_equal(loading.load(source).pixels, stack(3)[[2, 0, 1]])


def test_patterns_of_paths(tmp_path: Path) -> None:
    write(tmp_path, stack(12))
    (tmp_path / "notes.csv").write_text("x")
    found = loading.load(str(tmp_path / "1*.png"))
    assert found.names == tuple((tmp_path / f"{i}.png").as_posix() for i in (1, 10, 11))
    write(tmp_path / "[a]", stack(1))
    assert len(loading.load(str(tmp_path / "[a]"))) == 1
    with raises(f"source: expected an existing folder or file, got {str(tmp_path / 'z*.png')!r}"):
        loading.load(str(tmp_path / "z*.png"))


def test_lists_are_nested_so_deep() -> None:
    nested: Any = []
    nested.append(nested)
    deep: Any = [stack()]
    for _ in range(2000):
        deep = [deep]
    for source in (nested, deep):
        with pytest.raises(InputError, match=r"got lists nested more than 20 deep$"):
            loading.load(source)


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_out_of_range_are_refused(value: int) -> None:
    pixels = np.zeros((3, 2, 2), np.int64)
    pixels[1, 0, 0] = value
    low, high = min(value, 0), max(value, 0)
    with raises(f"source: image 1: values from {low} to {high}, outside 0 to 65535; scale them"):
        loading.load(pixels)


@pytest.mark.parametrize(
    ("source", "got"),
    [
        (None, "None (NoneType)"),
        (5, "5 (int)"),
        (b"folder", "b'folder' (bytes)"),
        ({"a.png"}, "{'a.png'} (set)"),
        ([1, 2], "1 (int)"),
        ([], "an empty list"),
        ((), "an empty tuple"),
    ],
)
def test_anything_else_is_refused(source: Any, got: str) -> None:
    what = "source: expected a folder, a path, a URL, an (n, h, w) array, Slices, or a list or iterator of these"
    with raises(f"{what}, got {got}"):
        loading.load(source)


def test_paths_are_text() -> None:
    class Odd:
        def __fspath__(self) -> bytes:
            return b"folder"

    with raises("source: expected paths as text, got b'folder' (bytes)"):
        loading.load(Odd())  # type: ignore[arg-type]


# --- Size and depth --------------------------------------------------------------------------------------------------


def test_mixed_sizes_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, stack(40), "a{}.png")
    write(tmp_path, stack(2, 9, 6), "b{}.png")
    write(tmp_path, stack(40, 7, 7), "c{}.png")
    for threads in (1, 4):
        with raises(
            "source: expected one height x width and bit depth, got 8x6 8-bit (a0.png), 9x6 8-bit (b0.png), "
            "7x7 8-bit (c0.png); pass size=(8, 6) to resample"
        ):
            loading.load(tmp_path, threads=threads)


def test_many_sizes_are_counted() -> None:
    source = [np.zeros((1, 4, 4 + i), np.uint8) for i in range(40)]
    with pytest.raises(InputError, match=r"4x15 8-bit \(11\), and 28 more; pass size=\(4, 4\) to resample$"):
        loading.load(source)


def test_mixed_depths_are_named() -> None:
    with raises(
        "source: expected one height x width and bit depth, got 8x6 8-bit (0), 8x6 16-bit (3); "
        "save all with the same bit depth"
    ):
        loading.load([stack(3), stack(2, dtype="uint16")])
    with raises(
        "source: expected one height x width and bit depth, got 8x6 8-bit (0), 7x6 16-bit (3); "
        "pass size=(8, 6) to resample and save all with the same bit depth"
    ):
        loading.load([stack(3), stack(2, 7, dtype="uint16")])


@pytest.mark.parametrize("block", [1, 3, 5, 8])
def test_a_stream_is_held_against_its_first_image(block: int) -> None:
    source = [stack(3), stack(2, 7)]
    for threads in (1, 3):
        stream = loading.blocks(source, block=block, threads=threads)
        with raises(
            "source: expected one height x width and bit depth, got 8x6 8-bit (0), 7x6 8-bit (3); "
            "pass size=(8, 6) to resample"
        ):
            list(stream)


def test_a_plan_is_held_against_what_is_expected() -> None:
    real = Slices(stack(1), ("real 1.png",))
    for expect in (real, real.format):
        good, bad = loading.listing([stack(2), stack(2, 7)], expect=expect, argument="fake").plan(2)
        assert len(good()) == 2
        with raises(
            "fake: expected height x width 8x6 8-bit like real 1.png, got 7x6 8-bit (2); pass size=(8, 6) to resample"
        ):
            bad()
    (task,) = loading.listing(stack(2, 7), expect=real, size=(8, 6)).plan(2)
    assert task().format == real.format
    empty = Slices(np.empty((0, 4, 4), np.uint8), ())
    (task,) = loading.listing(stack(2), expect=empty).plan(2)
    assert len(task()) == 2


def test_a_block_without_images_has_the_expected_shape(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    (task,) = loading.listing(tmp_path, expect=PixelFormat(8, 6, "uint16")).plan(2)
    assert task().pixels.shape == (0, 8, 6)
    assert task().pixels.dtype == np.uint16
    (task,) = loading.listing(tmp_path).plan(2)
    assert task().pixels.shape == (0, 0, 0)


def test_agree() -> None:
    first, other = Slices(stack(1), ("a",)), Slices(stack(1, 7), ("b",))
    assert loading.agree(None, first[:0]) is None
    first_format = loading.agree(None, first)
    assert first_format == PixelFormat(8, 6, "uint8")
    assert first_format is not None
    assert first_format.origin == "a"
    assert loading.agree(first_format, first[:0]) is first_format
    assert loading.agree(first_format, first) is first_format
    with raises(
        "fake: expected one height x width and bit depth, got 8x6 8-bit (a), 7x6 8-bit (b); "
        "pass size=(8, 6) to resample"
    ):
        loading.agree(first_format, other, argument="fake")


def test_concatenate() -> None:
    first = Slices(stack(2), ("a", "b"), (Failure("x", "broken"),), 1)
    second = Slices(stack(3), ("c", "d", "e"), (Failure("y", "broken"),), 2)
    joined = loading.concatenate(first, second[:0], second)
    np.testing.assert_array_equal(joined.pixels, np.concatenate([stack(2), stack(3)]))
    assert joined.names == ("a", "b", "c", "d", "e")
    assert joined.failed == first.failed + second.failed
    assert joined.ignored == 3
    with raises(
        "reference: expected one height x width and bit depth, got 8x6 8-bit (a), 7x6 8-bit (f); "
        "pass size=(8, 6) to resample"
    ):
        loading.concatenate(first, Slices(stack(1, 7), ("f",)), argument="reference")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("size", "shape"), [(4, (4, 4)), ((4, 12), (4, 12)), ([16, 3], (16, 3))])
def test_resampling(dtype: str, size: Any, shape: tuple[int, int]) -> None:
    pixels = stack(3, dtype=dtype)
    found = loading.load([pixels, stack(2, *shape, dtype=dtype)], size=size)
    assert found.pixels.shape == (5, *shape)
    assert found.pixels.dtype == dtype
    expected = [
        np.asarray(Image.fromarray(image.astype(np.float32)).resize(shape[::-1], Image.Resampling.BILINEAR))
        for image in pixels
    ]
    np.testing.assert_array_equal(found.pixels[:3], np.rint(expected))
    np.testing.assert_array_equal(found.pixels[3:], stack(2, *shape, dtype=dtype))


def test_resampling_stays_in_range() -> None:
    pixels = np.full((1, 9, 9), 65535, np.uint16)
    assert (loading.load(pixels, size=4).pixels == 65535).all()
    assert loading.load(Slices(pixels, ("a",)), size=4).height == 4


@pytest.mark.parametrize("size", [0, (0, 4), (4, -1)])
def test_sizes_are_positive(size: Any) -> None:
    with pytest.raises(InputError, match=r"^size: expected an integer of at least 1, got (0|-1)$"):
        loading.load(stack(), size=size)


def test_other_wrong_arguments() -> None:
    with raises("size: expected an integer of at least 1, got (1, 2, 3) (tuple)"):
        loading.load(stack(), size=(1, 2, 3))  # type: ignore[arg-type]
    with raises("size: expected at most 67108864 pixels, got 8193x8193"):
        loading.load(stack(), size=8193)
    with raises("on_error: expected one of 'collect', 'raise', got 'ignore' (str)"):
        loading.load(stack(), on_error="ignore")
    with raises("on_error: expected one of 'collect', 'raise', got 'ignore' (str)"):
        loading.listing(stack(), on_error="ignore").plan(2)
    with raises("block: expected an integer of at least 1, got 0"):
        loading.blocks(stack(), block=0)
    with raises("threads: expected an integer of at least 1, got 0"):
        loading.blocks(stack(), threads=0)
    with raises("threads: expected an integer of at least 1, got 0"):
        loading.load(stack(), threads=0)


# --- Streams ---------------------------------------------------------------------------------------------------------


def test_the_same_comes_out_whatever_the_blocks_and_threads(tmp_path: Path) -> None:
    write(tmp_path, stack(7))
    (tmp_path / "3.png").write_bytes(b"")

    def source() -> Iterator[Any]:
        yield stack(5)
        yield tmp_path
        yield [Slices(stack(2), ("a", "b")), stack(1)]
        yield (image[None] for image in stack(3))

    whole = loading.load(source(), threads=1)
    assert len(whole) == 5 + 6 + 2 + 1 + 3
    assert whole.names[-4:] == ("5", "6", "7", "8")
    for block, threads in itertools.product((1, 2, 3, 100), (1, 2, 5)):
        parts = list(loading.blocks(source(), block=block, threads=threads))
        assert all(len(part) + len(part.failed) == block for part in parts[:-1])
        assert sum((part.names for part in parts), ()) == whole.names
        assert sum((part.failed for part in parts), ()) == whole.failed
        np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts if len(part)]), whole.pixels)
        again = loading.load(source(), threads=threads)
        np.testing.assert_array_equal(again.pixels, whole.pixels)


def test_an_iterator_is_consumed_as_slowly_as_its_blocks() -> None:
    taken = 0

    def source() -> Iterator[Array]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield stack(2)

    stream = loading.blocks(source(), block=4, threads=2)
    assert taken == 0
    next(stream)
    assert 0 < taken <= 20
    stream.close()
    assert taken <= 20
    tasks = loading.listing(source()).plan(4)
    next(tasks)
    assert taken <= 22


def test_memory_is_bounded_by_the_blocks(tmp_path: Path) -> None:
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(2000, 128, 128))
    del mapped
    tracemalloc.start()
    try:
        count = sum(len(part) for part in loading.blocks(tmp_path / "x.npy", block=20, threads=2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 10 * 20 * 128 * 128


def test_an_iterator_may_reuse_its_array() -> None:
    def source() -> Iterator[Array]:
        buffer = np.empty((1, 4, 4), np.uint8)
        for value in range(50):
            buffer[:] = value
            yield buffer

    for block in (1, 8):
        values = [int(image[0, 0]) for part in loading.blocks(source(), block=block, threads=4) for image in part]
        assert values == list(range(50))
    np.testing.assert_array_equal(loading.load(source()).pixels[:, 0, 0], range(50))


def test_a_wrong_item_is_an_error_at_its_turn() -> None:
    def source() -> Iterator[Any]:
        yield stack(4)
        yield "nowhere"
        raise AssertionError

    for threads in (1, 3):
        stream = loading.blocks(source(), block=2, threads=threads)
        assert [len(next(stream)), len(next(stream))] == [2, 2]
        with raises("source: expected an existing folder or file, got 'nowhere'"):
            next(stream)


def test_an_error_of_the_iterator_itself_passes_through() -> None:
    def source() -> Iterator[Array]:
        yield stack(4)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        loading.load(source())


def test_an_empty_iterator_has_no_image() -> None:
    with raises("source: expected at least one usable image, got none"):
        loading.load(iter([]))
    with raises("source: expected at least one usable image, got none"):
        list(loading.blocks(iter([])))
    assert list(loading.listing(iter([])).plan(2)) == []


def test_threads_end_when_a_stream_is_abandoned(tmp_path: Path) -> None:
    write(tmp_path, stack(50))
    before = threading.active_count()
    stream = loading.blocks(tmp_path, block=2, threads=3)
    next(stream)
    assert threading.active_count() > before
    stream.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # pragma: no cover
    assert threading.active_count() == before


def test_tasks_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, stack(5))
    for source in (tmp_path, stack(5), Slices(stack(5), tuple("abcde"))):
        for task in loading.listing(source).plan(2):
            again = pickle.loads(pickle.dumps(task))()
            np.testing.assert_array_equal(again.pixels, task().pixels)
            assert again.names == task().names


def test_tasks_of_npy_hold_paths_only(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((100, 64, 64), np.uint8))
    tasks = list(loading.listing(tmp_path / "x.npy").plan(50))
    assert [len(task()) for task in tasks] == [50, 50]
    assert all(len(pickle.dumps(task)) < 1000 for task in tasks)


def test_errors_can_be_pickled() -> None:
    (task,) = loading.listing([stack(1), stack(1, 7)]).plan(4)
    with pytest.raises(InputError) as caught:
        task()
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) is InputError
    assert str(again) == str(caught.value)


def test_silent_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, stack(5))
    loading.load(tmp_path)
    assert capfd.readouterr() == ("", "")
    loading.load(tmp_path, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "5/5" in err
    loading.load(iter([tmp_path]), progress=True)
    assert "5image" in capfd.readouterr().err


def test_a_plan_tells_how_many_images_there_are_without_reading_them(tmp_path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    (tmp_path / "notes.csv").write_bytes(b"")
    array = np.zeros((4, 8, 8), np.uint8)

    def total(source: Any) -> int | None:
        return loading.listing(source).plan(2).total

    assert total(tmp_path) == 3
    assert total([tmp_path, array, Slices(array, tuple("abcd"), failed=(Failure("e", "empty"),))]) == 12
    assert total(iter([array])) is None
    np.save(tmp_path / "stack.npy", array)
    assert total(tmp_path) is None
    with pytest.raises(InputError, match="source: expected"):
        total("/no/such/folder")


def test_pick_reads_images_again_by_name(tmp_path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 8, 6), dtype=np.uint8)
    for i in range(3):
        Image.fromarray(array[i]).save(tmp_path / f"{i}.png")
    np.save(tmp_path / "stack.npy", array)
    wanted = ["stack.npy[3]", "2.png", "0.png"]
    found = loading.pick(tmp_path, wanted)
    assert found.names == tuple(wanted)
    assert np.array_equal(found.pixels, array[[3, 2, 0]])
    assert np.array_equal(loading.pick([array[:2], array[2:]], ["3", "1"]).pixels, array[[3, 1]])
    assert loading.pick(tmp_path, ["1.png"], size=4).pixels.shape == (1, 4, 4)
    (tmp_path / "again").mkdir()
    Image.fromarray(array[3]).save(tmp_path / "again/0.png")
    (tmp_path / "again/1.png").write_bytes(b"no picture")
    twice = [loading.load(tmp_path / "again"), Slices(array, ("0.png", "1.png", "2.png", "3.png"))]
    found = loading.pick(twice, ["0.png", "0.png", "1.png"], positions=[1, 0, 2])
    assert np.array_equal(found.pixels, array[[0, 3, 1]])
    with pytest.raises(InputError, match=r"fake: expected a usable image named '9\.png', found none"):
        loading.pick(tmp_path, ["9.png"], argument="fake")
    with pytest.raises(InputError, match="fake: an iterator cannot be read a second time"):
        loading.pick(iter([array]), ["1"], argument="fake")


def test_pillow_is_loaded_late() -> None:
    heavy = {"PIL", "tqdm", "scipy", "numba", "pydicom"}
    code = f"import sys, fingerprint._images.loading; assert not {heavy!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


RGB = np.random.default_rng(4).integers(0, 256, (3, 9, 7, 3), np.uint8)
LUMINANCE = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in RGB])


@pytest.mark.parametrize(
    "source",
    [RGB, RGB.transpose(0, 3, 1, 2), [Image.fromarray(image) for image in RGB], iter([RGB[:1], RGB[1:]])],
    ids=["channels last", "channels first", "Pillow", "batches"],
)
def test_the_luminance_of_colour_is_that_of_pillow(source) -> None:
    assert np.array_equal(loading.load(source, grey="luminance").pixels, LUMINANCE)


def test_the_luminance_of_floats_is_rounded_once() -> None:
    found = loading.load(RGB / 255, grey="luminance").pixels
    assert np.abs(found.astype(int) - LUMINANCE).max() <= 1
    exact = (19595 * RGB[..., 0].astype(int) + 38470 * RGB[..., 1].astype(int) + 7471 * RGB[..., 2].astype(int)) / 65536
    assert np.abs(found - exact).max() <= 0.5 + 1e-9


def test_the_luminance_of_colour_in_files(tmp_path) -> None:
    for image, name in zip(RGB, ("a.png", "b.bmp", "c.tif"), strict=True):
        Image.fromarray(image).save(tmp_path / name)
        with raises(f'source: {(tmp_path / name).as_posix()}: colour; pass grey="luminance"'):
            loading.load([tmp_path / name], on_error="raise")
    assert np.array_equal(loading.load(tmp_path, grey="luminance").pixels, LUMINANCE)
    Image.fromarray(RGB[0]).quantize(8).save(tmp_path / "a.png")
    expected = np.asarray(Image.open(tmp_path / "a.png").convert("RGB").convert("L"))
    assert np.array_equal(loading.load(tmp_path / "a.png", grey="luminance").pixels[0], expected)


def test_grey_images_are_the_same_by_luminance() -> None:
    grey = RGB[..., 0]
    assert np.array_equal(loading.load(np.repeat(grey[..., None], 3, axis=3), grey="luminance").pixels, grey)


def test_four_channels_and_unknown_ways_to_grey_are_refused() -> None:
    with raises("source: expected three channels of colour, got four, ndarray of shape (2, 9, 7, 4) and dtype uint8"):
        loading.load(np.zeros((2, 9, 7, 4), np.uint8), grey="luminance")
    with pytest.raises(InputError, match="grey: expected"):
        loading.load(RGB, grey="red")  # type: ignore[arg-type]


def test_blocks_of_large_images_are_smaller():
    def sizes(side, block, count=300):
        expect = loading.PixelFormat(side, side, "uint8")
        pixels = np.broadcast_to(np.zeros(1, np.uint8), (count, side, side))
        tasks = loading.listing(pixels, expect=expect).plan(block)
        return {len(task.parts[0].pixels) for task in itertools.islice(tasks, 2)}

    assert [sizes(side, 128) for side in (64, 256, 1024, 2048)] == [{128}, {128}, {64}, {16}]
    assert sizes(2048, 5) == {5}
