"""NIfTI."""

from pathlib import Path

import numpy as np
import pytest
from images import nifti, reason, stack

from fingerprint._images import loading
from fingerprint._images.loading import Failure


def reasons(folder: Path) -> tuple[Failure, ...]:
    """Return the failures of a folder without any usable image."""
    return tuple(failure for task in loading.listing(folder).plan(9) for failure in task().failed)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_nifti_slices_run_along_the_last_axis(tmp_path: Path, suffix: str, dtype: str) -> None:
    pixels = stack(5, dtype=dtype)
    nifti(tmp_path / f"x.{suffix}", pixels.T)
    found = loading.load(tmp_path)
    assert found.names == tuple(f"x.{suffix}[{i}]" for i in range(5))
    assert found.pixels.dtype == dtype
    np.testing.assert_array_equal(found.pixels, pixels)
    assert [len(part) for part in loading.blocks(tmp_path, block=2)] == [2, 2, 1]


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_nifti_hounsfield_units_have_1024_added(tmp_path: Path, dtype: str) -> None:
    units = (stack(3, dtype="uint16").astype(np.int32) // 16 - 1024).astype(dtype)
    nifti(tmp_path / "x.nii", units.T[..., None])
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, units.astype(np.int32) + 1024)


def test_nifti_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "x.nii"
    nifti(path, np.zeros((2, 2, 3, 2), np.uint8))
    assert reason(path) == (
        "expected (x, y, z) numbers, got shape (2, 2, 3, 2) and dtype uint8; save one volume a file"
    )
    nifti(path, np.zeros((2, 2, 3), np.complex64))
    assert reason(path) == "expected (x, y, z) numbers, got shape (2, 2, 3) and dtype complex64; save one volume a file"
    path.write_bytes(b"")
    assert reason(path) == "empty file (0 bytes)"
    path.write_bytes(b"noise" * 100)
    assert reason(path).startswith("cannot be decoded: ")


def test_nifti_loses_only_the_slices_that_do_not_fit(tmp_path: Path) -> None:
    values = np.zeros((3, 3, 5), np.float64)
    values[0, 0, 1], values[0, 0, 2] = -1500, 1e6
    values[0, 0, 3], values[0, 1, 3] = -1500, -1600
    values[1, 1, 4] = -1500
    nifti(tmp_path / "x.nii", values)
    found = loading.load(tmp_path)
    assert found.names == ("x.nii[0]", "x.nii[1]")
    assert found.pixels[:, 0, 0].tolist() == [1024, 0]  # a single value below air is padding
    assert found.failed == (
        Failure("x.nii[2]", "values from 0.0 to 1000000.0, outside -1024 to 64511; scale them"),
        Failure("x.nii[3]", "values from -1600.0 to 0.0, outside -1024 to 64511; scale them"),
        Failure("x.nii[4]", "values from -1500.0 to 0.0, outside -1024 to 64511; scale them"),
    )


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("value", [0.5, np.nan])
def test_a_floating_point_volume_fails_as_one(tmp_path: Path, suffix: str, value: float) -> None:
    values = np.zeros((2, 2, 40), np.float32)
    values[0, 0, 39] = value
    nifti(tmp_path / f"x.{suffix}", values)
    assert reason(tmp_path / f"x.{suffix}") == "values that are not whole numbers; scale and round the volume"


def test_the_patient_of_nifti_is_the_file(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii.gz"):
        nifti(tmp_path / name, stack(2).T)
    assert loading.load(tmp_path).groups == tuple(str(tmp_path / name) for name in ("a.nii",) * 2 + ("b.nii.gz",) * 2)


def test_a_damaged_compressed_volume_fails_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    nifti(path, np.random.default_rng(0).integers(0, 256, (64, 64, 2000), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[:-8] + bytes(4) + data[-4:])
    assert reason(path).startswith("cannot be decoded: CRC check failed")
    path.write_bytes(data[:-2000])
    assert reason(path).startswith("cannot be decoded: Compressed file ended")


def test_nifti_with_a_fractional_slope_is_rounded(tmp_path: Path) -> None:
    nifti(tmp_path / "x.nii", stack(2, dtype="uint16").T // 2, slope=0.684, inter=200)
    expected = np.rint(stack(2, dtype="uint16") // 2 * 0.684 + 200) + 1024
    np.testing.assert_allclose(loading.load(tmp_path).pixels, expected, atol=1, rtol=0)  # slopes are stored in 32 bits
    nifti(tmp_path / "x.nii", stack(2).T, slope=0.684, inter=200)
    assert {failure.reason for failure in reasons(tmp_path)} == {
        "values of which 175 are whole; pass window=(centre, width)"
    }


def test_scaled_nifti(tmp_path: Path) -> None:
    nifti(tmp_path / "x.nii", stack(2).T, slope=2, inter=-100)
    found = loading.load(tmp_path)
    np.testing.assert_array_equal(found.pixels, stack(2).astype(int) * 2 - 100 + 1024)
