"""Images in memory: what Slices hold, and that they agree in size and depth."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import raises, stack, write
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import loading
from fingerprint._images.loading import Failure, PixelFormat, Slices


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


def test_pillow_is_loaded_late() -> None:
    heavy = {"PIL", "tqdm", "scipy", "numba", "pydicom"}
    code = f"import sys, fingerprint._images.loading; assert not {heavy!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
