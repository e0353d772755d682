"""Names that users import: they stand under the public module in errors, reprs, pickles and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound="type | Callable[..., object]")


def public(thing: T) -> T:
    """Let a class or a function stand under its nearest public module.

    Parameters
    ----------
    thing : type or function
        Defined in a private module of a public one, which exports it.

    Returns
    -------
    type or function
        The same object.

    Examples
    --------
    >>> public.__module__
    'fingerprint._base.public'
    >>> public(lambda: None).__module__
    'fingerprint'
    """
    thing.__module__ = thing.__module__.split("._")[0]
    return thing
