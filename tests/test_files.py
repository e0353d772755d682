"""Files of one image: exact pixels, and what is refused rather than changed."""

import struct
from pathlib import Path

import numpy as np
import pytest
from images import chunk, one, png, reason, stack, tiff
from PIL import Image


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
