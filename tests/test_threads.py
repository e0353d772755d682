"""Threads: how many, their order, their end."""

import os
import signal
import sys
import threading
import time

import pytest

from fingerprint import InputError
from fingerprint._base import concurrency, limits, progress
from fingerprint._base.progress import bar


def test_resolve_takes_the_number_given():
    assert concurrency.resolve(3) == 3


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_resolve_names_the_argument(wrong):
    with pytest.raises(InputError, match=r"^threads: expected an integer of at least 1, got "):
        concurrency.resolve(wrong)


def test_resolve_counts_the_cores_of_this_process(monkeypatch):
    monkeypatch.setattr(limits, "_groups", lambda *_: [])
    monkeypatch.setattr(os, "process_cpu_count", lambda: 5, raising=False)
    assert concurrency.resolve(None) == 5
    monkeypatch.setattr(os, "process_cpu_count", lambda: None)
    assert concurrency.resolve(None) == 1


def test_resolve_without_process_cpu_count(monkeypatch):
    monkeypatch.setattr(limits, "_groups", lambda *_: [])
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
    assert concurrency.resolve(None) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert concurrency.resolve(None) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert concurrency.resolve(None) == 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_run_does_every_item_once(threads):
    done = []
    concurrency.run(done.append, iter(range(20)), threads=threads)
    assert sorted(done) == list(range(20))


@pytest.mark.parametrize("threads", [1, 3])
def test_map_ordered_keeps_the_order(threads):
    def late(item):
        time.sleep(0.002 * (item % 3))
        return -item

    assert list(concurrency.map_ordered(late, range(20), threads=threads)) == [-item for item in range(20)]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_exception_is_raised_and_no_thread_is_left(threads):
    before = threading.active_count()

    def fails(item):
        if item >= 3:
            raise KeyError(item)

    with pytest.raises(KeyError, match="3"):
        concurrency.run(fails, range(50), threads=threads)
    with pytest.raises(KeyError, match="3"):
        list(concurrency.map_ordered(fails, range(50), threads=threads))
    assert threading.active_count() == before


def test_a_failure_drops_what_has_not_begun():
    begun = []

    def fails(item):
        begun.append(item)
        time.sleep(0.01)
        raise KeyError(item)

    with pytest.raises(KeyError):
        concurrency.run(fails, range(1000), threads=2)
    assert len(begun) < 1000


def test_map_ordered_reads_no_further_ahead_than_twice_the_threads():
    read = []

    def items():
        for item in range(100):
            read.append(item)
            yield item

    stream = concurrency.map_ordered(lambda item: item, items(), threads=2)
    assert next(stream) == 0
    assert len(read) <= 4
    stream.close()
    assert len(read) <= 4


def test_work_runs_in_the_calling_thread_when_there_is_one():
    names = set()
    concurrency.run(lambda _: names.add(threading.get_ident()), range(3), threads=1)
    concurrency.run(lambda _: names.add(threading.get_ident()), range(1), threads=4)
    names.update(concurrency.map_ordered(lambda _: threading.get_ident(), range(3), threads=1))
    assert names == {threading.get_ident()}


@pytest.mark.parametrize("most", [0, 1, 2])
def test_where_the_system_has_no_more_threads_fewer_work(monkeypatch, most):
    start, started = threading.Thread.start, []

    def scarce(thread):
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    done = []
    concurrency.run(done.append, range(20), threads=4)
    assert sorted(done) == list(range(20))
    started.clear()
    assert list(concurrency.map_ordered(lambda item: -item, range(20), threads=4)) == [-item for item in range(20)]
    assert len(started) == most


def test_bar_is_silent_unless_asked_for(capsys):
    with bar(False, unit="image") as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")
    with bar(True, unit="image", total=3) as advance:
        advance(3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err


def test_a_bar_shows_itself_where_somebody_looks_and_work_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_UNSEEN", 0.2)
    for terminal, work, shown in ((True, 0.5, True), (True, 0.0, False), (False, 0.5, False)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal, raising=False)
        with bar(None, unit="image", total=3, phase="comparing") as advance:
            time.sleep(work)
            advance(3)
        assert ("comparing" in capsys.readouterr().err) == shown


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals here")
@pytest.mark.parametrize("way", [concurrency.run, lambda *items, **more: list(concurrency.map_ordered(*items, **more))])
def test_an_interrupt_waits_for_nothing_that_stalls(way):
    stalled = threading.Event()  # as a read of a share that does not answer
    main, before = threading.main_thread().ident, threading.enumerate()
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        way(lambda _: stalled.wait(60), range(50), threads=3)
    assert time.monotonic() - begin < 10
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert all(thread.daemon for thread in left if not isinstance(thread, threading.Timer))
    stalled.set()
