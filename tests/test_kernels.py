"""Kernels: each against its oracle, compiled, interpreted and with bounds checking; all that run here bit for bit."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import naive
import numba
import numpy as np
import pytest

import fingerprint
from fingerprint._kernels import compiler, dot_products, gaps, packing

JIT = not numba.config.DISABLE_JIT
SHAPES = [(1, 1), (1, 9), (7, 7), (8, 32), (9, 21), (4, 128), (4, 264)]
BOTH = ["compiled", "numpy"] if JIT else ["numpy"]  # forms of a kernel that holds vector instructions
FORMS = ["compiled", "interpreted", "checked"] if JIT else ["interpreted"]


def formed(kernel, form):
    """Return a kernel compiled, as plain Python, or compiled with bounds checking."""
    if form == "compiled":
        return kernel
    function = getattr(kernel, "py_func", kernel)
    return numba.njit(boundscheck=True, error_model="numpy")(function) if form == "checked" else function


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    made = {}

    def of(kernel):
        if kernel not in made:
            made[kernel] = formed(kernel, request.param)
        return made[kernel]

    return of


def images(n, shape, dtype, seed=0):
    """Noise, with an image of zeros, one of the largest pixels and a chequered one."""
    limit = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, limit, (n, *shape), dtype, endpoint=True)
    pixels[0], pixels[1:3] = 0, limit
    pixels[2:3, ::2, ::2] = 0
    return pixels


def edges(length):
    return np.arange(5) * length // 4


def starts(shape):
    areas = np.outer(np.diff(edges(shape[0])), np.diff(edges(shape[1]))).ravel()
    return np.concatenate([[0], np.cumsum(-(-areas // 64))])


def packed(pixels, pack, dtype=np.uint8, centres=None):
    """Pack as a side of a comparison is: bytes, or words."""
    n, *shape = pixels.shape
    width, groups = 64 // np.dtype(dtype).itemsize, -(-n // 16)
    out = np.full((groups, 64 // width * starts(shape)[-1], 16, width), 77, dtype)
    centres = np.zeros(16 * groups, np.int64) if centres is None else centres
    for first, last in [(0, 1), (1, groups)]:
        pack(pixels, edges(shape[0]), edges(shape[1]), starts(shape), centres, first, last, out)
    return out


def unpacked(plane, n):
    """Rows of numbers, one for each image."""
    return plane.swapaxes(1, 2).reshape(16 * len(plane), -1)[:n]


@pytest.mark.parametrize(("dtype", "kind"), [(np.uint8, np.uint8), (np.uint16, np.int16)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BOTH)
def test_pack_keeps_every_pixel_in_its_tile(name, shape, dtype, kind):
    pixels = images(19, shape, dtype)
    centres = np.zeros(32, np.int64)
    if kind == np.int16:
        centres[:19] = pixels.min(axis=(1, 2)) // 2 + pixels.max(axis=(1, 2)) // 2 + 1
    values = unpacked(packed(pixels, getattr(packing, f"pack_{name}"), kind, centres), 32).astype(int)
    at = starts(shape)
    for t in range(16):
        r, c = divmod(t, 4)
        rows, columns = edges(shape[0])[r : r + 2], edges(shape[1])[c : c + 2]
        tile = pixels[:, rows[0] : rows[1], columns[0] : columns[1]].reshape(19, -1)
        part = values[:, 64 * at[t] : 64 * at[t + 1]]
        np.testing.assert_array_equal(part[:19, : tile.shape[1]], tile - centres[:19, None])
        assert not part[19:].any()
        assert not part[:, tile.shape[1] :].any()


def transposed(packed):
    """The second side of dot products: the words of every step transposed, bytes less 128."""
    out = np.empty((*packed.shape[:2], 16, 16), np.uint32)
    packing.transpose(packed.view(np.uint32), np.uint32(0x80808080 if packed.dtype == np.uint8 else 0), out)
    return out.view(np.int8 if packed.dtype == np.uint8 else packed.dtype)


def products_of(kernel, a, b, *, fit=None):
    """The matrix that a dot, gap or larger kernel adds to, from the packed sides."""
    c = np.full((16 * len(a), 16 * len(b)), 5, np.int64)
    steps = a.shape[1]
    if kernel.__module__ != dot_products.__name__:
        kernel(a, b, 0, steps, c)
        return c - 5
    limit = () if fit is None else (fit,)
    kernel(a, transposed(b), 0, steps, *limit, np.zeros(c.shape, np.int32), c)
    return c - 5 + (128 * unpacked(a, len(c)).sum(axis=1, dtype=np.int64)[:, None] if fit is None else 0)


def noise(groups, steps, width=64, dtype=np.uint8, seed=0):
    info = np.iinfo(dtype)
    values = np.random.default_rng(seed).integers(info.min, info.max, (groups, steps, 16, width), dtype, endpoint=True)
    values[0, :, 0], values[0, :, 1] = info.min, info.max
    return values


@pytest.mark.parametrize("groups", [(1, 1), (2, 3), (3, 2), (1, 4), (2, 8)] if JIT else [(1, 1)])
@pytest.mark.parametrize("name", BOTH)
def test_dot_products_are_exact(name, groups):
    a, b = noise(groups[0], 3), noise(groups[1], 3, seed=1)
    got = products_of(getattr(dot_products, f"dot_{name}"), a, b)
    x, y = (unpacked(side, 16 * len(side)).astype(int) for side in (a, b))
    np.testing.assert_array_equal(got, x @ y.T)


@pytest.mark.skipif(not JIT, reason="some 40 million products")
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("other", [0, 255])  # less 128, the lowest and the highest
def test_the_largest_dot_products_do_not_overflow(name, other):
    a = np.full((1, 2500, 16, 64), 255, np.uint8)
    got = products_of(getattr(dot_products, f"dot_{name}"), a, np.full_like(a, other))
    assert (got == 2500 * 64 * 255 * other).all()


@pytest.mark.parametrize("bits", [9, 12, 14, 15, 16])
@pytest.mark.parametrize("name", BOTH)
def test_products_of_words_are_exact(name, bits):
    """Also where they are so large that the sums of a few steps alone fit 32 bits, or of none."""
    largest = 2 ** (bits - 1)
    fit = (2**31 - 1) // (largest * largest)
    steps = 8 * dot_products.SHORT + 1 if JIT else 3
    a, b = (noise(n, steps, 32, np.int16, seed=n) >> (16 - bits) for n in (2, 1))
    a[:, :, 2:4], b[:, :, 2:4], b[:, :, 4] = -largest, -largest, -1  # whose lowest 8 bits are the largest
    got = products_of(getattr(dot_products, f"dot16_{name}"), a, b, fit=fit)
    x, y = (unpacked(side, 16 * len(side)).astype(int) for side in (a, b))
    np.testing.assert_array_equal(got, x @ y.T)


@pytest.mark.parametrize("name", BOTH)
def test_absolute_differences_are_exact(name):
    a, b = noise(1, 2), noise(2 if JIT else 1, 2, seed=1)
    got = products_of(getattr(gaps, f"gap_{name}"), a, b)
    x, y = (unpacked(side, 16 * len(side)).astype(int) for side in (a, b))
    np.testing.assert_array_equal(got, np.abs(x[:, None] - y).sum(axis=2))


@pytest.mark.parametrize("name", BOTH)
def test_sums_of_the_larger_are_exact(name):
    a, b = (noise(n, 2, 32, np.int16, seed=n) for n in (1, 2 if JIT else 1))
    got = products_of(getattr(gaps, f"larger_{name}"), a, b)
    x, y = (unpacked(side, 16 * len(side)).astype(int) for side in (a, b))
    np.testing.assert_array_equal(got, np.maximum(x[:, None], y).sum(axis=2))


@pytest.mark.parametrize("operation", ["gap", "larger"])
@pytest.mark.skipif(not JIT, reason="some 20 million differences")
def test_the_largest_sums_do_not_overflow(operation):
    width, dtype = (64, np.uint8) if operation == "gap" else (32, np.int16)
    info = np.iinfo(dtype)
    a, b = np.full((1, 1100, 16, width), info.max, dtype), np.full((1, 1100, 16, width), info.min, dtype)
    for name in BOTH:
        assert (products_of(getattr(gaps, f"{operation}_{name}"), a, b) == 1100 * width * info.max).all()


@pytest.mark.parametrize("name", ["compiled", "numpy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_moments_are_those_of_the_tiles(form, name, shape, dtype):
    pixels = images(6, shape, dtype)
    sums, squares = np.full((2, 6, 16), -1)
    lowest, highest = np.full((2, 6), -1)
    kernel = getattr(packing, f"moments_{name}")
    kernel = form(kernel) if name == "compiled" else kernel
    for first, last in [(0, 1), (1, 6)]:
        kernel(pixels, edges(shape[0]), edges(shape[1]), first, last, sums, squares, lowest, highest)
    values = pixels.astype(int)
    np.testing.assert_array_equal(lowest, values.min(axis=(1, 2)))
    np.testing.assert_array_equal(highest, values.max(axis=(1, 2)))
    for t in range(16):
        r, c = divmod(t, 4)
        rows, columns = edges(shape[0])[r : r + 2], edges(shape[1])[c : c + 2]
        tile = values[:, rows[0] : rows[1], columns[0] : columns[1]]
        np.testing.assert_array_equal(sums[:, t], tile.sum(axis=(1, 2)))
        np.testing.assert_array_equal(squares[:, t], (tile**2).sum(axis=(1, 2)))


@pytest.mark.parametrize("shape", [*SHAPES, (1, 4400000)])  # in the last, sums of a whole tile would not fit 32 bits
@pytest.mark.parametrize("name", BOTH)
def test_moments_of_packed_bytes_are_those_of_the_tiles(name, shape):
    n = 3 if shape[1] > 1000 else 19
    pixels = images(n, shape, np.uint8)
    bytes_ = packed(pixels, packing.pack)
    sums, squares = np.full((2, 16 * len(bytes_), 16), 5)
    for first, last in [(0, 1), (1, len(bytes_))]:
        getattr(packing, f"byte_moments_{name}")(bytes_, starts(shape), first, last, sums, squares)
    expected = np.empty((2, n, 16), int)
    limits = np.empty((2, n), int)
    packing.moments_numpy(pixels, edges(shape[0]), edges(shape[1]), 0, n, *expected, *limits)
    np.testing.assert_array_equal(sums[:n] - 5, expected[0])
    np.testing.assert_array_equal(squares[:n] - 5, expected[1])
    assert (sums[n:] == 5).all()
    assert (squares[n:] == 5).all()


def test_moments_of_a_long_row_of_the_largest_pixels_do_not_overflow(form):
    pixels = np.full((1, 1, 280004 if JIT else 44), 65535, np.uint16)
    sums, squares = np.empty((2, 1, 16), np.int64)
    lowest, highest = np.empty((2, 1), np.int64)
    form(packing.moments_compiled)(pixels, edges(1), edges(pixels.shape[2]), 0, 1, sums, squares, lowest, highest)
    assert (sums.sum(), squares.sum()) == (65535 * pixels.size, 65535**2 * pixels.size)


def test_transpose_swaps_words(form):
    words = np.arange(2 * 3 * 256, dtype=np.uint32).reshape(2, 3, 16, 16)
    out = np.empty_like(words)
    form(packing.transpose)(words, np.uint32(0xF0), out)
    np.testing.assert_array_equal(out, words.swapaxes(2, 3) ^ 0xF0)


def test_fold_keeps_the_worst_tile(form):
    worst = np.array([[1.0, 9.0]])
    form(gaps.fold)(np.array([[3, 5]]), np.array([20]), np.array([30, 40]), 4, worst)
    np.testing.assert_array_equal(worst, [[11.0, 12.5]])


def test_products_are_shared_by_some(form):
    out = np.ones((3, 2, 2), np.int64)
    form(gaps.share)(np.array([[1, 2], [3, 4]]), np.array([0, 2]), out)
    np.testing.assert_array_equal(out, [[[2, 3], [4, 5]], [[1, 1], [1, 1]], [[2, 3], [4, 5]]])


def test_outer_products_are_added(form):
    a, b, d, e = np.random.default_rng(0).integers(-9, 9, (4, 5))
    out = np.full((5, 5), 7)
    form(gaps.outer)(a, b, d, e, out)
    np.testing.assert_array_equal(out, np.outer(a, b) + np.outer(d, e))


def test_euclidean_and_correlation_from_products(form):
    pixels = images(5, (2, 3), np.uint8).reshape(5, -1).astype(np.int64)
    left, right = pixels[:4], pixels[1:]
    c, out = left @ right.T, np.full((4, 6), -1.0)
    form(gaps.euclidean)(c, (left**2).sum(axis=1), (right**2).sum(axis=1), 6, out, 1, 5)
    np.testing.assert_array_equal(out[:, 1:5], naive.matrix(naive.euclidean, right[:, None], left[:, None]))

    def side(rows):
        sums = rows.sum(axis=1)
        means = sums // 6
        return np.stack([sums, means, sums - 6 * means, ((rows - means[:, None]) ** 2).sum(axis=1)])

    form(gaps.correlation)(c, side(left), side(right), 6, out, 1, 5)
    expected = naive.matrix(naive.correlation, right[:, None], left[:, None])
    np.testing.assert_allclose(out[:, 1:5], expected, rtol=0, atol=1e-14)
    assert (out[:, [0, 5]] == -1.0).all()


def test_squared_gaps_are_those_of_the_oracle(form):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    out = np.empty((3, 4))
    form(gaps.squared_gaps)(a, np.ascontiguousarray(b.T), out)
    np.testing.assert_allclose(out, naive.matrix(naive.feature_l2, a, b) ** 2, rtol=1e-13)


def test_the_form_of_a_kernel_follows_the_compiler(monkeypatch):
    for off, expected in ((0, "compiled"), (1, "numpy")):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", off)
        assert compiler.chosen("compiled", "numpy") == expected
        assert compiler.compiles() == (not off)
        assert bool(compiler.features.__wrapped__()) == (not off)


@pytest.mark.skipif(not JIT, reason="of the compiler")
def test_features_are_those_of_the_processor(monkeypatch):
    family = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}[platform.machine()]
    assert compiler.has(family)
    monkeypatch.setattr(compiler, "features", lambda: frozenset({"x86_64", "avx2"}))
    assert compiler.has("avx2")
    assert not compiler.has("avx2", "avxvnni")


@pytest.mark.slow
@pytest.mark.skipif(not JIT, reason="nothing is cached")
def test_all_works_where_no_cache_can_be_written(tmp_path):
    """A file stands where each folder for the cache would be: for root, permissions would not hold."""
    source = Path(fingerprint.__file__).parent
    shutil.copytree(source, tmp_path / "fingerprint", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fingerprint" / "__pycache__").write_text("no folder")
    (tmp_path / "home").write_text("no folder")
    home = str(tmp_path / "home")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_CACHE", "COV_"))}
    code = (
        "import numpy as np, fingerprint as f; a = np.arange(128, dtype=np.uint8).reshape(2, 8, 8);"
        "print(f.__file__, f.distances(a, a, metric='manhattan').tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=keep | {"PYTHONPATH": str(tmp_path), "HOME": home, "XDG_CACHE_HOME": home, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split(maxsplit=1) == [
        str(tmp_path / "fingerprint" / "__init__.py"),
        "[[0.0, 64.0], [64.0, 0.0]]\n",
    ]
