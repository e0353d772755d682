"""Reading images: exact pixels, conserved rows, defined errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprint import images


def stack(n: int = 3, height: int = 8, width: int = 6, dtype: str = "uint8") -> np.ndarray:
    high = 256 if dtype == "uint8" else 65536
    return np.random.default_rng(n).integers(0, high, (n, height, width)).astype(dtype)


def write(folder: Path, pixels: np.ndarray, template: str = "{}.png") -> None:
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / template.format(i))


def test_a_folder_comes_back_in_natural_order(tmp_path: Path) -> None:
    pixels = stack(12)
    write(tmp_path, pixels)
    found = images.load(tmp_path)
    assert found.names == tuple(f"{i}.png" for i in range(12))
    np.testing.assert_array_equal(found.pixels, pixels)


@pytest.mark.parametrize("block", [1, 2, 5, 12, 100])
def test_blocks_join_to_the_whole(block: int) -> None:
    pixels = stack(12)
    parts = list(images.blocks(pixels, block=block))
    np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts]), pixels)
    assert [name for part in parts for name in part.names] == [str(i) for i in range(12)]
