"""Bounds: how many bytes a call may take, and the fastest way to work that keeps to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Protocol

from fingerprint._base import checks, limits
from fingerprint._base.checks import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerprint._base.types import Array

PROCESS = 240 * 2**20  # bytes of Python, the libraries and the compiled kernels
GROUP = 16  # images that are packed together
_UNITS = {"MB": 10**6, "MIB": 2**20, "GB": 10**9, "GIB": 2**30}
_SHARE = 0.5  # of the memory that is there, where nobody says how much to take


def in_bytes(memory: object) -> int | None:
    """Return a budget in bytes, of a number of bytes or a text such as ``"512MB"``; None where there is none."""
    if memory is None or (isinstance(memory, int) and not isinstance(memory, bool)):
        return None if memory is None else checks.integer("memory", memory, minimum=1)
    found = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG]i?B)\s*", memory, re.IGNORECASE) if isinstance(memory, str) else None
    )
    if found is None:
        raise InputError(f"memory: expected bytes, or text such as '512MB' or '2GiB', got {checks.describe(memory)}")
    return int(float(found[1]) * _UNITS[found[2].upper()])


@dataclass(frozen=True)
class Plan:
    """How to work through a pass.

    Parameters
    ----------
    packed : bool
        Whether to keep the real images packed, see `fingerprint._evidence.scales.Unpacked`.
    block : int
        Synthetic images to read at a time.
    threads : int
        Threads to use.
    peak : int
        Bytes that the process then takes at most.
    """

    packed: bool
    block: int
    threads: int
    peak: int


class Needs(Protocol):
    """What a process takes at most, in bytes, that works in a way."""

    def __call__(self, *, packed: bool, block: int, threads: int) -> int: ...


def uncut(block: int, forms: int) -> int:
    """Return the size of a block that parts no image from its forms: at most as large, but of one image at least."""
    return max(block // forms, 1) * forms


def ways(needs: Needs, *, block: int, threads: int, packed: tuple[bool, ...] = (True,), forms: int = 1) -> list[Plan]:
    """Return all ways to work, the fastest first, with up to so many threads and images of a block, in so many forms.

    Images that are kept packed come before large blocks, and threads before both.
    """
    smaller = {uncut(size, forms) for size in (64, 32, GROUP, 4, 1) if size < block}
    blocks = sorted({block, *smaller}, reverse=True)
    return [
        Plan(kept, size, workers, needs(packed=kept, block=size, threads=workers))
        for workers in dict.fromkeys((threads, *(count for count in (8, 4, 2, 1) if count < threads)))
        for kept, size in product(packed, blocks)
        if size >= min(GROUP, block) or workers == 1
    ]


def fitting(found: Sequence[Plan], pixels: Array, memory: int | None) -> Plan:
    """Return the first way that takes no more than `memory`; without it, half of what is available is aimed at.

    Raises InputError where nothing fits into `memory`, which says what would; `pixels` are the real images.
    """
    there = limits.available_memory() if memory is None else None
    most = memory if there is None else PROCESS + pixels.nbytes + int(_SHARE * there)
    least = min(found, key=lambda way: (way.peak, way.block))
    chosen = next((way for way in found if most is None or way.peak <= most), None)
    if chosen is None and memory is not None:
        count, (height, width) = len(pixels), pixels.shape[1:]
        raise InputError(
            f"memory: expected at least {-(-least.peak // 10**6)} MB for {count} real images of {height}x{width}, got "
            f"{memory // 10**6} MB; allow more, or give fewer real images"
        )
    return chosen or least
