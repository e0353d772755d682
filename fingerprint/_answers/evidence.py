"""Evidence for people: a real image, the synthetic image that gave most away, and where they match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fingerprint._answers import pictures
from fingerprint._answers.rows import Rectangle
from fingerprint._base import display
from fingerprint._base.output import printable
from fingerprint._base.public import public
from fingerprint._base.results import Result, Table

if TYPE_CHECKING:
    from PIL.Image import Image

    from fingerprint._answers.rows import Match
    from fingerprint._base.types import Array
    from fingerprint._patches.gains import GainMap


@public
@dataclass(frozen=True, eq=False, repr=False)
class Evidence(Result):
    """A real image, a synthetic image that gives it away, and where they match.

    Parameters
    ----------
    name : str
        Of the real image.
    match : Match
        The synthetic image, with its distance and its gain.
    real, fake : ndarray
        (h, w) uint8 or uint16.
    where : GainMap
        Which patches match, how far apart, and by how much better than in other real images.
    """

    name: str
    match: Match
    real: Array
    fake: Array
    where: GainMap

    def heat(self) -> Array:
        """Return (h, w) float64: the mean gain of the patches over each pixel of the real image."""
        return pictures.heat(self.where, *self.real.shape)

    def rectangles(self, count: int = pictures.SHOWN) -> list[Rectangle]:
        """Return the patches with the largest gains, the largest first."""
        return pictures.rectangles(self.where, count)

    def panels(self) -> list[Image]:
        """Return the four parts of `image`."""
        return pictures.panels(self.real, self.fake, self.where)

    def image(self) -> Image:
        """Return a picture: the real image, the synthetic one, their difference, and the heat map of the gain."""
        return pictures.draw(self.real, self.fake, self.where)

    def __str__(self) -> str:
        """Return in one line what was compared, and how many patches match."""
        matching = int((self.where.gains > 0).sum())
        mirrored = " mirrored" * self.where.mirrored
        text = f"Real image {self.name} and synthetic image {self.match}{mirrored}: {matching} patches match"
        return printable(text)

    def _repr_html_(self) -> str:
        return display.paragraph(str(self)) + display.picture(self.image())

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        return list(Rectangle._fields), self.rectangles(self.where.gains.size)

    def _content(self) -> dict[str, object]:
        held = super()._content()
        return {name: held[name] for name in ("name", "match", "where")} | {"rectangles": self.rectangles()}
