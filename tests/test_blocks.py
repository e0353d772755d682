"""Blocks of a stream: read ahead, bounded, in order."""

import itertools
import pickle
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import Array, raises, stack, write
from PIL import Image

from fingerprint._base.checks import InputError
from fingerprint._images import loading
from fingerprint._images.blocks import Memory
from fingerprint._images.loading import Failure, Slices


def test_the_same_comes_out_whatever_the_blocks_and_threads(tmp_path: Path) -> None:
    write(tmp_path, stack(7))
    (tmp_path / "3.png").write_bytes(b"")

    def source() -> Iterator[Any]:
        yield stack(5)
        yield tmp_path
        yield [Slices(stack(2), ("a", "b")), stack(1)]
        yield (image[None] for image in stack(3))

    whole = loading.load(source(), threads=1)
    assert len(whole) == 5 + 6 + 2 + 1 + 3
    assert whole.names[-4:] == ("5", "6", "7", "8")
    for block, threads in itertools.product((1, 2, 3, 100), (1, 2, 5)):
        parts = list(loading.blocks(source(), block=block, threads=threads))
        assert all(len(part) + len(part.failed) == block for part in parts[:-1])
        assert sum((part.names for part in parts), ()) == whole.names
        assert sum((part.failed for part in parts), ()) == whole.failed
        np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts if len(part)]), whole.pixels)
        again = loading.load(source(), threads=threads)
        np.testing.assert_array_equal(again.pixels, whole.pixels)


def test_an_iterator_is_consumed_as_slowly_as_its_blocks() -> None:
    taken = 0

    def source() -> Iterator[Array]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield stack(2)

    stream = loading.blocks(source(), block=4, threads=2)
    assert taken == 0
    next(stream)
    assert 0 < taken <= 20
    stream.close()
    assert taken <= 20
    tasks = loading.listing(source()).plan(4)
    next(tasks)
    assert taken <= 22


def test_memory_is_bounded_by_the_blocks(tmp_path: Path) -> None:
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(2000, 128, 128))
    del mapped
    tracemalloc.start()
    try:
        count = sum(len(part) for part in loading.blocks(tmp_path / "x.npy", block=20, threads=2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 10 * 20 * 128 * 128


def test_an_iterator_may_reuse_its_array() -> None:
    def source() -> Iterator[Array]:
        buffer = np.empty((1, 4, 4), np.uint8)
        for value in range(50):
            buffer[:] = value
            yield buffer

    for block in (1, 8):
        values = [int(image[0, 0]) for part in loading.blocks(source(), block=block, threads=4) for image in part]
        assert values == list(range(50))
    np.testing.assert_array_equal(loading.load(source()).pixels[:, 0, 0], range(50))


def test_a_wrong_item_is_an_error_at_its_turn() -> None:
    def source() -> Iterator[Any]:
        yield stack(4)
        yield "nowhere"
        raise AssertionError

    for threads in (1, 3):
        stream = loading.blocks(source(), block=2, threads=threads)
        assert [len(next(stream)), len(next(stream))] == [2, 2]
        with raises("source: expected an existing folder or file, got 'nowhere'"):
            next(stream)


def test_an_error_of_the_iterator_itself_passes_through() -> None:
    def source() -> Iterator[Array]:
        yield stack(4)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        loading.load(source())


def test_an_empty_iterator_has_no_image() -> None:
    with raises("source: expected at least one usable image, got none"):
        loading.load(iter([]))
    with raises("source: expected at least one usable image, got none"):
        list(loading.blocks(iter([])))
    assert list(loading.listing(iter([])).plan(2)) == []


def test_threads_end_when_a_stream_is_abandoned(tmp_path: Path) -> None:
    write(tmp_path, stack(50))
    before = threading.active_count()
    stream = loading.blocks(tmp_path, block=2, threads=3)
    next(stream)
    assert threading.active_count() > before
    stream.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # pragma: no cover
    assert threading.active_count() == before


def test_memory_is_used_again_once_nobody_holds_pixels_in_it(tmp_path: Path) -> None:
    memory, byte = Memory(), np.dtype(np.uint8)
    arrays = [memory.array((3, 5, 7), np.dtype(np.uint16)) for _ in range(2)]
    at = arrays[1].ctypes.data
    arrays[0][:] = 7
    held, arrays = arrays[0][1:].swapaxes(1, 2)[..., ::2], []  # a view of a view
    again = memory.array((5, 5, 5), byte)
    other = memory.array((5, 5, 5), byte)
    assert at == again.ctypes.data != other.ctypes.data
    again[:] = other[:] = 9
    assert (held == 7).all()
    del again, other
    assert memory.array((9, 9, 9), byte).shape == (9, 9, 9)  # for which there was too little
    assert memory.array((2, 2), byte).base.base.nbytes == 4  # and for this too much
    assert memory.array((4, 0, 3), byte).shape == (4, 0, 3)
    write(tmp_path, stack(20))
    blocks = [part.pixels[0].T for part in loading.blocks(tmp_path, block=2, threads=2)]
    np.testing.assert_array_equal(blocks, stack(20)[::2].swapaxes(1, 2))


def test_tasks_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, stack(5))
    for source in (tmp_path, stack(5), Slices(stack(5), tuple("abcde"))):
        for task in loading.listing(source).plan(2):
            again = pickle.loads(pickle.dumps(task))()
            np.testing.assert_array_equal(again.pixels, task().pixels)
            assert again.names == task().names


def test_tasks_of_npy_hold_paths_only(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((100, 64, 64), np.uint8))
    tasks = list(loading.listing(tmp_path / "x.npy").plan(50))
    assert [len(task()) for task in tasks] == [50, 50]
    assert all(len(pickle.dumps(task)) < 1000 for task in tasks)


def test_errors_can_be_pickled() -> None:
    (task,) = loading.listing([stack(1), stack(1, 7)]).plan(4)
    with pytest.raises(InputError) as caught:
        task()
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) is InputError
    assert str(again) == str(caught.value)


def test_silent_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, stack(5))
    loading.load(tmp_path)
    assert capfd.readouterr() == ("", "")
    loading.load(tmp_path, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "5/5" in err
    loading.load(iter([tmp_path]), progress=True)
    assert "5image" in capfd.readouterr().err


def test_a_plan_tells_how_many_images_there_are_without_reading_them(tmp_path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    (tmp_path / "notes.csv").write_bytes(b"")
    array = np.zeros((4, 8, 8), np.uint8)

    def total(source: Any) -> int | None:
        return loading.listing(source).plan(2).total

    assert total(tmp_path) == 3
    assert total([tmp_path, array, Slices(array, tuple("abcd"), failed=(Failure("e", "empty"),))]) == 12
    assert total(iter([array])) is None
    np.save(tmp_path / "stack.npy", array)
    assert total(tmp_path) is None
    with pytest.raises(InputError, match="source: expected"):
        total("/no/such/folder")


def test_pick_reads_images_again_by_name(tmp_path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 8, 6), dtype=np.uint8)
    for i in range(3):
        Image.fromarray(array[i]).save(tmp_path / f"{i}.png")
    np.save(tmp_path / "stack.npy", array)
    wanted = ["stack.npy[3]", "2.png", "0.png"]
    found = loading.pick(tmp_path, wanted)
    assert found.names == tuple(wanted)
    assert np.array_equal(found.pixels, array[[3, 2, 0]])
    assert np.array_equal(loading.pick([array[:2], array[2:]], ["3", "1"]).pixels, array[[3, 1]])
    assert loading.pick(tmp_path, ["1.png"], size=4).pixels.shape == (1, 4, 4)
    (tmp_path / "again").mkdir()
    Image.fromarray(array[3]).save(tmp_path / "again/0.png")
    (tmp_path / "again/1.png").write_bytes(b"no picture")
    twice = [loading.load(tmp_path / "again"), Slices(array, ("0.png", "1.png", "2.png", "3.png"))]
    found = loading.pick(twice, ["0.png", "0.png", "1.png"], positions=[1, 0, 2])
    assert np.array_equal(found.pixels, array[[0, 3, 1]])
    with pytest.raises(InputError, match=r"fake: expected a usable image named '9\.png', found none"):
        loading.pick(tmp_path, ["9.png"], argument="fake")
    with pytest.raises(InputError, match="fake: an iterator cannot be read a second time"):
        loading.pick(iter([array]), ["1"], argument="fake")


def test_blocks_of_large_images_are_smaller():
    def sizes(side, block, count=300):
        expect = loading.PixelFormat(side, side, "uint8")
        pixels = np.broadcast_to(np.zeros(1, np.uint8), (count, side, side))
        tasks = loading.listing(pixels, expect=expect).plan(block)
        return {len(task.parts[0].pixels) for task in itertools.islice(tasks, 2)}

    assert [sizes(side, 128) for side in (64, 256, 1024, 2048)] == [{128}, {128}, {64}, {16}]
    assert sizes(2048, 5) == {5}
