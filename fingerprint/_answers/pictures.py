"""Pictures of evidence: a real image beside a synthetic one, their difference, where they match and patches gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.rows import Rectangle

if TYPE_CHECKING:
    from PIL.Image import Image

    from fingerprint._base.types import Array
    from fingerprint._patches.gains import GainMap

SHOWN = 12  # rectangles that are drawn, those with the largest gains
_HEIGHT = 384  # of a panel in pixels, at least
_HOT = 6.0  # mean gain at which the heat map is brightest
_GAP = 8
_LETTERS = 18  # height of the number of a patch in pixels


def heat(gain_map: GainMap, height: int, width: int) -> Array:
    """Spread the gains of the patches over the pixels they cover.

    Parameters
    ----------
    gain_map : GainMap
        Of one pair.
    height, width : int
        Of the images in pixels.

    Returns
    -------
    ndarray
        (height, width) float64: mean gain of the patches over each pixel, 0 where there is none.
    """
    total, cover = np.zeros((2, height, width))
    for r, y in enumerate(gain_map.rows):
        for c, x in enumerate(gain_map.columns):
            here = np.s_[y : y + gain_map.patch_size, x : x + gain_map.patch_size]
            total[here] += gain_map.gains[r, c]
            cover[here] += 1
    return total / np.maximum(cover, 1)


def rectangles(gain_map: GainMap, count: int) -> list[Rectangle]:
    """Return the patches with the largest gains that do not cover each other by more than half.

    Parameters
    ----------
    gain_map : GainMap
        Of one pair.
    count : int
        How many at most.

    Returns
    -------
    list of Rectangle
        The largest gain first.
    """
    found: list[Rectangle] = []
    for flat in np.argsort(-gain_map.gains, axis=None, kind="stable"):
        r, c = divmod(int(flat), gain_map.gains.shape[1])
        gain = float(gain_map.gains[r, c])
        if gain <= 0 or len(found) == count:
            break
        y, x = int(gain_map.rows[r]), int(gain_map.columns[c])
        apart = (max(abs(y - other[0]), abs(x - other[1])) for other in found)
        if all(2 * distance > gain_map.patch_size for distance in apart):
            dy, dx = gain_map.offsets[r, c].tolist()
            found.append(Rectangle(y, x, y + dy, x + dx, gain))
    return found


def panels(real: Array, fake: Array, gain_map: GainMap) -> list[Image]:
    """Draw a real image, its synthetic match, the difference of both, and the heat map of the gains.

    Parameters
    ----------
    real, fake : ndarray
        (h, w) uint8 or uint16, of one size. The synthetic image is drawn mirrored if `gain_map` says so.
    gain_map : GainMap
        Where they match.

    Returns
    -------
    list of PIL.Image.Image
        Four in RGB, of one size. Rectangles of one number mark a patch and its match. The difference is black where the
        pixels are equal, and white from a quarter of all grey levels apart. The heat map lies over the real image.
    """
    from PIL import Image

    height, width = real.shape
    zoom = -(-_HEIGHT // height)
    shown = fake[:, ::-1] if gain_map.mirrored else fake
    strength = np.clip(heat(gain_map, height, width)[..., None] / _HOT, 0, 1)
    overlay = _grey(real)[..., None] * (1 - 0.7 * strength) + strength * 0.7 * np.array([255.0, 90.0, 0.0])
    colours = [np.repeat(one[..., None], 3, axis=2) for one in (_grey(real), _grey(shown), _difference(real, shown))]
    drawn = [
        Image.fromarray(panel.astype(np.uint8)).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        for panel in (*colours, overlay)
    ]
    for number, (y, x, top, left, _) in enumerate(rectangles(gain_map, SHOWN)):
        _frame(drawn[0], number, y * zoom, x * zoom, gain_map.patch_size * zoom)
        _frame(drawn[1], number, top * zoom, left * zoom, gain_map.patch_size * zoom)
    return drawn


def draw(real: Array, fake: Array, gain_map: GainMap) -> Image:
    """Draw the `panels` side by side; parameters as there."""
    from PIL import Image

    found = panels(real, fake, gain_map)
    width, height = found[0].size
    canvas = Image.new("RGB", (len(found) * (width + _GAP) - _GAP, height), "white")
    for n, panel in enumerate(found):
        canvas.paste(panel, (n * (width + _GAP), 0))
    return canvas


def _frame(panel: Image, number: int, top: int, left: int, size: int) -> None:
    """Frame a patch, and write its number, from 1, into the upper left corner."""
    from PIL import ImageDraw, ImageFont

    pen, colour = ImageDraw.Draw(panel), f"hsl({360 * number // SHOWN}, 100%, 55%)"
    pen.rectangle([left, top, left + size - 1, top + size - 1], outline=colour, width=2)
    font, corner = ImageFont.load_default(_LETTERS), (left + 4, top + 3)
    pen.rectangle([left + 2, top + 2, pen.textbbox(corner, str(number + 1), font)[2] + 1, top + _LETTERS + 4], "black")
    pen.text(corner, str(number + 1), "white", font)


def _grey(image: Array) -> Array:
    """Return an image in grey levels from 0 to 255, 16-bit ones stretched to their range."""
    if image.dtype == np.uint8:
        return image.astype(np.float64)
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) * (255 / max(high - low, 1)))


def _difference(real: Array, fake: Array) -> Array:
    """Return how far apart the pixels of two images are, 255 from a quarter of all grey levels on."""
    low, high = (0, 255) if real.dtype == np.uint8 else (min(real.min(), fake.min()), max(real.max(), fake.max()))
    apart = np.abs(real.astype(np.float64) - fake)
    return np.asarray(np.minimum(apart * (4 * 255 / max(float(high) - float(low), 1)), 255))
