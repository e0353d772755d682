"""Executors: a killed worker, another folder, and what is none."""

import os
import signal
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._base import concurrency

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
        found = list(concurrency.submit_ordered(pool, task, range(9), ahead=4))
    assert found == [2 * item for item in range(9)]
    assert [record.message for record in caplog.records].count(
        "a worker process was killed; what it had is computed again in a new pool"
    ) == deaths


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
def test_a_task_that_always_kills_its_worker_ends_the_call(tmp_path) -> None:
    task = partial(doubled, deadly=1, flags=str(tmp_path), deaths=99)
    with processes() as pool, pytest.raises(BrokenExecutor):
        list(concurrency.submit_ordered(pool, task, range(4), ahead=3))
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
    found = concurrency.submit_ordered(pool, task, range(9), ahead=4)
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
