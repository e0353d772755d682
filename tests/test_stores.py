"""Images in stores of fsspec: read like folders, and what goes wrong in a store is one line."""

import io
import pickle
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import dicom
from PIL import Image

import fingerprint
from fingerprint import InputError
from fingerprint._base.provenance import is_url
from fingerprint._cli.main import main
from fingerprint._images import loading, stores

fsspec: Any = pytest.importorskip("fsspec")
MemoryFileSystem: Any = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
Array = np.ndarray[Any, Any]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 32, 32)).astype(np.uint8)


def png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def store() -> Iterator[Any]:
    held = MemoryFileSystem()
    yield held
    held.store.clear()
    held.pseudo_dirs[:] = [""]


@pytest.fixture
def both(tmp_path: Path, store: Any) -> Path:
    """Write the same files to a folder and to a store."""
    contents = {f"img{i}.png": png(PIXELS[i]) for i in range(12)}
    contents |= {"notes.txt": b"x", ".hidden.png": b"x", "broken.PNG": b"x", "empty.png": b"", "a.gif": b"GIF89a"}
    for name, frames in (("scan", 1), ("two", 2)):
        dicom(tmp_path / name, PIXELS[12 : 12 + frames], frames=frames)
        contents[name] = (tmp_path / name).read_bytes()
    contents |= {"DICOMDIR": b"x", "x.zip": b"x"}
    contents |= {"sub/y.png": png(PIXELS[14]), ".thumbs/z.png": png(PIXELS[15])}
    for name, data in contents.items():
        path = tmp_path / "real" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        store.pipe(f"/real/{name}", data)
    return tmp_path / "real"


def same(found: fingerprint.Slices, expected: fingerprint.Slices) -> bool:
    return found.names == expected.names and np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("recursive", [False, True])
def test_a_store_is_read_like_a_folder(both: Path, recursive: bool) -> None:
    (both / "two").unlink()
    found = loading.load("memory://real", recursive=recursive)
    expected = loading.load(both, recursive=recursive)
    assert same(found, expected)
    assert found.ignored == expected.ignored
    *failed, two = found.failed
    assert tuple(failed) == expected.failed
    assert two == ("two", "2 images in a file; copy it to a folder of this machine, or save each alone")


def test_names_in_lists_and_patterns_begin_with_the_url(both: Path) -> None:
    prefix = loading.load(["memory://real/", "memory://real/img3.png"]).names
    assert prefix[:2] == ("memory://real/img0.png", "memory://real/img1.png")
    assert prefix[-1] == "memory://real/img3.png"
    pattern = loading.load("memory://real/img1*.png")
    assert [name.rpartition("/")[2] for name in pattern.names] == ["img1.png", "img10.png", "img11.png"]
    assert same(loading.load(["memory://real/img1*.png"]), pattern)
    assert loading.load("memory://real/s*", recursive=True).names[-1].endswith("real/sub/y.png")


def test_a_zip_in_a_store(store: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/1.png", png(PIXELS[0]))
        archive.writestr("2.png", png(PIXELS[1]))
    store.pipe("/x.zip", buffer.getvalue())
    assert loading.load("zip://::memory://x.zip", recursive=True).names == ("2.png", "a/1.png")
    np.testing.assert_array_equal(loading.load("zip://a::memory://x.zip").pixels, PIXELS[:1])
    with pytest.raises(InputError, match=r"memory://x.zip: a format of several images, read from disk alone; copy"):
        loading.load("memory://x.zip")


def test_file_urls_are_paths(both: Path) -> None:
    np.save(both / "z.npy", PIXELS[20:22])
    assert same(loading.load(f"file://{both}"), loading.load(both))
    assert loading.load([f"file://{both / 'img3.png'}"]).names == ((both / "img3.png").as_posix(),)


def test_ranking_and_evidence(store: Any) -> None:
    for i in range(40):
        store.pipe(f"/{'real' if i < 12 else 'fake'}/{i}.png", png(PIXELS[i]))
    store.pipe("/fake/copy.png", png(PIXELS[3]))
    ranking = fingerprint.rank("memory://real", "memory://fake")
    assert ranking[0].name == "3.png"
    expected = fingerprint.rank(loading.load("memory://real"), loading.load("memory://fake"))
    assert ranking.to_csv() == expected.to_csv()
    np.testing.assert_array_equal(ranking.evidence(0).fake, PIXELS[3])


class Remembering(MemoryFileSystem):  # type: ignore[misc]
    """A store that remembers what it listed, as those of buckets do."""

    protocol = "remembering"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("remembering://")))

    def ls(self, path: str, *arguments: Any, **settings: Any) -> Any:
        held = vars(self).setdefault("held", {})
        return held.setdefault(path, super().ls(path, *arguments, **settings))


def test_what_is_listed_is_what_is_there_now(store: Any) -> None:
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    for i in range(2):
        store.pipe(f"/real/{i}.png", png(PIXELS[i]))
        assert len(loading.load("remembering://real")) == i + 1


def test_a_checkpoint_knows_the_files_of_a_store(store: Any, tmp_path: Path) -> None:
    for i in range(40):
        store.pipe(f"/{'real' if i < 12 else 'fake'}/{i}.png", png(PIXELS[i]))
    arguments = {"real": "memory://real", "fake": "memory://fake", "checkpoint": tmp_path / "pass.checkpoint"}
    first = fingerprint.rank(**arguments)
    store.pipe("/fake/41.png", png(PIXELS[0]))
    again = fingerprint.rank(**arguments)
    assert again.to_csv() == fingerprint.rank("memory://real", "memory://fake").to_csv() != first.to_csv()
    store.pipe("/fake/39.png", png(PIXELS[1]))
    with pytest.raises(InputError, match=r"expected the synthetic images it was made of, found '39.png' changed"):
        fingerprint.rank(**arguments)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError("bucket/x"), "no such file or folder"),
        (PermissionError(), "permission denied"),
        (TimeoutError(), "timed out"),
        (ValueError("two\nlines"), "two lines"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_errors_of_a_store_have_one_line(
    store: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    store.pipe("/real/1.png", png(PIXELS[0]))
    store.pipe("/real/2.png", png(PIXELS[1]))

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "cat_file", broken)
    with pytest.raises(InputError, match=rf"2 failed, first 1.png: cannot be read: {why}$"):
        loading.load("memory://real")
    monkeypatch.setattr(MemoryFileSystem, "ls", broken)
    with pytest.raises(InputError, match=rf"^source: cannot read memory://real: {why}$"):
        loading.load("memory://real")


def test_memory_that_is_lacking_blames_no_file(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/real/1.png", png(PIXELS[0]))

    def broken(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(MemoryFileSystem, "cat_file", broken)
    with pytest.raises(MemoryError):
        loading.load("memory://real")


def test_a_file_that_changes_after_listing_fails(store: Any) -> None:
    store.pipe("/real/1.png", png(PIXELS[0]))
    store.pipe("/real/2.png", png(PIXELS[1]))
    listed = loading.listing("memory://real")
    store.pipe("/real/2.png", png(PIXELS[2][:16]))
    store.rm("/real/1.png")
    (found,) = [task() for task in listed.plan(9)]
    assert [failure.reason for failure in found.failed] == [
        "cannot be read: no such file or folder",
        "changed after it was listed; read it again once nothing writes to it",
    ]


def test_large_files_are_not_fetched(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/real/1.png", png(PIXELS[0]))
    monkeypatch.setattr(stores.files, "BYTES", 100)
    with pytest.raises(InputError, match=r"1.png: \d+ bytes, more than the limit of 100"):
        loading.load("memory://real")
    with pytest.raises(InputError, match=r"1.png: \d+ bytes, more than the limit of 100"):
        loading.load(["memory://real/1.png"])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://none", r"source: expected an existing folder or file, got 'memory://none'$"),
        ("memory://none/*", r"source: expected an existing folder or file, got 'memory://none/\*'$"),
        (
            "memory://text",
            r"expected images .* in the folder memory://text, got 1 other file; pass recursive=True",
        ),
        ("nonsense://x", r"source: cannot read nonsense://x: .*nonsense"),
        ("memory://real/none.png", r"source: expected an existing folder or file, got"),
    ],
)
def test_urls_of_nothing(store: Any, url: str, message: str) -> None:
    store.pipe("/text/notes.txt", b"x")
    store.pipe("/text/sub/1.png", png(PIXELS[0]))
    with pytest.raises(InputError, match=message):
        loading.load(url)


def test_a_missing_file_among_others_fails(store: Any) -> None:
    store.pipe("/1.png", png(PIXELS[0]))
    (failure,) = loading.load(["memory://1.png", "memory://none.png"]).failed
    assert failure == ("memory://none.png", "cannot be read: no such file or folder")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(InputError, match=r'source: s3://b/real needs fsspec; pip install "syn.*\[fsspec\]"$'):
        loading.load("s3://b/real")


def test_a_url_that_a_file_names_is_never_opened(store: Any, tmp_path: Path, capsys: Any) -> None:
    for i in range(40):
        store.pipe(f"/{'real' if i < 12 else 'fake'}/{i}.png", png(PIXELS[i]))
    ranking = fingerprint.rank("memory://real", ["memory://fake"])
    read = fingerprint.Ranking.from_json(ranking.to_json())
    assert read == ranking
    with pytest.raises(InputError, match="URLs that a file names are never opened; make it by rank"):
        read.evidence(0)
    part = str(tmp_path / "part.summary")
    fingerprint.summarise("memory://real", "memory://fake").save(part)
    with pytest.raises(InputError, match="cannot be read a second time"):
        fingerprint.rank("memory://real", fingerprint.merge([part])).evidence(0)
    assert main(["merge", part]) == 2
    assert "PART: names a URL, which is opened only where you give it; add --real\n" in capsys.readouterr().err
    assert main(["merge", part, "--real", "memory://real"]) == 0


def test_paths_are_no_urls() -> None:
    assert is_url("S3://bucket")
    assert is_url("simplecache::s3://bucket")
    assert not any(map(is_url, ["c:/real", "c://real", "/a/b", "a/b://c", "real", ".://x"]))


def test_files_of_a_store_travel_to_workers(store: Any) -> None:
    store.pipe("/real/1.png", png(PIXELS[0]))
    (task,) = loading.listing("memory://real").plan(9)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(task))().pixels, PIXELS[:1])
