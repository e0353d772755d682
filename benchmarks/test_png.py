"""Decoding PNG slices on one core, against Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from compete import compete
from PIL import Image

import fingerprint
from fingerprint._images import formats

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 1000


def pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def files(collection: Path) -> list[Path]:
    """Return slices of which both are known to make the same pixels; also compiles, and fills the cache of files."""
    found = sorted((collection / "fake").iterdir())[:COUNT]
    for path in found:
        np.testing.assert_array_equal(formats.decoded(str(path)).pixels(), pillow(path))
    return found


def test_png_against_pillow(benchmark, files):
    benchmark.extra_info.update(work="decode 1,000 PNG slices, one thread", images=COUNT)
    compete(
        benchmark,
        lambda: [formats.decoded(str(path)).pixels() for path in files],
        lambda: [pillow(path) for path in files],
        peer="Pillow",
    )


def test_png_blocks_against_pillow(benchmark, files):
    benchmark.extra_info.update(work="read 1,000 PNG slices in blocks, one thread", images=COUNT)
    compete(
        benchmark,
        lambda: sum(map(len, fingerprint.blocks(files, threads=1))),
        lambda: [pillow(path) for path in files],
        peer="Pillow",
    )
