"""A pass goes on where it stopped, to the same bytes, and never from what is not its own."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fingerprint
from fingerprint._base import sealed
from fingerprint._images import checkpoint, formats

RNG = np.random.default_rng(5)
REAL = RNG.integers(0, 256, (6, 16, 16), dtype=np.uint8)
FAKE = np.concatenate([RNG.integers(0, 256, (30, 16, 16), dtype=np.uint8), REAL[:2]])
PATIENTS = [f"patient {i // 2}" for i in range(len(REAL))]


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Checkpoints are written after every block."""
    monkeypatch.setattr(checkpoint, "_SECONDS", 0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)


@pytest.fixture
def fake(tmp_path) -> Path:
    """A folder of synthetic images, of which one cannot be read and one is no image."""
    folder = tmp_path / "fake"
    folder.mkdir()
    for i, image in enumerate(FAKE):
        Image.fromarray(image).save(folder / f"{2 * i}.png")
    (folder / "9.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    return folder


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that have been decoded."""
    names = []
    decode = formats.decoded

    def noted(path, data=None):
        names.append(Path(path).name)
        return decode(path, data)

    monkeypatch.setattr(formats, "decoded", noted)
    return names


def rank(fake, path=None, **more):
    return fingerprint.rank(REAL, fake, **{"groups": PATIENTS, "block": 4, "threads": 1, "checkpoint": path} | more)


def stop_at(monkeypatch, number: int) -> None:
    """Let the process fail when a number of files have been decoded."""
    decode = formats.decoded
    left = [number]

    def stopping(path, data=None):
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError("stopped")
        return decode(path, data)

    monkeypatch.setattr(formats, "decoded", stopping)


@pytest.mark.parametrize("number", [0, 1, 7, 21, 32])
def test_a_stopped_call_goes_on(fake, tmp_path, number) -> None:
    expected = rank(fake).to_json()
    with pytest.MonkeyPatch.context() as patched:
        stop_at(patched, number)
        with pytest.raises(MemoryError):
            rank(fake, tmp_path / "kept")
    assert (tmp_path / "kept").exists() == (number > 4)
    assert rank(fake, tmp_path / "kept").to_json() == expected
    assert rank(fake, tmp_path / "kept").to_json() == expected


def test_an_executor_goes_on_too(fake, tmp_path, decoded) -> None:
    expected = rank(fake).to_json()
    with ThreadPoolExecutor(2) as pool:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("fingerprint._evidence.engine._SHARD", 2)
            stop_at(patched, 20)
            with pytest.raises(MemoryError):
                rank(fake, tmp_path / "kept", block=2, executor=pool)
        decoded.clear()
        assert rank(fake, tmp_path / "kept", executor=pool).to_json() == expected
    assert 0 < len(decoded) < len(FAKE)


def test_what_is_known_is_not_read_again(fake, tmp_path, decoded) -> None:
    whole = rank(fake, tmp_path / "kept").to_json()
    assert len(decoded) == len(FAKE) + 1
    decoded.clear()
    assert rank(fake, tmp_path / "kept").to_json() == whole
    assert decoded == ["9.png"]  # what failed is tried again


def test_added_images_cost_only_themselves(fake, tmp_path, decoded) -> None:
    kept = tmp_path / "kept"
    rank(fake, kept)
    added = ["0_first.png", "7.png", "8_between.png", "zz_last.png"]
    for name, image in zip(added, REAL[2:], strict=True):
        Image.fromarray(image).save(fake / name)
    Image.fromarray(FAKE[0] ^ 1).save(fake / "9.png")  # it was being written
    decoded.clear()
    found = rank(fake, kept).to_json()
    assert sorted(decoded) == sorted([*added, "9.png"])
    assert found == rank(fake).to_json()
    decoded.clear()
    assert rank(fake, kept).to_json() == found
    assert decoded == []


def test_added_images_cost_only_themselves_even_if_that_is_stopped(fake, tmp_path) -> None:
    kept = tmp_path / "kept"
    rank(fake, kept)
    for i in range(12):
        Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8)).save(fake / f"{5 * i}_new.png")
    for number in (6, 5, 3):
        with pytest.MonkeyPatch.context() as patched:
            stop_at(patched, number)
            with pytest.raises(MemoryError):
                rank(fake, kept)
    assert rank(fake, kept).to_json() == rank(fake).to_json()


@settings(max_examples=12)
@given(st.data())
def test_positions_are_those_of_one_pass(data) -> None:
    """Whatever was there at first, in whatever order the rest came, and whatever fails."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "fake")
        folder.mkdir()
        paths = [folder / f"{i}.png" for i in range(12)]
        broken = data.draw(st.sets(st.integers(0, 11), max_size=4))
        rounds = data.draw(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=3))
        block = data.draw(st.integers(1, 5))
        for there in [*rounds, set(range(12))]:
            for i in there:
                if not paths[i].exists() and i in broken:
                    paths[i].write_bytes(b"no image")
                elif not paths[i].exists():
                    Image.fromarray(FAKE[i % 5]).save(paths[i])  # many are equally near
            if any(paths[i].exists() for i in set(range(12)) - broken):
                found = fingerprint.rank(REAL, folder, block=block, threads=1, checkpoint=Path(name, "kept"))
        assert found.to_json() == fingerprint.rank(REAL, folder, threads=1).to_json()


@pytest.mark.parametrize("kind", ["array", "floats", "slices", "stack", "list", "iterator"])
def test_a_source_of_any_kind_goes_on(kind, tmp_path, decoded) -> None:
    np.save(tmp_path / "stack.npy", FAKE)
    folder = tmp_path / "some"
    folder.mkdir()
    for i, image in enumerate(FAKE[:5]):
        Image.fromarray(image).save(folder / f"{i}.png")

    def source(stop: bool):
        stopped = iter([FAKE[:20], _Stop()]) if stop else None
        match kind:
            case "array":
                return [FAKE[:20], stopped] if stop else [FAKE[:20], FAKE[20:]]
            case "floats":
                return [FAKE[:20] / 255, stopped] if stop else [FAKE[:20] / 255, FAKE[20:] / 255]
            case "slices":
                return [fingerprint.load(FAKE[:20]), stopped] if stop else [fingerprint.load(FAKE[:20]), FAKE[20:]]
            case "stack":
                return [str(tmp_path / "stack.npy"), stopped] if stop else [str(tmp_path / "stack.npy"), FAKE[20:]]
            case "list":
                return [str(folder), stopped] if stop else [str(folder), str(tmp_path / "stack.npy")]
        return iter([FAKE[:20], FAKE[20:27], _Stop() if stop else FAKE[27:]])

    expected = rank(source(stop=False)).to_json()
    with pytest.raises(MemoryError):
        rank(source(stop=True), tmp_path / "kept")
    if kind == "iterator":
        assert rank(source(stop=False), tmp_path / "kept").to_json() == expected
    else:
        with pytest.raises(fingerprint.InputError, match="expected the synthetic images it was made of"):
            rank(source(stop=False)[1:], tmp_path / "kept")


class _Stop:
    def __array__(self, *_, **__):
        raise MemoryError("stopped")


MOMENTS = ["reading", "writing", "before renaming", "after renaming", "after writing"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process to kill")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_process_loses_nothing(fake, tmp_path, moment) -> None:
    kept = tmp_path / "kept"
    expected = rank(fake).to_json()
    for _ in range(3):  # each time it comes further
        if not (child := os.fork()):
            try:
                die_at(moment)
                rank(fake, kept)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        if kept.exists():
            sealed.read(kept, argument="checkpoint")
    assert rank(fake, kept).to_json() == expected


def die_at(moment: str) -> None:
    """Let this process be killed at a moment of its second block or checkpoint."""
    calls = [0]

    def killing(function, *, number=2, after=False):
        def wrapped(*arguments, **more):
            calls[0] += 1
            found = function(*arguments, **more) if after else None
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return found if after else function(*arguments, **more)

        return wrapped

    match moment:
        case "reading":
            formats.decoded = killing(formats.decoded, number=6)
        case "writing":
            os.fsync = killing(os.fsync)
        case "before renaming":
            Path.replace = killing(Path.replace)
        case "after renaming":
            Path.replace = killing(Path.replace, after=True)
        case "after writing":
            checkpoint.Pass._save = killing(checkpoint.Pass._save, number=3, after=True)


def refused(fake, path, **more) -> str:
    before = Path(path).read_bytes()
    with pytest.raises(fingerprint.InputError) as caught:
        rank(fake, path, **more)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"checkpoint: {path}")
    assert Path(path).read_bytes() == before
    return str(caught.value)


def test_another_comparison_is_refused_and_the_difference_named(fake, tmp_path, monkeypatch, decoded) -> None:
    path = tmp_path / "kept"
    rank(fake, path)
    decoded.clear()
    assert "k 5, now 6" in refused(fake, path, k=6)
    assert "size None, now [16, 16]" in refused(fake, path, size=16)
    assert "the patients" in refused(fake, path, groups=None)
    assert "the patients" in refused(fake, path, groups=["one", *"22345"])
    assert "patches True, now False" in refused(fake, path, method="nearness")
    assert "scales [" in refused(fake, path, method="ssim")
    with pytest.raises(fingerprint.InputError, match=r"the real images; number of real images 6, now 5.*all 33"):
        fingerprint.rank(REAL[:5], fake, checkpoint=path, groups=PATIENTS[:5])
    other = REAL.copy()
    other[3, 5, 5] ^= 1
    with pytest.raises(fingerprint.InputError, match="made of something else: the real images; delete"):
        fingerprint.rank(other, fake, checkpoint=path, groups=PATIENTS)
    monkeypatch.setattr(checkpoint, "__version__", "99")
    assert "expected a Summary (schema 1) of version 99, got fingerprint Summary" in refused(fake, path)
    assert decoded == []


def test_other_synthetic_images_are_refused_and_named(fake, tmp_path, decoded) -> None:
    path = tmp_path / "kept"
    rank(fake, path)
    decoded.clear()
    old = (fake / "12.png").stat()
    os.utime(fake / "12.png", ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert "found '12.png' changed" in refused(fake, path)
    os.utime(fake / "12.png", ns=(old.st_atime_ns, old.st_mtime_ns))
    (fake / "12.png").rename(fake / "13.png")
    assert "found no '12.png';" in refused(fake, path)
    (fake / "13.png").rename(fake / "12.png")
    files = sorted(fake.glob("*.png"), key=lambda each: int(each.stem))
    rank(files, tmp_path / "list")
    decoded.clear()
    assert "in another order" in refused(files[::-1], tmp_path / "list")
    assert decoded == []
    rank(iter([FAKE[:8], FAKE[8:]]), tmp_path / "iterator")
    assert "at place 1 changed" in refused(iter([FAKE[:7], FAKE[8:]]), tmp_path / "iterator")
    assert "at place 2 changed, or none" in refused(iter([FAKE[:8]]), tmp_path / "iterator")


@settings(max_examples=40)
@given(st.data())
def test_a_changed_byte_is_never_believed(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "changed"
    content = bytearray(_saved(tmp_path_factory))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(fingerprint.InputError, match=r"^checkpoint: "):
        rank(FAKE, path)


def _saved(factory) -> bytes:
    path = factory.getbasetemp() / "saved"
    if not path.exists():
        rank(FAKE, path)
    return path.read_bytes()


@settings(max_examples=30)
@given(st.data())
def test_other_contents_under_a_right_checksum_end_in_one_line(tmp_path_factory, data) -> None:
    """Whoever makes the checksum anew may forge numbers, but neither structure nor sizes."""
    forge(tmp_path_factory, data)


def forge(factory, data) -> None:
    path = factory.getbasetemp() / "forged"
    path.write_bytes(_saved(factory))
    header, arrays = sealed.read(path, argument="checkpoint")
    others = [None, -1, 0, 2**70, 0.5, "x", [], {}, {"tuple": []}, {"array": "3"}, {"array": "0"}, True]
    where, key = data.draw(st.sampled_from(list(_places(header))))
    where[key] = data.draw(st.sampled_from(others))
    sealed.write(path, header, arrays)
    message = ""
    try:
        rank(FAKE, path)
    except fingerprint.InputError as error:
        message = str(error)
    assert "\n" not in message


def _places(tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_work(fake, tmp_path, decoded) -> None:
    with pytest.raises(fingerprint.InputError, match="checkpoint: expected a file in a folder"):
        rank(fake, tmp_path / "missing" / "kept")
    with pytest.raises(fingerprint.InputError, match="found a folder"):
        rank(fake, tmp_path)
    assert decoded == []


def test_checkpoints_are_written_by_the_clock(fake, tmp_path, monkeypatch) -> None:
    written = []
    save = checkpoint.Held.save
    monkeypatch.setattr(
        checkpoint.Held, "save", lambda held, path: written.append(held.kept.n_places) or save(held, path)
    )
    monkeypatch.setattr(checkpoint, "_SECONDS", 30)
    rank(fake, tmp_path / "kept")
    assert written == [33]
    clock = iter(range(0, 10_000, 11))
    monkeypatch.setattr(checkpoint.time, "monotonic", partial(next, clock))
    rank(fake, tmp_path / "other")
    assert written[-1] == 33
    assert 3 < len(written) < 9


def test_audit_fit_compare_and_predict_go_on(fake, tmp_path) -> None:
    used, unused = RNG.integers(0, 256, (2, 12, 16, 16), dtype=np.uint8)
    more = {"block": 5, "threads": 3}
    detector = fingerprint.fit(used, unused, fake, **more)
    calls = [
        partial(fingerprint.audit, used, unused, fake, n_permutations=99, **more),
        partial(fingerprint.fit, used, unused, fake, **more),
        partial(fingerprint.compare, used, fake, FAKE[:20], unused=unused, n_bootstrap=100, **more),
        partial(detector.predict, used, fake, **more),
    ]
    for i, call in enumerate(calls):
        expected = call().to_json()
        with pytest.MonkeyPatch.context() as patched:
            stop_at(patched, 17)
            with pytest.raises(MemoryError):
                call(checkpoint=tmp_path / f"{i}")
        assert call(checkpoint=tmp_path / f"{i}").to_json() == expected
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2.fake_a", "2.fake_b", "3", "fake"}
    with pytest.raises(fingerprint.InputError, match="distances for the data-copying statistic True, now False"):
        fingerprint.fit(used, unused, fake, checkpoint=tmp_path / "0")


@pytest.mark.parametrize(
    "call",
    [
        partial(fingerprint.nearest, REAL, k=3, block=4),
        partial(fingerprint.nearest_patches, REAL, patch_size=8, stride=4, mirror=True),
    ],
    ids=["nearest", "nearest_patches"],
)
def test_searches_go_on_too(fake, tmp_path, monkeypatch, decoded, call) -> None:
    monkeypatch.setattr("fingerprint._patches.matches._BLOCK", 4)
    kept = tmp_path / "kept"
    expected = call(fake, threads=1)
    for number in (9, 11):
        with pytest.MonkeyPatch.context() as patched:
            stop_at(patched, number)
            with pytest.raises(MemoryError):
                call(fake, threads=1, checkpoint=kept)
    assert call(fake, threads=3, checkpoint=kept).to_json() == expected.to_json()
    Image.fromarray(REAL[3]).save(fake / "5.png")
    Image.fromarray(FAKE[0]).save(fake / "9.png")
    decoded.clear()
    found = call(fake, threads=1, checkpoint=kept)
    assert sorted(decoded) == ["5.png", "9.png"]
    assert found.to_json() == call(fake, threads=2).to_json() != expected.to_json()
    rank(fake, tmp_path / "rank")
    for other, path in ((call, "rank"), (rank, "kept")):
        with pytest.raises(fingerprint.InputError, match=r"^checkpoint: .* expected a Summary, got other contents"):
            other(fake, checkpoint=tmp_path / path)


@pytest.mark.slow
def test_a_command_killed_at_any_moment_goes_on(tmp_path) -> None:
    """Killed again and again, from outside and whatever it does, until it is done."""
    many = np.concatenate([FAKE] * 6) ^ np.arange(6 * len(FAKE), dtype=np.uint8)[:, None, None]
    for name, images in (("real", REAL), ("fake", many)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    program = (
        "import sys, time\n"
        "from fingerprint._images import checkpoint, formats\n"
        "checkpoint._SECONDS = checkpoint._SHARE = 0\n"
        "decode = formats.decoded\n"
        "formats.decoded = lambda *given: (time.sleep(0.1), decode(*given))[1]\n"
        "import fingerprint\n"
        "real, fake, kept, out = sys.argv[1:]\n"
        "fingerprint.rank(real, fake, block=4, threads=2, checkpoint=kept).to_csv(out)\n"
    )
    paths = [str(tmp_path / name) for name in ("real", "fake", "kept", "out.csv")]
    killed = 0
    for patience in range(40):
        child = subprocess.Popen([sys.executable, "-c", program, *paths])
        try:
            assert child.wait(1.5 + RNG.uniform(0, 1.5) + patience / 5) == 0
            break
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed += 1
            if (tmp_path / "kept").exists():
                sealed.read(tmp_path / "kept", argument="checkpoint")
    assert killed > 2
    assert (tmp_path / "out.csv").read_text() == fingerprint.rank(tmp_path / "real", tmp_path / "fake").to_csv()


@pytest.mark.slow
@settings(max_examples=3000)
@given(st.data())
def test_many_other_contents_end_in_one_line(tmp_path_factory, data) -> None:
    forge(tmp_path_factory, data)
