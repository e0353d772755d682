"""Pictures of evidence: a real image beside a synthetic one, where they match, and where patches gain."""

from __future__ import annotations

import base64
import io
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


def draw(real: Array, fake: Array, gain_map: GainMap) -> Image:
    """Draw a real image, its synthetic match and the heat map of the gains side by side.

    Parameters
    ----------
    real, fake : ndarray
        (h, w) uint8 or uint16, of one size. The synthetic image is drawn mirrored if `gain_map` says so.
    gain_map : GainMap
        Where they match.

    Returns
    -------
    PIL.Image.Image
        RGB. Rectangles of one colour mark a patch and its match; the heat map lies over the real image.
    """
    from PIL import Image, ImageDraw

    height, width = real.shape
    zoom = -(-_HEIGHT // height)
    shown_fake = fake[:, ::-1] if gain_map.mirrored else fake
    warm = heat(gain_map, height, width)[..., None]
    strength = np.clip(warm / _HOT, 0, 1)
    overlay = _grey(real)[..., None] * (1 - 0.7 * strength) + strength * 0.7 * np.array([255.0, 90.0, 0.0])
    panels = [np.repeat(_grey(side)[..., None], 3, axis=2) for side in (real, shown_fake)] + [overlay]
    canvas = Image.new("RGB", (3 * width * zoom + 2 * _GAP, height * zoom), "white")
    for n, panel in enumerate(panels):
        shown = Image.fromarray(panel.astype(np.uint8)).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        canvas.paste(shown, (n * (width * zoom + _GAP), 0))
    pen = ImageDraw.Draw(canvas)
    for n, (y, x, top, left, _) in enumerate(rectangles(gain_map, SHOWN)):
        colour = f"hsl({360 * n // SHOWN}, 100%, 55%)"
        for panel_number, (upper, edge) in enumerate(((y, x), (top, left))):
            start = panel_number * (width * zoom + _GAP)
            box = [
                edge * zoom,
                upper * zoom,
                (edge + gain_map.patch_size) * zoom - 1,
                (upper + gain_map.patch_size) * zoom - 1,
            ]
            pen.rectangle([start + box[0], box[1], start + box[2], box[3]], outline=colour, width=2)
    return canvas


def data_uri(picture: Image, kind: str, **options: object) -> str:
    """Return a picture as text that stands for a file in a page."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _grey(image: Array) -> Array:
    """Return an image in grey levels from 0 to 255, 16-bit ones stretched to their range."""
    if image.dtype == np.uint8:
        return image.astype(np.float64)
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) * (255 / max(high - low, 1)))
