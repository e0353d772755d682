"""Arrays in files, and archives."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from images import reason, stack
from PIL import Image

from fingerprint._images import loading
from fingerprint._images.loading import Failure


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
