"""Folders, lists and links: what is found, in which order, under which names."""

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import raises, stack, write
from PIL import Image

from fingerprint._images import loading
from fingerprint._images.loading import Failure, Slices


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
