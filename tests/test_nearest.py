"""The nearest synthetic images of every real one: those of the sorted matrix, from a stream."""

import gc
import tracemalloc

import naive
import numba
import numpy as np
import pytest
from test_distances import noise

from fingerprint import InputError, Nearest, Slices, distances, nearest
from fingerprint._distances import metrics
from fingerprint._images import loading

JIT = not numba.config.DISABLE_JIT


def check_nearest(result, matrix, names, k):
    order = np.array(naive.nearest(matrix, names, loading.natural_key, k))
    np.testing.assert_array_equal(result.indices, order)
    np.testing.assert_array_equal(result.distances, np.take_along_axis(matrix, order, axis=1))
    assert result.fakes == tuple(tuple(names[i] for i in row) for row in order)


@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
@pytest.mark.parametrize(("block", "threads"), [(1, 1), (7, 3)])
def test_nearest_are_the_first_of_the_sorted_matrix(metric, block, threads):
    real, fake = noise(3, (7, 8)), noise(30, (7, 8), seed=1)
    result = nearest(real, fake, metric=metric, k=4, block=block, threads=threads)
    names = loading.load(fake).names
    assert result.metric == metric
    check_nearest(result, distances(real, fake, metric=metric), names, 4)


@pytest.mark.parametrize("block", [1, 4, 5, 6, 100])
def test_ties_go_to_the_lower_name_in_natural_order(block):
    real = np.zeros((2, 4, 4), np.uint8)
    real[1] = 9
    levels = np.random.default_rng(0).integers(0, 3, 24)
    fake = np.zeros((24, 4, 4), np.uint8) + levels[:, None, None].astype(np.uint8)
    names = [f"g{i}.png" for i in np.random.default_rng(1).permutation(24)]
    names[5] = names[6]
    result = nearest(real, Slices(fake, tuple(names)), k=5, block=block)
    check_nearest(result, distances(real, fake), names, 5)


def test_nearest_with_fewer_synthetic_images_than_k():
    result = nearest(noise(2), noise(3, seed=1), k=10)
    assert result.distances.shape == result.indices.shape == (2, 3)
    assert len(result) == len(result.names) == 2
    assert result[0].neighbours == tuple(zip(result.fakes[0], result.distances[0].tolist(), strict=True))


def test_nearest_finds_a_copy_at_distance_zero():
    fake = noise(20)
    for metric in metrics.IMAGE_METRICS:
        result = nearest(fake[13:14], fake, metric=metric, k=1)
        assert (result.indices[0, 0], result.distances[0, 0]) == (13, 0)


@pytest.mark.slow
def test_nearest_passes_a_stream_through_little_memory():
    real = noise(2, (16, 16))
    count = 400 if JIT else 50

    def stream(n):
        for i in range(n):
            if i % 10 == 0:
                gc.collect()  # also empties the free lists, which grow to thousands of tuples
            yield noise(4, (16, 16), seed=i)

    nearest(real, stream(3), block=4, threads=1)
    peaks = []
    for n in (count // 10, count):
        tracemalloc.start()
        result = nearest(real, stream(n), block=4, threads=1, k=3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert result.indices.max() < 4 * count
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("block", [1, 256])
def test_nearest_lists_the_files_of_both_sides_that_failed(tmp_path, block):
    from PIL import Image

    for side in ("real", "fake"):
        (tmp_path / side).mkdir()
        for i, pixels in enumerate(noise(3)):
            Image.fromarray(pixels).save(tmp_path / side / f"{side}{i}.png")
        (tmp_path / side / f"{side}1.png").write_bytes(b"no picture")
    result = nearest(tmp_path / "real", tmp_path / "fake", k=5, block=block)
    assert result.names == ("real0.png", "real2.png")
    assert result.fakes[0] == ("fake0.png", "fake2.png")
    assert {side: [one.name for one in lost] for side, lost in result.failed.items()} == {
        "real": ["real1.png"],
        "fake": ["fake1.png"],
    }
    with pytest.raises(InputError, match=r"real1\.png"):
        distances(tmp_path / "real", tmp_path / "fake")
    with pytest.raises(InputError, match=r"real: real1\.png"):
        nearest(tmp_path / "real", tmp_path / "fake", on_error="raise")
    deep = nearest(tmp_path / "real", tmp_path, size=16, recursive=True)
    assert set(deep.fakes[0]) == {"real/real0.png", "real/real2.png", "fake/fake0.png", "fake/fake2.png"}


def test_progress_goes_to_stderr(capsys):
    nearest(noise(2), noise(3), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    nearest(noise(2), noise(3))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nearest(noise(1), noise(1), metric="cosine"), r"^metric: expected one of .*, got 'cosine'"),
        (lambda: nearest(noise(1), noise(1), k=0), r"^k: expected an integer of at least 1, got 0"),
        (lambda: nearest(iter([]), noise(1)), r"^real: expected at least one usable image, got none"),
        (lambda: nearest(noise(1), iter([])), r"^fake: expected at least one usable image, got none"),
        (lambda: nearest(noise(1), noise(1, (4, 4))), r"^fake: "),
        (lambda: nearest(noise(1), noise(1), threads=-1), r"^threads: expected an integer of at least 1, got -1"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_nearest_is_a_record():
    result = nearest(noise(1), noise(2), k=1)
    assert isinstance(result, Nearest)
    with pytest.raises(AttributeError):
        result.metric = "ssim"


def test_names_of_images_no_longer_near_are_forgotten():
    real, fake = noise(1), noise(1, seed=1)
    names = tuple(f"fake_{i}" for i in range(40, 0, -1))
    found = nearest(real, Slices(np.repeat(fake, len(names), axis=0), names), k=1)
    assert (found.fakes, found.indices.tolist()) == ((("fake_1",),), [[39]])
