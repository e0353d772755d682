"""The best synthetic images of every row, of a stream in parts: one merge for all that ranks synthetic images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base.naming import ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from fingerprint._base.types import Array


@dataclass(frozen=True, eq=False)
class Best:
    """The synthetic images with the smallest values, for every row of some array.

    An image is known by its position in the stream, never by its name, because names may repeat. Of equal values the
    lower name in natural order comes first, then the earlier image. Parts of a stream merge into the whole exactly, in
    any order, once each part says where it begins (`moved`).

    Parameters
    ----------
    k : int
        Most images that are kept for a row.
    n_seen : int
        Images seen so far.
    values : ndarray
        (..., min(k, n_seen)), ascending along the last axis.
    images : ndarray
        Of the same shape, int64: positions in the stream of the images that have these values.
    names : mapping
        From the position to the name of each of these images.
    """

    k: int
    n_seen: int
    values: Array
    images: Array
    names: Mapping[int, str]

    @classmethod
    def of(cls, values: Array, names: Sequence[str], k: int, forms: int = 1) -> Best:
        """Return the best images of one part of a stream, from the values (..., n * forms) of its n images.

        Of the forms of an image, which follow one another and have numbers of their own, the first best one counts.
        """
        images = np.broadcast_to(np.arange(len(names)), values.shape)
        if forms > 1:
            by_form = values.reshape(*values.shape[:-1], len(names) // forms, forms)
            images = images[..., ::forms] + by_form.argmin(axis=-1)
            values = np.take_along_axis(values, images, axis=-1)
        columns = smallest(values, images, names, k)
        images = np.take_along_axis(images, columns, axis=-1)
        known = {image: names[image] for image in np.unique(images).tolist()}
        return cls(k, values.shape[-1], np.take_along_axis(values, columns, axis=-1), images, known)

    @classmethod
    def merge(cls, parts: Sequence[Best]) -> Best:
        """Return the best of all parts, at least one, which hold different images of one stream."""
        values = np.concatenate([part.values for part in parts], axis=-1)
        images = np.concatenate([part.images for part in parts], axis=-1)
        names = {image: name for part in parts for image, name in part.names.items()}
        columns = smallest(values, images, names, parts[0].k)
        images = np.take_along_axis(images, columns, axis=-1)
        known = {image: names[image] for image in np.unique(images).tolist()}
        n_seen = sum(part.n_seen for part in parts)
        return cls(parts[0].k, n_seen, np.take_along_axis(values, columns, axis=-1), images, known)

    def moved(self, start: int) -> Best:
        """Return the same for images that come `start` places later in the stream."""
        return self.placed(lambda images: images + start)

    def placed(self, place: Callable[[Array], Array]) -> Best:
        """Return the same for images that stand elsewhere in the stream: `place` keeps their order."""
        numbers = place(np.fromiter(self.names, np.int64, len(self.names))).tolist()
        return replace(self, images=place(self.images), names=dict(zip(numbers, self.names.values(), strict=True)))

    @property
    def sound(self) -> bool:
        """Whether the parts go together, as those of a file need not."""
        numbers = type(self.k) is type(self.n_seen) is int and self.k > 0 <= self.n_seen
        kept = self.values.shape[-1] == min(self.k, self.n_seen) and not np.isnan(self.values).any()
        known = bool(np.isin(self.images, np.fromiter(self.names, np.int64)).all())
        texts = all(isinstance(name, str) for name in self.names.values())
        return numbers and kept and known and texts and self.values.shape == self.images.shape

    def some(self, rows: Any) -> Best:
        """Return the same for some rows: an index of all axes but the last."""
        images = self.images[rows]
        known = {image: self.names[image] for image in np.unique(images).tolist()}
        return replace(self, values=self.values[rows], images=images, names=known)


def smallest(values: Array, images: Array, names: Sequence[str] | Mapping[int, str], k: int) -> Array:
    """Return where the k smallest values of every row stand, ascending.

    Parameters
    ----------
    values : ndarray
        (..., n) without nan.
    images : ndarray
        (..., n) int: the image of each value; each at most once in a row.
    names : sequence or mapping
        From image to name. Of equal values the lower name in natural order comes first, then the lower number.
    k : int
        At least 1.

    Returns
    -------
    ndarray
        (..., min(k, n)) int64 positions along the last axis.
    """
    count = values.shape[-1]
    kept = min(k, count)
    if not values.size:
        return np.zeros((*values.shape[:-1], kept), np.int64)
    table, owners = np.ascontiguousarray(values).reshape(-1, count), images.reshape(-1, count)
    order = np.argsort(table, axis=1)
    ordered = np.take_along_axis(table, order[:, : kept + 1], axis=1)
    tied = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(tied):  # only now do names matter
        rows, columns = np.nonzero(table[tied] <= ordered[tied, kept - 1 : kept])
        by_name = ranks(owners[tied[rows], columns], names)
        place = np.lexsort((by_name, table[tied[rows], columns], rows))
        first = np.searchsorted(rows, np.arange(len(tied)))
        order[tied, :kept] = columns[place[first[:, None] + np.arange(kept)]]
    return np.asarray(order[:, :kept]).reshape(*values.shape[:-1], kept)
