"""Kernels compiled ahead by several processes: those that a call needs, whatever becomes of the other processes."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numba
import pytest

from fingerprint._kernels import ahead, compiler

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

NEEDED = """\
import json, sys
import numpy as np, fingerprint
from fingerprint._kernels import ahead
wide = sys.argv[1] == "wide"
images = fingerprint.phantoms.thorax(60, seed=1, size=256)
images = images.astype(np.uint16) << 4 if wide else images
fingerprint.rank(images[:30], images[30:], threads=1)
needed = [(name, tuple(types)) for name, *types in ahead._needed(wide, True)]
kernels = {name: ahead._kernel(name) for name, _ in needed}
used = {(name, types) for name, kernel in kernels.items() for types in kernel.overloads}
print(json.dumps([sorted(map(str, set(needed) - used)), sorted(map(str, used - set(needed)))]))
"""


@pytest.mark.parametrize("depth", ["narrow", "wide"])
def test_what_is_compiled_ahead_is_what_a_ranking_uses(depth) -> None:
    done = subprocess.run([sys.executable, "-c", NEEDED, depth], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]


@pytest.fixture
def shown(monkeypatch):
    """What a bar shows: the total, and what was done. Nothing counts as compiled, though all of it is on disk."""
    monkeypatch.setattr(compiler, "held", lambda *_: False)
    found = []

    @contextmanager
    def bar(*, total):
        found.append(total)
        yield found.append

    yield found, bar
    assert found == [21, *[1] * 21]


def compile_ahead(bar, processes):
    ahead.compile_ahead(False, True, processes=processes, bar=bar)


def test_one_process_compiles_all(shown, monkeypatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    compile_ahead(shown[1], 1)


def test_another_process_takes_its_share_from_the_end(shown, monkeypatch) -> None:
    here, there, sent = [], [], ahead._sent

    def slow(kernel):
        time.sleep(0.3)
        here.append(kernel[0])
        return True

    def noted(process, number):
        there.append(ahead._needed(False, True)[number][0])
        return sent(process, number)

    monkeypatch.setattr(ahead, "_compile", slow)
    monkeypatch.setattr(ahead, "_sent", noted)
    compile_ahead(shown[1], 2)
    assert there[:2] == ["patch_gains.sum_gains_of", "patch_gains.sum_gains"]
    assert [*here, *reversed(there)] == [name for name, *_ in ahead._needed(False, True)]


PROGRAMS = {
    "ends at once": "exit 1",
    "never answers": "exec sleep 60",
    "dies after the first kernel": "read line; echo; exit 1",
}


@pytest.mark.skipif(os.name != "posix", reason="of a shell")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_process_that_fails_costs_nothing_but_its_kernel(shown, monkeypatch, tmp_path, program) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{PROGRAMS[program]}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    monkeypatch.setattr(ahead, "_PATIENCE", 0.2)
    compile_one = ahead._compile
    monkeypatch.setattr(ahead, "_compile", lambda kernel: time.sleep(0.02) or compile_one(kernel))
    compile_ahead(shown[1], 2)
    if program == "never answers":
        shown[0].append(1)  # that kernel is compiled at its first use


def no_process(*_, **__):
    raise OSError("no more processes")


def no_thread(_):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("where", ["no room", "no thread", "frozen", "a worker", "another program", "no program"])
def test_where_no_process_can_be_begun_this_one_compiles(shown, monkeypatch, where) -> None:
    if where == "no room":
        monkeypatch.setattr(subprocess, "Popen", no_process)
    elif where == "no thread":
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    else:
        monkeypatch.setattr(subprocess, "Popen", None)
    if where == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    if where == "a worker":
        monkeypatch.setattr(ahead, "parent_process", lambda: "another")
    if where == "another program":
        monkeypatch.setattr(sys, "executable", "/usr/bin/server")
    if where == "no program":
        monkeypatch.setattr(sys, "executable", None)
    compile_ahead(shown[1], 2)


def test_nothing_happens_where_little_is_missing(monkeypatch) -> None:
    missing = iter([False, False, False])
    monkeypatch.setattr(compiler, "held", lambda *_: next(missing, True))
    compile_ahead(None, 2)


BEGINNING = """\
import os, sys
from fingerprint._kernels import ahead
(process,) = ahead._begun("False, True", 1)
print(process.pid, flush=True)
process.stdin.write(b"18\\n")
if sys.argv[1] == "works":
    assert process.stdout.readline()
sys.stdin.read()
"""


def running(process: Path) -> bool:
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="of processes")
@pytest.mark.parametrize("state", ["begins", "works"])
def test_the_other_process_ends_when_the_one_that_began_it_is_killed(state) -> None:
    with subprocess.Popen([sys.executable, "-c", BEGINNING, state], stdin=-1, stdout=-1) as process:
        other = Path("/proc", process.stdout.readline().decode().strip())
        time.sleep(0.5)
        assert running(other)
        process.kill()
    end = time.monotonic() + 5
    while running(other) and time.monotonic() < end:
        time.sleep(0.05)
    assert not running(other)


COLD = """\
import logging, multiprocessing, sys
import numpy as np, fingerprint
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
images = np.random.default_rng(0).integers(0, 256, (60, 64, 64), np.uint8)
print(fingerprint.rank(images[:30], images[30:], threads=2, progress=True).scores.tolist())
"""


@pytest.mark.slow
def test_a_first_call_says_that_it_compiles_and_ranks_as_any_other(tmp_path) -> None:
    settings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True, env=settings)
        for _ in range(2)
    ]
    lines = [run.stdout.splitlines() for run in runs]
    assert lines[0][-1] == lines[1][-1]
    assert [sum("compiling" in line for line in some) for some in lines] == [1, 0]
    assert ["compiling: 100%" in run.stderr for run in runs] == [True, False]
    assert not list(tmp_path.rglob("*.part"))
