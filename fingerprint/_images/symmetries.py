"""Symmetries: the forms in which each synthetic image is compared, beside the one in which it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._images import grey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array

Symmetries: TypeAlias = "str | Sequence[str]"

AS_IS = "as it is"
_HALF_TURN = "turned by 180 degrees"
_TURNS = {"turned by 90 degrees": 1, _HALF_TURN: 2, "turned by 270 degrees": 3}  # quarters, counter-clockwise
_NEGATIVE = "negative"
_PLACES = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
_WINDOWS = {f"its {place} enlarged": divmod(i, 3) for i, place in enumerate(_PLACES)}
_FORMS = {"turned": tuple(_TURNS), "negative": (_NEGATIVE,), "half": tuple(_WINDOWS)}
_NAMES = {AS_IS, *(form for forms in _FORMS.values() for form in forms)}


def chosen(symmetries: Symmetries) -> tuple[str, ...]:
    """Return the names that a user gave, checked, in the order of the forms."""
    given: object = (symmetries,) if isinstance(symmetries, str) else symmetries
    names = tuple(given) if isinstance(given, tuple | list) else (given,)
    for name in names:
        if not isinstance(name, str) or name not in ("all", *_FORMS):
            known = ", ".join(map(repr, _FORMS))
            raise InputError(f"symmetries: expected some of {known}, or 'all', got {checks.describe(symmetries)}")
    return tuple(name for name in _FORMS if name in names or "all" in names)


def forms_of(symmetries: Symmetries, height: int, width: int) -> tuple[str, ...]:
    """Return the forms in which images of a size are compared, first as they are."""
    found = [form for name in chosen(symmetries) for form in _FORMS[name]]
    upright = height != width  # and remains so by half a turn alone
    return (AS_IS, *(form for form in found if not (upright and form in _TURNS and form != _HALF_TURN)))


def in_form(image: Array, form: str) -> Array:
    """Return an image, (h, w) uint8 or uint16, in a form.

    Examples
    --------
    >>> in_form(np.array([[0, 1], [2, 250]], np.uint8), "negative").tolist()
    [[255, 254], [253, 5]]
    """
    if form in _TURNS:
        return np.rot90(image, _TURNS[form])
    if form == _NEGATIVE:
        return ~image
    if form in _WINDOWS:
        starts = [
            (length * first // 4, length // 2 or 1) for length, first in zip(image.shape, _WINDOWS[form], strict=True)
        ]
        rows, columns = (slice(start, start + length) for start, length in starts)
        return grey.resampled(image[rows, columns], image.shape)
    return image


def named(name: str, form: str) -> str:
    """Return the name of an image in a form; as it is, it has its own unless that would be taken for another's."""
    return name if form == AS_IS and original(name) == name else f"{name} ({form})"


def original(name: str) -> str:
    """Return the name of the image itself, of the name that it has in a form.

    Examples
    --------
    >>> original("g7.png (turned by 90 degrees)"), original("g7 (1).png")
    ('g7.png', 'g7 (1).png')
    """
    first, _, form = name.rpartition(" (")
    return first if form.endswith(")") and form[:-1] in _NAMES else name


def in_words(forms: Sequence[str]) -> str:
    """Return what is said of synthetic images beside their number; empty where each is compared as it is alone.

    Examples
    --------
    >>> in_words(forms_of(("turned", "negative"), 64, 64))
    ', each also turned by 90, 180 and 270 degrees, and negative'
    """
    degrees = [form.split()[-2] for form in forms if form in _TURNS]
    parts = [f"turned by {', '.join(degrees)} degrees".replace("180, 270", "180 and 270")] if degrees else []
    parts += [_NEGATIVE] * (_NEGATIVE in forms)
    parts += ["in nine windows of half its size, enlarged"] * any(form in _WINDOWS for form in forms)
    return ", each also " + ", and ".join(parts) if parts else ""
