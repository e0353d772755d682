"""The rules of the design, each with a test that fails when it is broken.

The tests of the kernels, images and patches hold rules 1, 3, 4 and 6 in detail; here they are shown on the public face.
"""

import ast
import io
import logging
import tracemalloc
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import fingerprint
from fingerprint import phantoms
from fingerprint._images.loading import Slices
from fingerprint._statistics import default, methods

RNG = np.random.default_rng(7)
DEMO = phantoms.demo(n_used=3, n_unused=3, n_fake=12, size=32)
PACKAGE = Path(fingerprint.__file__).parent


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "correlation", "ssim", "tiles"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rule_1_an_image_is_at_distance_0_from_itself_and_from_nothing_else(metric, dtype) -> None:
    images = RNG.integers(0, np.iinfo(dtype).max + 1, (6, 24, 24), dtype=dtype)
    nearly = images.copy()
    nearly[:, 5, 5] ^= np.iinfo(dtype).max // 2 + 1
    found = fingerprint.distances(images, images, metric=metric)
    assert (np.diag(found) == 0).all()
    assert (np.diag(fingerprint.distances(images, nearly, metric=metric)) > 0).all()


def test_rule_1_sums_over_pixels_do_not_overflow() -> None:
    black, white = np.zeros((1, 512, 512), np.uint16), np.full((1, 512, 512), 65535, np.uint16)
    assert fingerprint.distances(black, white, metric="euclidean") == 65535
    assert fingerprint.distances(black, white, metric="manhattan") == 65535


def test_rule_2_the_same_input_gives_the_same_bytes() -> None:
    expected = fingerprint.rank(DEMO.real, DEMO.fake).to_json()
    for threads in (1, 2, 4):
        for block in (1, 7, 256):
            assert fingerprint.rank(DEMO.real, DEMO.fake, threads=threads, block=block).to_json() == expected


def test_rule_2_results_do_not_depend_on_the_memory_layout() -> None:
    expected = fingerprint.rank(DEMO.real.pixels, DEMO.fake.pixels).to_json()
    fortran = np.asfortranarray(DEMO.fake.pixels)
    strided = np.repeat(DEMO.fake.pixels, 2, axis=2)[:, :, ::2]
    for fake in (fortran, strided):
        assert not fake.flags.c_contiguous
        assert fingerprint.rank(DEMO.real.pixels, fake).to_json() == expected


def test_rule_3_rows_are_conserved(tmp_path) -> None:
    phantoms.write_demo(tmp_path / "demo", n_used=2, n_unused=2, n_fake=9, size=32)
    folder = tmp_path / "demo" / "fake"
    names = sorted(path.name for path in folder.iterdir())
    (folder / names[3]).write_bytes(b"")
    (folder / names[5]).write_bytes((folder / names[5]).read_bytes()[:100])
    loaded = fingerprint.load(folder)
    assert sorted([*loaded.names, *(failure.name for failure in loaded.failed)]) == names
    assert all(failure.reason for failure in loaded.failed)
    assert len(loaded.failed) == 2


def test_rule_5_memory_does_not_grow_with_the_number_of_synthetic_images() -> None:
    def peak(n_blocks: int) -> int:
        stream = (Slices(DEMO.fake.pixels[:2], (f"{i}_0", f"{i}_1")) for i in range(n_blocks))
        tracemalloc.start()
        fingerprint.rank(DEMO.real, stream, method="nearness", block=2, threads=2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # imports and compiled code
    few = max(peak(40), peak(40))  # how far the threads are ahead differs from run to run
    assert peak(160) < 1.3 * few


def test_rule_6_kernels_neither_check_nor_raise_nor_import() -> None:
    for path in PACKAGE.glob("_*kernels.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kernels = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
        ]
        assert kernels
        for node in (node for function in kernels for node in ast.walk(function)):
            assert not isinstance(node, ast.Raise | ast.Assert | ast.Try | ast.Import | ast.ImportFrom)


def test_rule_7_the_library_is_silent(caplog) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), caplog.at_level(logging.DEBUG):
        fingerprint.rank(DEMO.real, DEMO.fake)
        fingerprint.distances(DEMO.real, DEMO.fake)
        fingerprint.nearest(DEMO.real, DEMO.fake)
    assert out.getvalue() == err.getvalue() == ""
    assert {record.name for record in caplog.records} <= {"fingerprint"}


def test_rule_7_nothing_but_the_command_line_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "_cli" / "main.py":
            calls = [
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            ]
            assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_rule_8_scores_say_their_direction_and_what_a_low_one_means() -> None:
    assert "Higher = more likely" in fingerprint.Ranking.__doc__
    assert "low score is no proof" in fingerprint.Ranking.__doc__
    assert "low score is no proof" in str(fingerprint.rank(DEMO.real, DEMO.fake))
    statistics = {method.statistic for method in methods.METHODS.values()} - {None}
    for statistic in (
        *statistics,
        default.average_scales,
        default.tail_scores,
        default.add_kinds,
        fingerprint._patches.gains.GainSummary.scores,
    ):
        assert "higher = more likely" in " ".join(statistic.__doc__.split())
