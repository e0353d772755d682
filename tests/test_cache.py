"""Compiled kernels on disk: what is stale or damaged is replaced, and what cannot be written stops nothing."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from fingerprint._kernels import cache, compiler

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
KERNELS = Path(cache.__file__).parent


def double(x):
    return 2 * x


@pytest.fixture
def fresh(tmp_path, monkeypatch, caplog):
    """A folder for the cache, and a function that returns what a kernel of a new process finds and logs."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def start():
        monkeypatch.setattr(cache, "_said", set())
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="fingerprint"):
            kernel = compiler.kernel(double)
            assert kernel(np.int64(21)) == 42
        (hits,), (misses,) = kernel.stats.cache_hits.values() or [0], kernel.stats.cache_misses.values() or [0]
        return hits, misses, [(record.levelname, record.getMessage().split(":")[0]) for record in caplog.records]

    return tmp_path, start


COMPILING = "INFO", "compiling kernels for this processor, which takes seconds and is kept in "
AGAIN = "WARNING", "cannot read compiled kernels, compiling them again"


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_kernel_is_compiled_once_and_says_so(fresh):
    folder, start = fresh
    hits, misses, [(level, message)] = start()
    assert (hits, misses, level) == (0, 1, "INFO")
    assert message.startswith(COMPILING[1])
    assert start() == (1, 0, [])
    assert [path.suffix for path in files(folder)] == [".nbc"]


DAMAGE = {
    "truncated": lambda content: content[:-100],
    "truncated within the digest": lambda content: content[:20],
    "emptied": lambda content: content[:0],
    "zeros": lambda content: bytes(len(content)),
    "random bytes": lambda content: np.random.default_rng(0).bytes(len(content)),
    "one bit flipped": lambda content: content[:-500] + bytes([content[-500] ^ 1]) + content[-499:],
    "more at the end": lambda content: content + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_reported_once_and_replaced(fresh, damage):
    folder, start = fresh
    start()
    (path,) = files(folder)
    intact = path.read_bytes()
    path.write_bytes(DAMAGE[damage](intact))
    hits, misses, logged = start()
    assert (hits, misses) == (0, 1)
    assert logged[0] == AGAIN
    assert start() == (1, 0, [])
    assert len(files(folder)) == 1


def test_what_cannot_be_read_is_compiled_at_every_start(fresh):
    folder, start = fresh
    start()
    (path,) = files(folder)
    path.unlink()
    path.mkdir()
    for _ in range(2):
        hits, misses, logged = start()
        assert (hits, misses, logged[0]) == (0, 1, AGAIN)
    assert files(folder) == []


@pytest.mark.parametrize("failing", ["write_bytes", "replace"])
def test_a_full_disk_leaves_nothing_behind_and_stops_nothing(fresh, monkeypatch, failing):
    folder, start = fresh

    def full(self, *_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(Path, failing, full)
        hits, misses, logged = start()
    assert (hits, misses) == (0, 1)
    assert logged[1:] == [("WARNING", "kernels are compiled at every start")]
    assert files(folder) == []
    assert start()[:2] == (0, 1)
    assert start()[:2] == (1, 0)


def test_another_version_of_the_compiler_does_not_read_what_this_one_wrote(fresh, monkeypatch):
    _, start = fresh
    start()
    with monkeypatch.context() as context:
        context.setattr(numba, "__version__", "0.0")
        cache.stamp.cache_clear()
        assert start()[:2] == (0, 1)
    cache.stamp.cache_clear()
    assert start()[:2] == (0, 1)  # that of the other version has taken its place


def test_a_kernel_compiles_where_no_folder_takes_its_cache(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiler, "KernelCache", refuse)
    kernel = compiler.kernel(double)
    assert (kernel(np.int64(21)), sum(kernel.stats.cache_hits.values())) == (42, 0)


PROBE = """\
from {0}.compiler import kernel
from {0}.shared import VALUE

@kernel
def probe():
    return VALUE

print(probe(), sum(probe.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_an_edit_of_what_kernels_share_reuses_no_stale_code(tmp_path):
    folder = tmp_path / "fingerprint" / "_kernels"
    shutil.copytree(KERNELS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for package in (folder, folder.parent):
        (package / "__init__.py").write_text("")
    (folder / "probe.py").write_text(PROBE.format("fingerprint._kernels"))
    # what is shared is itself imported by what is shared
    (folder / "shared.py").write_text("from fingerprint._kernels.deeper import VALUE")
    settings = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(value):
        (folder / "deeper.py").write_text(f"VALUE = {value}")
        code = [sys.executable, "-m", "fingerprint._kernels.probe"]
        done = subprocess.run(code, env=os.environ | settings, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert [run(value) for value in (7, 7, 8)] == [["7", "0"], ["7", "1"], ["8", "0"]]
