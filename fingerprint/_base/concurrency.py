"""Threads: how many, running kernels on them, and working through a stream in order."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from fingerprint._base import checks, limits
from fingerprint._base.executors import submit_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 0.3  # seconds to wait for threads when a call is interrupted


def resolve(threads: int | None) -> int:
    """Return the number of threads to use: `threads`, or one per core that this process may use.

    Parameters
    ----------
    threads : int or None
        At least 1. None asks the system, and respects the affinity of the process and the quota of its container.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    InputError
        If `threads` is no integer of at least 1.
    """
    return limits.cores() if threads is None else checks.integer("threads", threads, minimum=1)


class _Threads(Executor):
    """Threads; fewer than asked for where the system has no more.

    They end with the call. One that waits for a share that does not answer cannot be ended: when the call is
    interrupted it is left behind, and as a daemon keeps no process alive.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[Thread] = []
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, task: Callable[..., R], /, *arguments: Any, **named: Any) -> Future[R]:
        """Let the next free thread call a task."""
        future: Future[R] = Future()
        self._waiting.put(partial(_call, future, task, arguments, named))
        if len(self._threads) < self._most:
            thread = Thread(target=self._work, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:  # else those there are do what waits
                    raise
            else:
                self._threads.append(thread)
        return future

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call()
            del call  # and with it what the task returned

    def begun(self) -> bool:
        """Say whether there is any thread."""
        try:
            self.submit(int)
        except RuntimeError:
            return False
        return True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for _thread in self._threads:
            self._waiting.put(None)
        whole = kind is None or issubclass(kind, Exception)
        for thread in self._threads:
            thread.join(None if whole else _PATIENCE / len(self._threads))


def _call(future: Future[R], task: Callable[..., R], arguments: Any, named: Any) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = task(*arguments, **named)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)


def run(task: Callable[[T], object], items: Iterable[T], *, threads: int) -> None:
    """Call `task(item)` for every item on up to `threads` threads and wait for all of them.

    Each task owns what it writes, so the result never depends on the number of threads. The threads end with the
    call, unless it is interrupted: a process that forks later holds no locked pool. The first exception, in the order
    of the items, is raised here; tasks that have not begun are dropped.

    Parameters
    ----------
    task : callable
        Takes one item. Runs alongside others only where it releases the GIL, as the kernels do.
    items : iterable
        Consumed at once.
    threads : int
        1 runs everything in the calling thread, as it does where no thread can be started.
    """
    items = list(items)
    with _Threads(max(1, min(threads, len(items)))) as pool:
        if threads == 1 or len(items) < 2 or not pool.begun():
            for item in items:
                task(item)
            return
        futures = [pool.submit(task, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def map_ordered(task: Callable[[T], R], items: Iterable[T], *, threads: int) -> Iterator[R]:
    """Yield `task(item)` in the order of the items while up to `threads` threads work ahead.

    At most `2 * threads` results wait at a time and `items` is consumed as slowly, so a stream larger than memory
    passes through. The threads end with the iteration, also when it is abandoned or fails.

    Parameters
    ----------
    task : callable
        Takes one item.
    items : iterable
        Consumed in the calling thread.
    threads : int
        1 runs everything in the calling thread, as it does where no thread can be started.

    Yields
    ------
    object
        What `task` returned; its exceptions are raised at its turn.
    """
    with _Threads(threads) as pool:
        if threads > 1 and pool.begun():
            yield from submit_ordered(pool, task, items, ahead=2 * threads)
        else:
            yield from map(task, items)
