"""Sealed files come back as they were, or not at all."""

import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fingerprint
from fingerprint._base import sealed

HEADER = {"names": ["a.png", "ä\n\udcff"], "k": 5}
ARRAYS = {
    "values": np.array([[0.5, np.inf], [-0.0, 1e-300]]),
    "numbers": np.arange(6).reshape(1, 2, 3),
    "none": np.zeros((0, 4)),
    "flags": np.array([True, False]),
}
BEGIN = len(sealed._BEGIN)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("sealed") / "whole"
    sealed.write(found, HEADER, ARRAYS)
    return found


def resealed(body: bytes) -> bytes:
    return sealed._BEGIN + hashlib.sha256(body).digest() + body


def body_of(content: object, rest: bytes = b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text + rest


def refused(folder, data: bytes) -> str:
    """The message, of one line, with which these bytes are refused."""
    (folder / "other").write_bytes(data)
    with pytest.raises(fingerprint.InputError) as caught:
        sealed.read(folder / "other", argument="checkpoint")
    assert str(caught.value).startswith(f"checkpoint: {folder / 'other'}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_read_is_what_was_written(path) -> None:
    header, arrays = sealed.read(path, argument="checkpoint")
    assert header == HEADER
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert (array.dtype, array.shape, array.tobytes()) == (
            ARRAYS[name].dtype,
            ARRAYS[name].shape,
            ARRAYS[name].tobytes(),
        )


def test_the_same_contents_are_the_same_bytes(path, tmp_path) -> None:
    sealed.write(tmp_path / "again", HEADER, {name: np.asfortranarray(array) for name, array in ARRAYS.items()})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_file_cut_anywhere_is_refused(path, tmp_path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        refused(tmp_path, data[:length])
    assert "checksum" in refused(tmp_path, data + b"\0")


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_is_noticed(path, data) -> None:
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    refused(path.parent, bytes(content))


@settings(max_examples=300)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["arrays", "header", "x"]), inner),
        max_leaves=12,
    ),
    st.binary(max_size=24),
)
def test_other_contents_under_a_right_checksum_are_refused(path, content, rest) -> None:
    if isinstance(content, dict) and content.get("arrays") in ([], {}, "") and isinstance(content.get("header"), dict):
        rest += b"x"
    refused(path.parent, resealed(body_of(content, rest)))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "longer than the file|other contents"),
        ((2**63).to_bytes(8, "little") + b"{}", "a header longer than the file"),
        (body_of(b"[" * 200_000), "recursion|other contents"),
        (body_of(b'{"header": {}, "arrays": ' + b"9" * 5000 + b"}"), "digits"),
        (body_of({"header": {}, "arrays": [["a", "<f8", [2**62]]]}), "longer than the file"),
        (body_of({"header": {}, "arrays": [["a", "<f8", [2, 0]]]}, b"12345678"), "8 bytes too many"),
        (body_of({"header": {}, "arrays": [["a", "<f8", [-1]]]}), "shape"),
        (body_of({"header": {}, "arrays": [["a", "<f8", [True]]]}, b"12345678"), "shape"),
        (body_of({"header": {}, "arrays": [["a", "O", [1]]]}, b"12345678"), "dtype"),
        (body_of({"header": {}, "arrays": [["a", "<f8", [1]]]}, b"1234567"), "longer than the file"),
        (body_of({"header": [], "arrays": []}), "no header"),
        (body_of({"header": {}}), "arrays"),
        (body_of(b"\xff\xfe"), "other contents"),
    ],
)
def test_sizes_that_are_declared_are_held_against_the_file(tmp_path, body, why) -> None:
    (tmp_path / "bad").write_bytes(resealed(body))
    with pytest.raises(fingerprint.InputError, match=why):
        sealed.read(tmp_path / "bad", argument="checkpoint")


def test_what_is_no_file_is_refused(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "pipe", "\0"):
        with pytest.raises(fingerprint.InputError, match=r"^checkpoint: "):
            sealed.read(tmp_path / name if name != "\0" else name, argument="checkpoint")
    with pytest.raises(fingerprint.InputError, match="expected a file, found a folder, a pipe or a device"):
        sealed.read("/dev/zero", argument="checkpoint")
    assert "begins with b'PK" in refused(tmp_path, b"PK\3\4" + bytes(1000))
    assert "begins with b''" in refused(tmp_path, b"")


def test_objects_are_never_written() -> None:
    with pytest.raises(TypeError, match="expected arrays of"):
        sealed.write("unwritten", {}, {"a": np.array([object()])})


def test_a_failing_write_leaves_the_old_file(path, tmp_path, monkeypatch) -> None:
    target = tmp_path / "kept"
    target.write_bytes(path.read_bytes())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sealed.write(target, {"k": 6}, ARRAYS)
    assert target.read_bytes() == path.read_bytes()
    assert list(tmp_path.iterdir()) == [target]
