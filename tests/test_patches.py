"""Local patches against the oracles, and their properties."""

import naive_patches as naive
import numpy as np
import pytest

from fingerprint import Slices
from fingerprint.patches import NearestPatches, nearest_patches, patch_matches


def textures(seed, n, height=14, width=16, dtype=np.uint8):
    """Images with smooth structure, a flat corner, and parts in common."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(height + 4, width + 4))
    out = np.empty((n, height, width))
    for image in out:
        y, x = rng.integers(0, 5, 2)
        image[:] = common[y : y + height, x : x + width] + rng.choice([0.0, 0.05, 1.0]) * rng.normal(size=image.shape)
        image[: height // 2, : width // 2] = 0
    limit = np.iinfo(dtype).max
    return np.clip((0.5 + out / 6) * limit, 0, limit).astype(dtype)


CASES = [
    {"size": 4, "stride": 2, "radius": 2, "measure": "rmse", "flat": 6.0},
    {"size": 4, "stride": 3, "radius": 1, "measure": "ncc", "flat": 3.0},
    {"size": 5, "stride": 4, "radius": 3, "measure": "rmse", "flat": 0.0, "mirror": True},
    {"size": 7, "stride": 5, "radius": 0, "measure": "ncc", "flat": 0.0, "mirror": True},
]
TOLERANCES = {"rmse": 12.5, "ncc": 0.05}


def as_dict(found: NearestPatches):
    """Return what the oracle returns."""
    out = {}
    area = found.search.size**2
    for at in zip(*(axis.tolist() for axis in np.nonzero(found.indices >= 0)), strict=True):
        distance = found.distances[at]
        distance = round(distance**2 * area) if found.search.measure == "rmse" else distance - 1
        index = int(found.fakes[found.indices[at]].removeprefix("image_"))
        out[at] = distance, index, bool(found.mirrored[at]), tuple(found.offsets[at].tolist())
    return out


def named(pixels):
    return Slices(pixels, tuple(f"image_{i}" for i in range(len(pixels))))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("case", CASES)
def test_counts_equal_the_oracle(case, dtype):
    real, fake = textures(0, 2, dtype=dtype), textures(0, 3, dtype=dtype)
    scale = 257 if dtype == np.uint16 else 1
    case = case | {"flat": case["flat"] * scale}
    tolerance = TOLERANCES[case["measure"]] * (scale if case["measure"] == "rmse" else 1)
    found = patch_matches(real, fake, tolerance=tolerance, **case)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, naive.patch_matches(real, fake, tolerance=tolerance, **case))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("case", CASES)
def test_nearest_equal_the_oracle(case, dtype):
    real, fake = textures(1, 2, dtype=dtype), textures(1, 3, dtype=dtype)
    found = as_dict(nearest_patches(real, named(fake), **case))
    expected = naive.nearest_patches(real, fake, **case)
    assert found.keys() == expected.keys()
    for at, (distance, *rest) in found.items():
        assert distance == pytest.approx(expected[at][0], abs=1e-12)
        assert rest == list(expected[at][1:])
