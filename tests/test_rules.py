"""The rules of the design, each with a test that fails when it is broken.

The tests of the kernels, images and patches hold rules 1, 3, 4 and 6 in detail; here they are shown on the public face.
"""

import ast
import io
import json
import logging
import re
import tomllib
import tracemalloc
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import fingerprint
from fingerprint import phantoms
from fingerprint._images.loading import Slices
from fingerprint._statistics import default, methods

PACKAGE = Path(fingerprint.__file__).parent


@pytest.fixture(scope="module")
def demo() -> phantoms.Demo:
    return phantoms.demo(n_used=3, n_unused=3, n_fake=12, size=32)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "correlation", "ssim", "tiles", "l2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rule_1_an_image_is_at_distance_0_from_itself_and_from_nothing_else(metric, dtype) -> None:
    images = np.random.default_rng(7).integers(0, np.iinfo(dtype).max + 1, (6, 24, 24), dtype=dtype)
    nearly = images.copy()
    nearly[:, 5, 5] ^= np.iinfo(dtype).max // 2 + 1
    found = fingerprint.distances(images, images, metric=metric)
    assert (np.diag(found) == 0).all()
    assert (np.diag(fingerprint.distances(images, nearly, metric=metric)) > 0).all()


def test_rule_1_sums_over_pixels_do_not_overflow() -> None:
    black, white = np.zeros((1, 512, 512), np.uint16), np.full((1, 512, 512), 65535, np.uint16)
    assert fingerprint.distances(black, white, metric="euclidean") == 65535
    assert fingerprint.distances(black, white, metric="manhattan") == 65535


def test_rule_2_the_same_input_gives_the_same_bytes(demo) -> None:
    expected = fingerprint.rank(demo.real, demo.fake).to_json()
    for threads in (1, 2, 4):
        for block in (1, 7, 256):
            assert fingerprint.rank(demo.real, demo.fake, threads=threads, block=block).to_json() == expected


def test_rule_2_results_do_not_depend_on_the_memory_layout(demo) -> None:
    expected = fingerprint.rank(demo.real.pixels, demo.fake.pixels).to_json()
    fortran = np.asfortranarray(demo.fake.pixels)
    strided = np.repeat(demo.fake.pixels, 2, axis=2)[:, :, ::2]
    for fake in (fortran, strided):
        assert not fake.flags.c_contiguous
        assert fingerprint.rank(demo.real.pixels, fake).to_json() == expected


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


def test_rule_5_memory_does_not_grow_with_the_number_of_synthetic_images(demo) -> None:
    def peak(n_blocks: int) -> int:
        stream = (Slices(demo.fake.pixels[:2], (f"{i}_0", f"{i}_1")) for i in range(n_blocks))
        tracemalloc.start()
        fingerprint.rank(demo.real, stream, method="nearness", block=2, threads=2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # imports and compiled code
    few = max(peak(40), peak(40))  # how far the threads are ahead differs from run to run
    assert peak(160) < 1.3 * few


def test_rule_6_kernels_neither_check_nor_raise_nor_import() -> None:
    nodes = [node for path in sorted((PACKAGE / "_kernels").glob("*.py")) for node in ast.walk(parsed(path))]
    kernels = [
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
    ]
    assert len(kernels) > 20
    for node in (node for function in kernels for node in ast.walk(function)):
        assert not isinstance(node, ast.Raise | ast.Assert | ast.Try | ast.Import | ast.ImportFrom)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_rule_7_the_library_is_silent(demo, caplog) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), caplog.at_level(logging.DEBUG):
        fingerprint.rank(demo.real, demo.fake)
        fingerprint.distances(demo.real, demo.fake)
        fingerprint.nearest(demo.real, demo.fake)
    assert out.getvalue() == err.getvalue() == ""
    assert {record.name for record in caplog.records} <= {"fingerprint"}


def test_rule_8_scores_say_their_direction_and_what_a_low_one_means(demo) -> None:
    assert "Higher = more likely" in fingerprint.Ranking.__doc__
    assert "low score is no proof" in fingerprint.Ranking.__doc__
    assert "low score is no proof" in str(fingerprint.rank(demo.real, demo.fake))
    statistics = {method.statistic for method in methods.METHODS.values()} - {None}
    for statistic in (
        *statistics,
        default.tail_scores,
        default.add_kinds,
        fingerprint._patches.gains.GainSummary.scores,
    ):
        assert "higher = more likely" in " ".join(statistic.__doc__.split())


def test_the_conda_package_needs_what_the_wheel_needs() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (root / ".github" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    (run,) = re.findall(r"^  run: (\[.*\])$", recipe, flags=re.MULTILINE)
    needed = [f"python {project['requires-python']}", *project["dependencies"]]
    assert json.loads(run) == [re.sub(r"\s*(>=)", r" \1", each) for each in needed]
