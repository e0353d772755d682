"""Distances: the oracles, exactness, and the same bits whatever the blocks, threads and layouts."""

import pickle
import typing

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fingerprint import InputError, distances, load
from fingerprint._distances import metrics, packed
from fingerprint._distances.side import Side
from fingerprint._kernels import dot_products, gaps, packing, ssim

JIT = not numba.config.DISABLE_JIT
EXACT = ("euclidean", "l2", "manhattan", "tiles")
ORACLES = {name: getattr(naive, name) for name in metrics.IMAGE_METRICS}
SHAPE = (11, 14)


def noise(n, shape=SHAPE, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (n, *shape), dtype, endpoint=True)


def compare(metric, got, expected):
    if metric in EXACT:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=5e-7 if metric == "ssim" else 1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
def test_distances_are_those_of_the_oracle(metric, dtype):
    real, fake = noise(3, dtype=dtype), noise(4, dtype=dtype, seed=1)
    compare(metric, distances(real, fake, metric=metric, threads=1), naive.matrix(ORACLES[metric], real, fake))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (65, 5)])
@pytest.mark.parametrize("metric", [name for name in metrics.IMAGE_METRICS if name != "ssim"])
def test_any_size_will_do(metric, shape):
    real, fake = noise(2, shape), noise(2, shape, seed=1)
    compare(metric, distances(real, fake, metric=metric, threads=1), naive.matrix(ORACLES[metric], real, fake))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
def test_the_extremes_of_the_pixels(metric, dtype):
    limit = np.iinfo(dtype).max
    pixels = np.zeros((5, 8, 9), dtype)
    pixels[1], pixels[2, :, ::2], pixels[3, :, 1::2], pixels[4] = limit, limit, limit, limit // 3
    got = distances(pixels, pixels, metric=metric, threads=1)
    compare(metric, got, naive.matrix(ORACLES[metric], pixels, pixels))
    np.testing.assert_array_equal(np.diag(got), 0)
    assert got.min() >= 0
    most = {"correlation": 2, "ssim": 2, "l2": limit * 9}
    assert got.max() <= most.get(metric, limit)


def test_the_similarity_of_near_copies_is_no_negative_distance():
    bright = np.linspace(1, 65532, 64).astype(np.uint16)[:, None, None] * np.ones((1, 7, 7), np.uint16)
    near = bright.copy()
    near[:, 0, 0] += 1
    assert distances(bright, near, metric="ssim", threads=1).min() == 0


def test_a_flat_image_has_no_shape_to_correlate():
    pixels = np.zeros((3, 4, 4), np.uint8)
    pixels[1], pixels[2, 0] = 9, 7
    expected = [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    np.testing.assert_array_equal(distances(pixels, pixels, metric="correlation", threads=1), expected)


def test_correlation_keeps_near_copies_apart():
    real = noise(1, (16, 16), np.uint16)
    fake = np.repeat(real, 3, axis=0)
    fake[1, 0, 0] ^= 1
    fake[2, 0, :2] ^= 1
    near = distances(real, fake, metric="correlation", threads=1)[0]
    assert 0 == near[0] < near[1] < near[2] < 1e-9


def test_correlation_of_bright_wide_images_does_not_overflow():
    pixels = np.full((2, 600, 600) if JIT else (2, 30, 30), 65535, np.uint16)
    pixels[0, ::2], pixels[1, 1::2] = 0, 0
    np.testing.assert_array_equal(distances(pixels, pixels, metric="correlation", threads=1), [[0, 2], [2, 0]])


SIDES = st.tuples(st.integers(7, 12), st.integers(7, 20)).flatmap(
    lambda shape: st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: st.tuples(*(arrays.arrays(dtype, (n, *shape)) for n in (2, 3)))
    )
)


@settings(max_examples=30 if JIT else 5, deadline=None)
@given(SIDES, st.sampled_from(metrics.IMAGE_METRICS))
def test_properties(sides, metric):
    real, fake = sides
    there, back = distances(real, fake, metric=metric, threads=1), distances(fake, real, metric=metric, threads=1)
    np.testing.assert_array_equal(there, back.T)
    compare(metric, there, naive.matrix(ORACLES[metric], real, fake))
    np.testing.assert_array_equal(np.diag(distances(fake, fake, metric=metric, threads=1)), 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_same_bits_whatever_the_blocks_threads_and_company(dtype):
    n = 140 if JIT else 70  # several panels
    real, fake = noise(18, (9, 23), dtype), noise(n, (9, 23), dtype, seed=1)
    names = metrics.IMAGE_METRICS
    whole = metrics.matrices(metrics.prepare_side(real, names), metrics.prepare_side(fake, names), names)
    for metric in names:
        for threads in (1, 3):
            np.testing.assert_array_equal(
                distances(real, fake, metric=metric, block=16, threads=threads), whole[metric]
            )
        left, right = (metrics.prepare_side(side, metric, threads=2) for side in (real[3:], fake[:1]))
        np.testing.assert_array_equal(metrics.matrix(left, right, threads=2), whole[metric][3:, :1])
        np.testing.assert_array_equal(metrics.matrix(right, left), whole[metric][3:, :1].T)


def test_the_same_bits_by_numpy(monkeypatch):
    names = metrics.IMAGE_METRICS
    sides = [(noise(17, (9, 23), dtype), noise(18, (9, 23), dtype, 1)) for dtype in (np.uint8, np.uint16)]

    def found():
        for real, fake in sides:
            matrices = metrics.matrices(metrics.prepare_side(real, names), metrics.prepare_side(fake, names), names)
            yield from (matrices[metric].tobytes() for metric in names)

    compiled = list(found())
    forms = [
        (file, name) for file in (dot_products, gaps, packing, ssim) for name in vars(file) if name[-6:] == "_numpy"
    ]
    assert len(forms) == 9
    for file, name in forms:
        monkeypatch.setattr(file, name.removesuffix("_numpy"), getattr(file, name))
    assert list(found()) == compiled


@pytest.mark.parametrize("metric", metrics.IMAGE_METRICS)
def test_the_layout_in_memory_does_not_matter(metric):
    real, fake = noise(2), noise(3, seed=1)
    expected = distances(real, fake, metric=metric, threads=1)
    still = real.copy()
    still.flags.writeable = False
    wide = noise(3, (SHAPE[0], 2 * SHAPE[1]))
    wide[:, :, ::2] = fake
    flipped = np.asfortranarray(fake[::-1, ::-1])[::-1, ::-1]
    for a, b in [(still, wide[:, :, ::2]), (np.asfortranarray(real), flipped)]:
        before = a.copy(), b.copy()
        np.testing.assert_array_equal(distances(a, b, metric=metric, threads=1), expected)
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(b, before[1])


RANGES = {"CT": (0, 4095), "narrow": (40000, 40300), "flat": (9, 9), "14 bits": (0, 16383), "full": (0, 65535)}


def deep(n, shape, limits, seed=0):
    """16-bit noise that reaches both limits."""
    pixels = np.random.default_rng(seed).integers(*limits, (n, *shape), np.uint16, endpoint=True)
    pixels[0], pixels[1], pixels[:, 0, :2] = *limits, limits
    return pixels


@pytest.mark.parametrize("fakes", RANGES)
@pytest.mark.parametrize("reals", RANGES)
def test_16_bit_images_of_any_range(reals, fakes):
    shape = (2, 600 if JIT else 10)
    real, fake = deep(2, shape, RANGES[reals]), deep(3, shape, RANGES[fakes], seed=1)
    for metric in ("euclidean", "correlation", "tiles"):
        compare(metric, distances(real, fake, metric=metric, threads=1), naive.matrix(ORACLES[metric], real, fake))


@pytest.mark.parametrize("shape", [(4, 5), (9, 30), (32, 33)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_windows_are_correlated_each_on_its_own(kind, shape):
    real, fake = (
        np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (n, *shape), kind, True)
        for seed, n in ((1, 3), (2, 19))
    )
    real[1, : shape[0] // 2] = 7  # flat windows
    fake[4], fake[5] = real[0], 9
    names = (*packed.WINDOWS, "correlation")
    found = metrics.matrices(*(metrics.prepare_side(images, names) for images in (real, fake)), names)
    for n, name in enumerate(packed.WINDOWS):
        parts = [np.stack([naive.window(image, n) for image in images]) for images in (real, fake)]
        expected = naive.matrix(naive.correlation, *parts)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            packed.contrasts(metrics.prepare_side(real, name), name), parts[0].std(axis=(1, 2)), rtol=1e-9, atol=1e-9
        )
    assert np.array_equal(found["correlation"], distances(real, fake, metric="correlation"))


@pytest.mark.parametrize(("dtype", "kind", "less"), [("uint8", np.uint8, 128), ("uint16", np.int16, 0)])
def test_the_second_side_of_products_is_transposed(dtype, kind, less):
    info = np.iinfo(kind)
    packed_pixels = np.random.default_rng(0).integers(info.min, info.max, (3, 5, 16, 64 // kind().itemsize), kind, True)
    lanes = Side(("euclidean",), 40, (9, 23), dtype, {"words" if less == 0 else "bytes": packed_pixels}).lanes
    expected = (packed_pixels.astype(int) - less).astype(lanes.dtype).view(np.uint32).swapaxes(2, 3)
    assert lanes.dtype.kind == "i"
    np.testing.assert_array_equal(lanes.view(np.uint32), expected)


def test_prepared_travels():
    names = metrics.IMAGE_METRICS
    prepared = metrics.prepare_side(noise(3), names)
    expected = metrics.matrices(prepared, prepared, names)
    copy = pickle.loads(pickle.dumps(prepared))
    assert len(copy) == 3
    for metric, block in metrics.matrices(copy, prepared, names).items():
        np.testing.assert_array_equal(block, expected[metric])


# --- Features ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("metric", "oracle"),
    [("euclidean", naive.feature_euclidean), ("l2", naive.feature_l2), ("cosine", naive.cosine)],
)
def test_features(metric, oracle, dtype):
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(n, 6)).astype(dtype) for n in (3, 20))
    fake[0], fake[1] = 0, real[1]
    got = distances(real, fake, metric=metric, threads=1)
    np.testing.assert_allclose(got, naive.matrix(oracle, real, fake), rtol=1e-12, atol=1e-15)
    assert got[1, 1] == 0
    np.testing.assert_array_equal(np.diag(distances(fake, fake, metric=metric)), 0)
    np.testing.assert_array_equal(distances(real, fake, metric=metric, block=16, threads=3), got)
    np.testing.assert_array_equal(distances(np.asfortranarray(real), fake, metric=metric), got)


def test_cosine_of_huge_and_tiny_vectors():
    vectors = np.array([[1e200, 0], [1e-200, 1e-200], [0, 0], [0, 0]])
    got = distances(vectors, vectors, metric="cosine", threads=1)
    near = 1 - np.sqrt(0.5)
    expected = [[0, near, 1, 1], [near, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    np.testing.assert_allclose(got, expected, atol=1e-15)


# --- Progress and errors ---


def test_progress_goes_to_stderr(capsys):
    distances(noise(2), noise(3), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    distances(noise(2), noise(3))
    assert capsys.readouterr() == ("", "")


SMALL = np.zeros((1, 7, 6), np.uint8)
ROWS = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distances(noise(1), noise(1), metric="ssmi"), r"^metric: expected one of 'euclidean', .*, got 'ssmi'"),
        (
            lambda: distances(noise(1), noise(1), metric="cosine"),
            r"^metric: 'cosine' is for \(n, d\) feature arrays, got ",
        ),
        (lambda: distances(ROWS, ROWS, metric="ssim"), r"^metric: 'ssim' is for images, got ndarray of shape \(2, 3\)"),
        (lambda: distances(SMALL, SMALL, metric="ssim"), r"^metric: 'ssim' needs images of at least 7x7 pixels, got "),
        (lambda: distances(noise(1), noise(1), block=0), r"^block: expected an integer of at least 1, got 0"),
        (
            lambda: distances(noise(1), noise(1), on_error="x"),
            r"^on_error: expected one of 'collect', 'raise', got 'x'",
        ),
        (lambda: distances(noise(1), noise(1), threads=0), r"^threads: expected an integer of at least 1, got 0"),
        (lambda: distances(noise(1), noise(1, (4, 4))), r"^fake: "),
        (lambda: distances(noise(1), noise(1, dtype=np.uint16)), r"^fake: "),
        (lambda: distances(ROWS, np.zeros((2, 4))), r"^fake: expected the real side's shape and type, .*, got \(4,\)"),
        (
            lambda: distances(noise(1), ROWS),
            r"^real: expected \(n, d\) finite float features like the other side, got ",
        ),
        (lambda: distances(ROWS, ROWS * np.nan), r"^fake: expected \(n, d\) finite float features like the other side"),
        (
            lambda: distances(ROWS, "folder"),
            r"^fake: expected \(n, d\) finite float features like the other side, got ",
        ),
    ],
)
def test_messages(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_choice_of_types_is_that_of_the_metrics():
    assert typing.get_args(metrics.ImageMetric) == metrics.IMAGE_METRICS
    assert typing.get_args(metrics.Metric) == metrics.METRICS


def test_images_are_resampled_found_in_folders_and_left_out_where_asked(tmp_path):
    real, fake = noise(3, (8, 8)), noise(2, (4, 4), seed=1)
    for side, images in {"real": real, "fake": fake}.items():
        (tmp_path / side / "inner").mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / side / "inner" / f"{i}.png")
    (tmp_path / "real" / "inner" / "1.png").write_bytes(b"")
    options = {"size": 8, "recursive": True}
    found = distances(tmp_path / "real", tmp_path / "fake", on_error="collect", **options)
    np.testing.assert_array_equal(found, distances(real[[0, 2]], load(fake, size=8)))
    with pytest.raises(InputError, match=r"^real: inner/1\.png: "):
        distances(tmp_path / "real", tmp_path / "fake", **options)


def test_a_metric_must_have_been_prepared():
    a, b = metrics.prepare_side(noise(1), "euclidean"), metrics.prepare_side(noise(1), "manhattan")
    with pytest.raises(InputError, match=r"^metric: 'euclidean' has not been prepared, only "):
        metrics.matrix(a, b)
