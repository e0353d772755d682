"""Evidence drawn for people: the rectangles and colours are where the arrays say."""

import numpy as np
import pytest

from fingerprint._answers import pictures
from fingerprint._patches.gains import GainMap

HEIGHT, WIDTH, SIZE = 24, 28, 8


def example(*, mirrored=False):
    """Patches every 4 pixels; two of them match, two pixels lower."""
    rows, columns = np.arange(0, HEIGHT - SIZE + 1, 4), np.arange(0, WIDTH - SIZE + 1, 4)
    gains = np.zeros((len(rows), len(columns)))
    gains[1, 1], gains[1, 2], gains[3, 4] = 6.0, 5.0, 3.0
    offsets = np.zeros((*gains.shape, 2), np.int64)
    offsets[..., 0] = 2
    return GainMap(rows, columns, SIZE, gains, offsets, mirrored)


def test_the_heat_map_is_the_mean_of_the_patches_over_a_pixel():
    found = example()
    heat = pictures.heat(found, HEIGHT, WIDTH)
    assert heat.shape == (HEIGHT, WIDTH)
    for y, x in ((0, 0), (5, 5), (10, 13), (19, 22), (23, 27)):
        over = [
            found.gains[r, c]
            for r, top in enumerate(found.rows)
            for c, left in enumerate(found.columns)
            if top <= y < top + SIZE and left <= x < left + SIZE
        ]
        assert heat[y, x] == pytest.approx(np.mean(over) if over else 0)


def test_rectangles_are_the_best_patches_apart_from_each_other():
    # the second best covers half of the best
    assert pictures.rectangles(example(), 5) == [(4, 4, 6, 4, 6.0), (12, 16, 14, 16, 3.0)]
    assert pictures.rectangles(example(), 1) == [(4, 4, 6, 4, 6.0)]


def test_rectangles_are_as_few_as_there_are_patches():
    gains = np.array([[1.0, 2.0]])
    found = GainMap(np.array([0]), np.array([0, SIZE]), SIZE, gains, np.zeros((1, 2, 2), np.int64), False)
    assert pictures.rectangles(found, 5) == [(0, SIZE, 0, SIZE, 2.0), (0, 0, 0, 0, 1.0)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_drawing(dtype):
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, np.iinfo(dtype).max, (2, HEIGHT, WIDTH)).astype(dtype)
    picture = pictures.draw(real, fake, example())
    zoom = 16
    assert picture.size == (4 * WIDTH * zoom + 24, HEIGHT * zoom)
    assert picture.mode == "RGB"
    pixels = np.asarray(picture).astype(int)
    red = [255, 25, 25]
    # the best patch of the real image, and its match two pixels lower, have one colour
    assert np.abs(pixels[4 * zoom, 4 * zoom] - red).max() <= 2
    assert np.abs(pixels[6 * zoom, WIDTH * zoom + 8 + 4 * zoom] - red).max() <= 2
    grey = pixels[-1, : WIDTH * zoom]
    assert (grey == grey[:, :1]).all()
    # the last panel is coloured where there is a gain, and only there
    heat = pixels[:, 3 * (WIDTH * zoom + 8) :]
    assert (heat[6 * zoom + 8, 6 * zoom + 8, 0]) > heat[6 * zoom + 8, 6 * zoom + 8, 2]
    assert (heat[-1] == heat[-1][:, :1]).all()


def test_a_mirrored_match_is_drawn_mirrored():
    real = np.zeros((HEIGHT, WIDTH), np.uint8)
    fake = real.copy()
    fake[:, 0] = 200
    as_is, mirrored = (np.asarray(pictures.draw(real, fake, example(mirrored=m))) for m in (False, True))
    left, right = WIDTH * 16 + 8, 2 * WIDTH * 16 + 7  # of the second panel
    assert as_is[0, left, 0] == 200
    assert as_is[0, right, 0] == 0
    assert mirrored[0, left, 0] == 0
    assert mirrored[0, right, 0] == 200


def test_a_flat_16_bit_image_is_black():
    flat = np.full((HEIGHT, WIDTH), 700, np.uint16)
    assert not np.asarray(pictures.draw(flat, flat, example()))[-1, : WIDTH * 16].any()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 64), (np.uint16, 256)])
def test_the_third_panel_is_the_difference_on_a_scale_that_is_stated(dtype, white):
    real = np.full((HEIGHT, WIDTH), 100, dtype)
    real[-1, -1] += np.array(4 * white, dtype) if dtype == np.uint16 else 0
    fake = real.copy()
    fake[0, :3] = 100 + white // 4, 100 + white // 2, 100 + 2 * white
    panel = np.asarray(pictures.panels(real, fake, example())[2])[::16, ::16]
    assert np.abs(panel[0, :3, 0].astype(int) - [64, 128, 255]).max() <= 1
    assert panel.max(axis=2)[1:].sum() == panel[0, 3:].sum() == 0


def test_a_patch_and_its_match_have_one_number_that_no_hue_is_needed_for():
    flat = np.full((HEIGHT, WIDTH), 128, np.uint8)
    real, fake, *_ = (np.asarray(panel.convert("L")) for panel in pictures.panels(flat, flat, example()))
    first, second = (
        real[66:84, 66:84],
        real[194:212, 258:276],
    )  # inside the frames of the patches at (4, 4) and (12, 16)
    assert (first == fake[98:116, 66:84]).all()
    assert (second == fake[226:244, 258:276]).all()
    for corner in (first, second):
        assert corner.min() == 0
        assert corner.max() > 200
    assert (first != second).any()
