"""Arrays, tensors, batches and lists as sources, and colour."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import Array, raises, stack, write
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import loading
from fingerprint._images.loading import Failure, Slices


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
