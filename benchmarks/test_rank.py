"""Reading and ranking 10,000 synthetic slices, against Pillow decoding the same files on as many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from compete import ROUNDS, compete
from PIL import Image

import fingerprint
from fingerprint._base import concurrency

if TYPE_CHECKING:
    from pathlib import Path

THREADS = concurrency.resolve(None)


def decode(files: list[Path]) -> int:
    """Decode files with Pillow alone, and return the sum of all pixels."""

    def part(first: int) -> int:
        total = 0
        for file in files[first :: 4 * THREADS]:
            with Image.open(file) as image:
                total += int(np.asarray(image).sum())
        return total

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(part, range(4 * THREADS)))


def stream(folder: Path) -> int:
    """Decode a folder in blocks, and return the sum of all pixels."""
    return sum(int(block.pixels.sum()) for block in fingerprint.blocks(folder))


@pytest.fixture(scope="module", autouse=True)
def results_agree(collection: Path) -> None:
    """Compare before anything is timed; also compiles."""
    files = sorted((collection / "fake").iterdir())[:200]
    assert decode(files) == sum(int(block.pixels.sum()) for block in fingerprint.blocks(files))
    ranking = fingerprint.rank(collection / "real", files, method="correlation")
    distances = fingerprint.distances(collection / "real", files, metric="correlation")
    assert ranking.scores.tolist() == sorted(-distances.min(axis=1), reverse=True)
    assert len(fingerprint.rank(collection / "real", files)) == len(distances)


def test_blocks_against_pillow(benchmark, collection):
    files = sorted((collection / "fake").iterdir())
    benchmark.extra_info.update(work="read 10,000 PNG slices in blocks", images=len(files))
    compete(
        benchmark,
        lambda: stream(collection / "fake"),
        lambda: decode(files),
        peer="Pillow",
        rounds=min(3, ROUNDS),
        warm=True,
    )


def test_rank_against_pillow(benchmark, collection):
    files = sorted((collection / "fake").iterdir())
    benchmark.extra_info.update(work="rank 200 against 10,000 PNG slices", images=len(files), pairs=200 * len(files))
    compete(
        benchmark,
        lambda: fingerprint.rank(collection / "real", collection / "fake"),
        lambda: decode(files),
        peer="Pillow, decoding alone",
        rounds=min(3, ROUNDS),
        warm=True,
    )
