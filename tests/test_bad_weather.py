"""Disks that are full, streams that are closed, little memory, signals: a process as people and schedulers run it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprint import challenge
from fingerprint._base import output
from fingerprint._cli.main import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as Linux limits processes and closes streams")


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    challenge.write_run(tmp_path / "run.csv", ["a_1", "a_2"], [1, 0])
    return tmp_path / "run.csv"


def program(redirected: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program under a shell that closes or redirects streams."""
    words = ["sh", "-c", f'exec "$0" "$@" {redirected}', sys.executable, "-m", "fingerprint", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    "closed", ["<&- >&- 2>&-", *(pytest.param(one, marks=pytest.mark.slow) for one in ("", "<&-", ">&-", "2>&-"))]
)
def test_closed_streams_change_no_exit_status(run_file, closed) -> None:
    done = program(closed, "challenge", "check", run_file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else f"{run_file}: no fault\n")
    assert program(closed, "challenge", "check", run_file.parent / "none.csv").returncode == 2


def test_a_full_disk_behind_stdout_is_one_line(run_file) -> None:
    done = program(">/dev/full", "challenge", "check", run_file)
    assert (done.returncode, done.stderr) == (2, "fingerprint: stdout: No space left on device\n")
    assert program("2>/dev/full", "challenge", "check", "none.csv").returncode == 2


def test_a_target_that_is_full_is_named(tmp_path, capsys) -> None:
    (tmp_path / "t.csv").write_text("a,1\nb,0\n")
    assert main(["evaluate", *[str(tmp_path / "t.csv")] * 2, "--json", "/dev/full"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("2 images, 1 used")
    assert err == "fingerprint: /dev/full: No space left on device\n"


def test_a_quota_leaves_the_old_file_whole(tmp_path) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    code = f"""
import resource
from fingerprint._base import output
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    output.write("x" * 10_000, {str(path)!r})
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_a_killed_writer_leaves_a_whole_file(tmp_path) -> None:
    path = tmp_path / "r.json"
    texts = [output.write_json({"x": [i] * 20_000}, path) for i in (0, 1)]
    code = f"""
from fingerprint._base import output
texts = [output.write_json({{"x": [i] * 20_000}}, None) for i in (0, 1)]
print("ready", flush=True)
while True:
    for text in texts:
        output.write(text, {str(path)!r})
"""
    for wait in (0.01, 0.02, 0.05):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(wait)
            process.kill()
        assert path.read_text() in texts
        assert json.loads(path.read_text())


def test_signals_are_minded_before_anything_large_is_imported() -> None:
    code = "import sys, fingerprint._cli.main; print({'numpy', 'numba', 'csv'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize("moment", [0.3, 1.0, 2.5])
def test_a_signal_ends_a_command_within_a_second_also_while_it_compiles(tmp_path, moment, number, word) -> None:
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
        for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8)):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    command = [sys.executable, "-m", "fingerprint", "rank", tmp_path / "real", tmp_path / "fake", "--threads", "8"]
    settings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=settings) as process:
        time.sleep(moment)
        process.send_signal(number)
        begin = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - begin < 1
    assert (process.returncode, err) == (128 + number, f"fingerprint: {word}\n".encode())


def test_little_memory_blames_no_file(tmp_path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "x.png")
    code = f"import fingerprint; print(fingerprint.load({str(tmp_path)!r}, threads=2))"
    command = ["sh", "-c", 'ulimit -v 524288 && exec "$0" "$@"', sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=60)
    assert done.stdout == ""
    assert "address space" in done.stderr.splitlines()[-1]
    assert "x.png" not in done.stderr
