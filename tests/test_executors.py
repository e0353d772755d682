"""Executors: a killed worker, another folder, and what is none."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._base import executors
from fingerprint._cli import options
from fingerprint._cli.main import main
from fingerprint._evidence import engine

REAL, FAKE = phantoms.thorax(8, size=32, seed=1), phantoms.thorax(300, size=32, seed=2)


def processes(count: int = 2, method: str = "spawn", **more) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context(method), **more)


def doubled(item: int, *, deadly: int, flags: str, deaths: int) -> int:
    """Twice the item; the deadly one kills its process the first times that it is asked for."""
    seen = len(os.listdir(flags))  # noqa: PTH208
    if item == deadly and seen < deaths:
        open(f"{flags}/{seen}", "x").close()  # noqa: PTH123
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
@pytest.mark.parametrize("deaths", [1, 2])
def test_what_a_killed_worker_had_is_computed_again(tmp_path, caplog, deaths) -> None:
    task = partial(doubled, deadly=3, flags=str(tmp_path), deaths=deaths)
    with processes() as pool:
        found = list(executors.submit_ordered(pool, task, range(9), ahead=4))
    assert found == [2 * item for item in range(9)]
    assert [record.message for record in caplog.records].count(
        "a worker process was killed; what it had is computed again in a new pool"
    ) == deaths


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
def test_a_task_that_always_kills_its_worker_ends_the_call(tmp_path) -> None:
    task = partial(doubled, deadly=1, flags=str(tmp_path), deaths=99)
    with processes() as pool, pytest.raises(BrokenExecutor):
        list(executors.submit_ordered(pool, task, range(4), ahead=3))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
@pytest.mark.parametrize("deaths", [1, 2, 99])
def test_loky_computes_again_what_a_killed_worker_had(tmp_path, deaths) -> None:
    loky = pytest.importorskip("loky")
    flags = tmp_path / "flags"
    flags.mkdir()
    task = partial(doubled, deadly=3, flags="flags", deaths=deaths)
    pool = loky.get_reusable_executor(2, initializer=os.chdir, initargs=(str(tmp_path),))
    found = executors.submit_ordered(pool, task, range(9), ahead=4)
    if deaths > 2:
        with pytest.raises(BrokenExecutor):
            list(found)
    else:
        assert list(found) == [2 * item for item in range(9)]
    assert len(list(flags.iterdir())) == min(deaths, 3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_ranking_survives_a_killed_worker(method) -> None:
    expected = fingerprint.rank(REAL, FAKE)

    def batches():
        for i in range(0, len(FAKE), 10):
            if i == 200:
                for pid in list(pool._processes):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.2)
            yield FAKE[i : i + 10]

    with processes(method=method) as pool:
        found = fingerprint.rank(REAL, batches(), executor=pool, block=10)
    assert found.to_csv() == expected.to_csv()


@pytest.mark.slow
def test_workers_in_another_folder_find_relative_paths(tmp_path, monkeypatch) -> None:
    for name, images in (("real", REAL), ("fake", FAKE[:20])):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    expected = fingerprint.rank("real", "fake")
    with processes(initializer=os.chdir, initargs=("/",)) as pool:
        assert fingerprint.rank("real", "fake", executor=pool) == expected


@pytest.mark.slow
def test_loky_and_dask_give_the_same(tmp_path) -> None:
    loky, distributed = pytest.importorskip("loky"), pytest.importorskip("distributed")
    expected = fingerprint.rank(REAL, FAKE)
    assert fingerprint.rank(REAL, FAKE, executor=loky.get_reusable_executor(2), block=16) == expected
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert fingerprint.rank(REAL, FAKE, executor=client.get_executor(), block=16) == expected


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
def test_dask_goes_on_without_a_worker_that_was_killed(tmp_path) -> None:
    distributed = pytest.importorskip("distributed")
    expected = fingerprint.rank(REAL, FAKE)
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        begun = []

        def batches():
            for i in range(0, len(FAKE), 2):
                if i == 200:
                    begun.append(len(executor._futures))
                    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                yield FAKE[i : i + 2]

        assert fingerprint.rank(REAL, batches(), executor=executor, block=2).to_csv() == expected.to_csv()
        assert 0 < begun[0] <= 2 * 3 + 1


class Elsewhere(Executor):
    """An executor whose workers may be anywhere: it is sent what it works with."""

    def __init__(self) -> None:
        self.sent = []

    def submit(self, task, /, *items):
        self.sent.append(pickle.dumps(task))
        future = Future()
        future.set_result(pickle.loads(self.sent[-1])(*items))
        return future


class Here(ProcessPoolExecutor):
    """A pool of processes that works in this one."""

    def __init__(self) -> None:
        self.sent, self._max_workers = [], 1

    submit = Elsewhere.submit


class Unhurried(Executor):
    """An executor of nobody knows how many workers, which do nothing before somebody waits for it."""

    def __init__(self) -> None:
        self.waiting, self.most_tasks, self.most_bytes = [], 0, 0

    def submit(self, task, /, *items):
        waiting = self.waiting

        class Late(Future):
            def result(self, timeout=None):  # noqa: ARG002
                waiting.remove(shard)
                return task(shard)

        (shard,) = items
        waiting.append(shard)
        parts = [part for shard in waiting for block in shard for part in block.parts]
        self.most_tasks = max(self.most_tasks, len(waiting))
        self.most_bytes = max(self.most_bytes, sum(part.pixels.nbytes for part in parts if hasattr(part, "pixels")))
        return Late()


@pytest.mark.parametrize(
    ("block", "most", "held"), [(1, 20_000, 19), (4, 20_000, 16), (16, 40_000, 32), (16, 20_000, 16), (16, 5_000, 16)]
)
def test_so_many_bytes_of_a_generator_are_in_flight(monkeypatch, block, most, held) -> None:
    monkeypatch.setattr(engine, "_BYTES_IN_FLIGHT", most)
    executor = Unhurried()
    found = fingerprint.rank(REAL, (image[None] for image in FAKE), executor=executor, block=block)
    assert executor.most_bytes == held * REAL[0].nbytes  # of one block at least
    assert found == fingerprint.rank(REAL, FAKE)


def test_of_files_so_many_shards_are_in_flight(folders, monkeypatch) -> None:
    monkeypatch.setattr(engine, "_BYTES_IN_FLIGHT", 1)
    monkeypatch.setattr(engine, "_SHARD", 1)
    executor = Unhurried()
    fingerprint.rank(*folders, executor=executor, block=2)
    assert (executor.most_tasks, executor.most_bytes) == (40 // 2, 0)


@pytest.mark.parametrize("kind", [Elsewhere, Here])
def test_the_real_images_go_to_processes_of_this_machine_once(kind, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    executor = kind()
    assert fingerprint.rank(REAL, FAKE, executor=executor, block=16) == fingerprint.rank(REAL, FAKE)
    assert len(executor.sent) == 3
    assert all((len(task) < 1000) == (kind is Here) for task in executor.sent)
    assert not list(tmp_path.iterdir())


def test_no_file_is_left_by_an_error_or_a_stream_that_is_abandoned(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = executors.submit_ordered(Here(), abs, range(9), ahead=2)
    assert next(found) == 0
    assert len(list(tmp_path.iterdir())) == 1
    found.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError):
        list(executors.submit_ordered(Here(), abs, ["no number"], ahead=2))
    assert not list(tmp_path.iterdir())


def test_without_room_for_a_file_the_task_goes_with_each_item(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    executor = Here()
    assert list(executors.submit_ordered(executor, abs, [-1], ahead=2)) == [1]
    assert pickle.loads(executor.sent[0]) is abs


def test_a_worker_unpickles_only_what_was_written_for_it(tmp_path) -> None:
    task = executors._Written.of(partial(pow, 2), tmp_path / "task")
    (tmp_path / "task").write_bytes(pickle.dumps(partial(pow, 3)))
    with pytest.raises(RuntimeError, match="expected what was written for the workers, found something else"):
        task(2)


MPI = """
import fingerprint
from fingerprint import phantoms
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    real, fake = phantoms.thorax(8, size=32, seed=1), phantoms.thorax(300, size=32, seed=2)
    with MPIPoolExecutor() as pool:
        found = fingerprint.rank(real, fake, executor=pool, block=16)
    print("the same:", found == fingerprint.rank(real, fake))
"""


@pytest.fixture
def folders(tmp_path):
    phantoms.write_demo(tmp_path / "demo", n_used=4, n_unused=4, n_fake=40, size=32)
    return [str(tmp_path / "demo" / name) for name in ("real", "fake")]


@pytest.mark.slow
def test_commands_work_in_processes_and_in_a_cluster(folders, tmp_path) -> None:
    distributed = pytest.importorskip("distributed")
    tables = [str(tmp_path / name) for name in ("threads.csv", "workers.csv", "dask.csv")]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
    ) as cluster:
        for table, more in zip(tables, ([], ["--workers", "2"], ["--dask", cluster.scheduler_address]), strict=True):
            assert main(["rank", *folders, "--out", table, *more]) == 0
    assert len({Path(table).read_bytes() for table in tables}) == 1


def test_an_address_where_nobody_answers_is_one_line(folders, capsys, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(options, "_ANSWER", 0.2)
    for address in ("tcp://127.0.0.1:9", "node1", "nothing://node1:8786", ""):
        assert main(["rank", *folders, "--dask", address]) == 2
        error = capsys.readouterr().err
        assert error.startswith("fingerprint: --dask: expected the address of a scheduler that answers within 0.2 s")
        assert error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["rank", *folders, "--dask", "tcp://127.0.0.1:9"]) == 2
    assert 'pip install "synthetic-fingerprint[dask]"' in capsys.readouterr().err


@pytest.mark.parametrize("command", ["rank", "summarise", "decide", "audit", "compare", "attribute", "fit", "predict"])
def test_whatever_takes_an_executor_takes_workers_or_a_cluster(command, capsys) -> None:
    with pytest.raises(SystemExit):
        main([command, "a", "b", "c", "--out", "d", "--workers", "2", "--dask", "tcp://node1:8786"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_no_workers_are_too_few(folders, capsys) -> None:
    assert main(["rank", *folders, "--workers", "0"]) == 2
    assert capsys.readouterr().err == "fingerprint: --workers: expected an integer of at least 1, got 0\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL] if sys.platform != "win32" else [])
def test_a_command_that_is_ended_leaves_neither_processes_nor_files(tmp_path, number) -> None:
    phantoms.write_demo(tmp_path / "demo", n_used=4, n_unused=4, n_fake=300, size=64)
    (tmp_path / "temporary").mkdir()
    sides = [str(tmp_path / "demo" / name) for name in ("real", "fake")]
    command = [sys.executable, "-m", "fingerprint", "rank", *sides, "--workers", "2"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    ) as process:
        while not list((tmp_path / "temporary").glob("fingerprint-*/task")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)  # while the workers are being begun
        _, error = process.communicate(timeout=60)  # ends when no process has the stream any more
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert error.startswith(b"fingerprint: terminated\n")  # a worker that is just being begun may say more
        assert b"resource_tracker" not in error
        assert not list((tmp_path / "temporary").glob("fingerprint-*"))


KILLED = """
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from fingerprint._base import executors


def task(item):
    print("working", flush=True)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=executors.begin_worker) as pool:
        list(executors.submit_ordered(pool, task, range(4), ahead=2))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals here")
def test_workers_of_a_killed_process_end_and_remove_what_was_written_for_them(tmp_path) -> None:
    (tmp_path / "program.py").write_text(KILLED)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, env=environment, timeout=60
    )
    assert found.returncode == -signal.SIGKILL
    assert found.stdout == b"working\n"
    assert not list(tmp_path.glob("fingerprint-*"))


def test_what_was_written_for_workers_can_be_removed_at_any_moment(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = executors.submit_ordered(Here(), abs, range(9), ahead=2)
    next(found)
    executors.abandon()
    assert not list(tmp_path.iterdir())
    found.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="no MPI here")
def test_processes_of_mpi_give_the_same(tmp_path) -> None:
    pytest.importorskip("mpi4py")
    (tmp_path / "program.py").write_text(MPI)
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "mpi4py.futures", str(tmp_path / "program.py")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "the same: True" in found.stdout


@pytest.mark.parametrize("question", ["rank", "audit", "fit", "compare", "attribute", "summarise"])
def test_what_is_no_executor_is_refused_at_once(question) -> None:
    sides = {
        "rank": (REAL, FAKE),
        "summarise": (REAL, FAKE),
        "audit": (REAL[:4], REAL[4:], FAKE),
        "fit": (REAL[:4], REAL[4:], FAKE),
        "compare": (REAL, FAKE[:9], FAKE[9:]),
        "attribute": ({"a": REAL[:4], "b": REAL[4:]}, FAKE),
    }
    with pytest.raises(InputError, match=r"^executor: expected a concurrent.futures.Executor, .*, got 4 \(int\)$"):
        getattr(fingerprint, question)(*sides[question], executor=4)
