"""DICOM, and what is seen through a window."""

import pickle
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import Array, dicom, nifti, one, reason, stack
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import files, loading
from fingerprint._images.loading import Slices


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_dicom_of_unsigned_values_is_kept(tmp_path: Path, dtype: str) -> None:
    pixels = stack(1, dtype=dtype)[0]
    dicom(tmp_path / "x.dcm", pixels)
    found = one(tmp_path / "x.dcm")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


def test_dicom_hounsfield_units_have_1024_added(tmp_path: Path) -> None:
    units = np.array([[-1024, -1000, 0], [40, 3071, -1]], np.int16)
    dicom(tmp_path / "signed.dcm", units)
    dicom(tmp_path / "rescaled.dcm", (units + 1024).astype(np.uint16), RescaleSlope="1", RescaleIntercept="-1024")
    dicom(tmp_path / "halved.dicom", (units * 2 + 4096).astype(np.uint16), RescaleSlope="0.5", RescaleIntercept="-2048")
    dicom(tmp_path / "intercept.dcm", (units + 1024).astype(np.uint16), RescaleIntercept="-1024")
    found = loading.load(tmp_path)
    assert found.names == ("halved.dicom", "intercept.dcm", "rescaled.dcm", "signed.dcm")
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels, np.broadcast_to(units.astype(int) + 1024, (4, 2, 3)))


def test_dicom_monochrome1_is_inverted(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0] >> 4
    dicom(tmp_path / "x.dcm", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), 4095 - pixels)
    units = np.array([[-1000, 5, 2000]], np.int16)
    dicom(tmp_path / "y.dcm", units, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(one(tmp_path / "y.dcm"), 2047 - units)
    dicom(tmp_path / "z.dcm", units, PhotometricInterpretation="MONOCHROME1", BitsStored=13, HighBit=12,
          RescaleSlope=2, RescaleIntercept=-7)  # fmt: skip
    np.testing.assert_array_equal(one(tmp_path / "z.dcm"), 2 * (4095 - units.astype(int)))


def test_dicom_without_suffix_is_recognised(tmp_path: Path) -> None:
    for i, name in enumerate(("1.2.840.2", "IM0001", "x.ima")):
        dicom(tmp_path / name, stack(3)[i])
    (tmp_path / "notes").write_bytes(b"x" * 200)
    (tmp_path / "DICOMDIR").write_bytes((tmp_path / "IM0001").read_bytes())
    found = loading.load(tmp_path)
    assert (found.names, found.ignored) == (("1.2.840.2", "IM0001", "x.ima"), 2)
    np.testing.assert_array_equal(found.pixels, stack(3))
    np.testing.assert_array_equal(one(tmp_path / "IM0001"), stack(3)[1])


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("name", ["x.dcm", "IM1"])
def test_dicom_without_preamble_is_read(tmp_path: Path, name: str, implicit: bool) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "y", stack(1, dtype="uint16")[0])
    header = pydicom.dcmread(tmp_path / "y")
    (tmp_path / "y").unlink()
    with (tmp_path / name).open("wb") as file:
        out = pydicom.filebase.DicomFileLike(file)
        out.is_little_endian, out.is_implicit_VR = True, implicit
        pydicom.filewriter.write_dataset(out, pydicom.Dataset(header))
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, stack(1, dtype="uint16"))


def test_dicom_of_several_images(tmp_path: Path) -> None:
    pixels = stack(40, dtype="uint16")
    dicom(tmp_path / "x.dcm", pixels, frames=40, PatientID="p7")
    found = loading.load(tmp_path)
    assert found.names == tuple(f"x.dcm[{i}]" for i in range(40))
    assert found.groups == ("p7",) * 40
    np.testing.assert_array_equal(found.pixels, pixels)
    assert [len(part) for part in loading.blocks(tmp_path, block=16)] == [16, 16, 8]
    dicom(tmp_path / "y.dcm", pixels, frames=40, NumberOfFrames=10**9)
    assert reason(tmp_path / "y.dcm").endswith(" bytes, fewer than 1000000000 images need")


def test_patients_are_known_if_all_are(tmp_path: Path) -> None:
    for i in range(3):
        dicom(tmp_path / f"{i}.dcm", stack(3)[i], PatientID=f"p{i // 2}")
    found = loading.load(tmp_path)
    assert found.groups == ("p0", "p0", "p1")
    assert found[1:].groups == ("p0", "p1")
    assert loading.concatenate(found, found).groups == found.groups * 2
    assert loading.load([found, found]).groups == found.groups * 2
    assert pickle.loads(pickle.dumps(found)).groups == found.groups
    dicom(tmp_path / "3.dcm", stack(3)[0])
    assert loading.load(tmp_path).groups is None
    with pytest.raises(InputError, match="groups: expected one for each of the 3 images, got 1"):
        Slices(stack(3), ("a", "b", "c"), groups=("p",))


def test_dicom_grey_in_other_clothes_is_exact(tmp_path: Path) -> None:
    grey = stack(1)[0]
    rgb = np.repeat(grey[..., None], 3, 2)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "Rows": 8, "Columns": 6}
    dicom(tmp_path / "a.dcm", rgb, PlanarConfiguration=0, **colour)
    dicom(tmp_path / "b.dcm", np.moveaxis(rgb, 2, 0).copy(), PlanarConfiguration=1, **colour)
    np.testing.assert_array_equal(loading.load(tmp_path).pixels, [grey, grey])
    rgb[..., 1] //= 2
    dicom(tmp_path / "a.dcm", rgb, PlanarConfiguration=0, **colour)
    dicom(tmp_path / "b.dcm", np.stack([rgb, rgb]), PlanarConfiguration=0, NumberOfFrames=2, **colour)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(loading.load(tmp_path, grey="luminance").pixels, [expected] * 3)


def test_dicom_bits_are_where_the_header_says(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0] >> 4
    dicom(tmp_path / "a.dcm", pixels << 4 | 5, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(one(tmp_path / "a.dcm"), pixels)
    signed = (pixels.astype(np.int16) - 2048).clip(-1024)
    dicom(tmp_path / "b.dcm", signed << 2, BitsStored=12, HighBit=13)
    np.testing.assert_array_equal(one(tmp_path / "b.dcm"), signed + 1024)


def test_dicom_padding_is_air(tmp_path: Path) -> None:
    units = np.array([[-2000, -3024, -1000], [40, 3071, -2000]], np.int16)
    air = np.maximum(units, -1024) + 1024
    other = "1.2.840.10008.5.1.4.1.1.4"
    dicom(tmp_path / "ct.dcm", units)
    np.testing.assert_array_equal(one(tmp_path / "ct.dcm"), air)
    dicom(tmp_path / "mr.dcm", units, SOPClassUID=other)
    assert reason(tmp_path / "mr.dcm") == "values from -3024 to 3071, outside -1024 to 64511; scale them"
    dicom(tmp_path / "mr.dcm", units, SOPClassUID=other, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-3100)
    np.testing.assert_array_equal(one(tmp_path / "mr.dcm"), air)


def test_dicom_with_a_fractional_slope_is_rounded(tmp_path: Path) -> None:
    pixels = stack(1, dtype="uint16")[0]
    dicom(tmp_path / "x.dcm", pixels, RescaleSlope="0.684", RescaleIntercept="200.5")
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), np.rint(pixels * 0.684 + 200.5) + 1024)
    dicom(tmp_path / "y.dcm", pixels, RescaleSlope="0.684", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(one(tmp_path / "y.dcm"), np.rint(65535 * 0.684 - pixels * 0.684))


@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [(40, 400), (-600.5, 1500), (0, 1), (100, 2)])
def test_a_window_is_that_of_dicom(tmp_path: Path, window: tuple[float, float], meaning: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    units = np.arange(-1024, 1176, dtype=np.int16).reshape(20, 110)
    tags = {"WindowCenter": window[0], "WindowWidth": window[1], "PhotometricInterpretation": meaning}
    dicom(tmp_path / "x.dcm", (units + 1024).astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024, **tags)
    header = pydicom.dcmread(tmp_path / "x.dcm")
    header.PhotometricInterpretation = "MONOCHROME2"
    seen = pydicom.pixels.apply_windowing(units, header)  # from the lowest value of 16 bits to the highest
    expected = np.rint((seen + 1024) / 65535 * 255)
    found = loading.load(tmp_path / "x.dcm", window=window).pixels
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], expected if meaning == "MONOCHROME2" else 255 - expected)


def test_a_window_makes_eight_bits_of_sixteen_everywhere(tmp_path: Path) -> None:
    deep = stack(3, dtype="uint16")
    expected = np.rint(((deep - 29999.5) / 9999 + 0.5).clip(0, 1) * 255)
    np.save(tmp_path / "a.npy", deep)
    np.savez(tmp_path / "b.npz", deep)
    nifti(tmp_path / "c.nii.gz", deep.T)
    for i, image in enumerate(deep):
        Image.fromarray(image).save(tmp_path / f"d{i}.png")
    for i, image in enumerate(stack(3)):
        Image.fromarray(image).save(tmp_path / f"e{i}.png")
    window = (30000, 10000)
    found = loading.load(tmp_path, window=window).pixels
    np.testing.assert_array_equal(found, np.concatenate([expected] * 4 + [stack(3)]))
    for source in (deep, loading.load(deep), [deep]):
        np.testing.assert_array_equal(loading.load(source, window=window).pixels, expected)
        np.testing.assert_array_equal(next(loading.blocks(source, window=window)).pixels, expected)


@pytest.mark.parametrize("window", [(1,), 5, (40, 0), (float("nan"), 4), ("a", 4)])
def test_a_window_is_centre_and_width(window: Any) -> None:
    with pytest.raises(InputError, match=r"^window: expected "):
        loading.load(stack(), window=window)


def test_deflated_dicom_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "y", np.zeros((512, 512), np.uint8))
    header = pydicom.dcmread(tmp_path / "y")
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    header.save_as(tmp_path / "x.dcm")
    assert one(tmp_path / "x.dcm").shape == (512, 512)
    monkeypatch.setattr(files, "_PRESSED", 1000)
    monkeypatch.setattr(files, "_RATIO", 10)
    assert "bytes that would unpack to" in reason(tmp_path / "x.dcm")


def test_dicom_that_is_put_right_is_read_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pydicom = pytest.importorskip("pydicom")
    dicom(tmp_path / "x.dcm", stack(1)[0])
    read = pydicom.dcmread

    def dcmread(file: Any, **options: Any) -> Any:
        warnings.warn("Expected explicit VR, but found implicit VR", stacklevel=2)
        return read(file, **options)

    monkeypatch.setattr(pydicom, "dcmread", dcmread)
    np.testing.assert_array_equal(one(tmp_path / "x.dcm"), stack(1)[0])


@pytest.mark.parametrize(
    ("pixels", "options", "text"),
    [
        (np.array([[-2000, -1500]], np.int16), {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
         "values from -2000 to -1500, outside -1024 to 64511; scale them"),
        (np.ones((2, 2), np.uint16), {"RescaleSlope": "0.003"},
         "values of which 197 are whole; pass window=(centre, width)"),
        (np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
         {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0, "Rows": 2, "Columns": 2},
         'colour; pass grey="luminance"'),
        (np.zeros((2, 2), np.uint8), {"HighBit": 9}, "bits that do not fit: 8 stored, the highest 9, of 8 allocated"),
        (np.zeros((2, 2), np.uint8), {"without": ("PixelData",)}, "a DICOM file without pixels"),
        (np.zeros((2, 2), np.uint8), {"ModalityLUTSequence": []},
         "a modality lookup table; apply it and save the result"),
        (np.zeros((2, 2), np.uint8), {"Rows": 20000, "Columns": 20000},
         "20000x20000 pixels, more than the limit of 67108864; crop or resample the image"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)  # fmt: skip
def test_dicom_that_cannot_be_used(tmp_path: Path, pixels: Array, options: dict[str, Any], text: str) -> None:
    dicom(tmp_path / "x.dcm", pixels, **options)
    assert reason(tmp_path / "x.dcm") == text


def test_broken_dicom(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (tmp_path / "x.dcm").write_bytes(b"noise" * 100)
    assert reason(tmp_path / "x.dcm").startswith("cannot be decoded: File is missing DICOM File Meta")
    dicom(tmp_path / "y.dcm", stack(1)[0])
    data = (tmp_path / "y.dcm").read_bytes()
    (tmp_path / "y.dcm").write_bytes(data[:-20])
    assert reason(tmp_path / "y.dcm").startswith("cannot be decoded: ")


@pytest.mark.parametrize(("module", "name"), [("pydicom", "x.dcm"), ("nibabel", "x.nii.gz")])
def test_absent_extras_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"anything")
    assert reason(tmp_path / name) == f'needs {module}; pip install "synthetic-fingerprint[medical]"'
    with pytest.raises(InputError, match=re.escape('pip install "synthetic-fingerprint[medical]"')):
        loading.load(tmp_path / name)
