"""Threads: how many, and running kernels on them."""

from __future__ import annotations

import hashlib
import logging
import pickle
import sys
import warnings
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from queue import SimpleQueue
from shutil import rmtree
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from fingerprint._base import checks, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

_RETRIES = 2  # new pools after one whose worker was killed
_UNSEEN = 2.0  # seconds of work without a bar

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


def submit_ordered(executor: Executor, task: Callable[[T], R], items: Iterable[T], *, ahead: int) -> Iterator[R]:
    """Yield `task(item)` in the order of the items from an executor, with up to `ahead` of them under way.

    There are no more under way than keep the workers busy, where it is known how many these are. The task itself goes
    to a worker once, see `_sent_once`. Where a worker process was killed, which breaks its whole pool, what has no
    result yet is computed again in a new pool of the same kind, twice at most. What is under way is cancelled when the
    iteration is abandoned or fails.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    pools = [executor]  # the last one works

    def next_result() -> R:
        while True:
            try:
                result = waiting[0][1].result()
            except BrokenExecutor as error:
                pools.append(_renewed(pools, error))
                for i, (item, future) in enumerate(waiting):
                    if not future.done() or future.cancelled() or future.exception() is not None:
                        waiting[i] = item, _submitted(pools[-1], sent, item)
            else:
                waiting.popleft()
                return result

    with _sent_once(executor, task) as sent:
        try:
            for item in items:
                waiting.append((item, _submitted(pools[-1], sent, item)))
                if len(waiting) >= min(ahead, 2 * (_workers(executor) or ahead) + 1):
                    yield next_result()
            while waiting:
                yield next_result()
        finally:
            for _, future in waiting:
                future.cancel()
            for pool in pools[1:]:
                pool.shutdown(wait=False)


def _submitted(executor: Any, sent: tuple[Any, ...], item: Any) -> Future[Any]:
    """Return the future of a task; of a pool that broke, one that says so at its turn."""
    try:
        future: Future[Any] = executor.submit(*sent, item)
    except BrokenExecutor as error:
        future = Future()
        future.set_exception(error)
    return future


def _is_local(executor: Executor) -> bool:
    """Say whether the workers are processes of this machine, which read its files."""
    return issubclass(type(executor), ProcessPoolExecutor) or type(executor).__module__.startswith("loky")


def _dask(executor: Any) -> Any:
    """Return the client of an executor of Dask; None of any other."""
    return executor._client if type(executor).__module__.startswith("distributed.") else None  # noqa: SLF001


def _workers(executor: Any) -> int:
    """Return how many tasks an executor works on at once; 0 where it is not known, or nobody works yet."""
    client = _dask(executor)  # whose workers come and go
    return getattr(executor, "_max_workers", None) or 0 if client is None else sum(client.nthreads().values())


@contextmanager
def _sent_once(executor: Any, task: Callable[[T], R]) -> Iterator[tuple[Any, ...]]:
    """Give what to submit before each item, so that a task of many bytes goes to each worker once.

    Processes of this machine read it from a file, which is gone afterwards. Dask has it computed by a task, so that
    workers fetch it from each other and it is made again if all that have it die. To any other executor it goes with
    each item.
    """
    client = _dask(executor)
    with ExitStack() as stack:
        if client is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)  # once
                yield _applied, client.submit(_same, task, **executor._kwargs | {"pure": False})  # noqa: SLF001
        elif not _is_local(executor):
            yield (task,)
        else:
            try:
                folder = stack.enter_context(TemporaryDirectory(prefix="fingerprint-", ignore_cleanup_errors=True))
                _FOLDERS.add(folder)
                stack.callback(_FOLDERS.remove, folder)
                sent: Callable[[T], R] = _Written.of(task, Path(folder) / "task")
            except OSError:  # no room for a file
                sent = task
            yield (sent,)


def _same(value: R) -> R:
    return value


def _applied(task: Callable[[T], R], item: T) -> R:
    return task(item)


def abandon() -> None:
    """End the processes that this one began, and remove what it wrote for them: it is about to end at once."""
    for process in active_children():
        process.kill()
    for folder in tuple(_FOLDERS):
        rmtree(folder, ignore_errors=True)


_FOLDERS: set[str] = set()  # with tasks for worker processes
_LOADED: dict[str, Any] = {}  # the task that this worker process read last, by its digest


@dataclass(frozen=True)
class _Written:
    """A task in a file, for the processes of this machine.

    Parameters
    ----------
    path : Path
        Of its pickle.
    digest : str
        SHA-256 of the pickle: nothing else is unpickled.
    """

    path: Path
    digest: str

    @classmethod
    def of(cls, task: object, path: Path) -> _Written:
        """Write a task."""
        pickled = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        path.write_bytes(pickled)
        return cls(path, hashlib.sha256(pickled).hexdigest())

    def __call__(self, item: Any) -> Any:
        """Call the task, read where this process has not done so yet."""
        if self.digest not in _LOADED:
            _LOADED.clear()  # memory is for one
            pickled = self.path.read_bytes()
            if hashlib.sha256(pickled).hexdigest() != self.digest:
                raise RuntimeError(f"{self.path}: expected what was written for the workers, found something else")
            _LOADED[self.digest] = pickle.loads(pickled)
        return _LOADED[self.digest](item)


def _renewed(pools: list[Executor], error: BrokenExecutor) -> Executor:
    """Return a new pool like the first, which broke; raise the error where none can be had, or two broke too."""
    first: Any = pools[0]
    if len(pools) > _RETRIES:
        raise error
    pool: Executor
    if issubclass(type(first), ProcessPoolExecutor):
        about = first._max_workers, first._mp_context, first._initializer, first._initargs  # noqa: SLF001
        pool = ProcessPoolExecutor(*about)
    elif type(first).__module__.startswith("loky"):
        from loky import get_reusable_executor

        begin = {"initializer": first._initializer, "initargs": first._initargs}  # noqa: SLF001
        pool = get_reusable_executor(first._max_workers, **begin)  # noqa: SLF001
    else:
        raise error
    logging.getLogger("fingerprint").warning("a worker process was killed; what it had is computed again in a new pool")
    return pool


@contextmanager
def bar(
    progress: bool | None, *, unit: str, total: int | None = None, phase: str | None = None
) -> Iterator[Callable[[int], object]]:
    """Give a function that advances a progress bar on stderr by a number of units.

    With None there is a bar where somebody looks, in a terminal or a notebook, if the work takes more than two seconds.
    """
    if progress is None and not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        progress = False
    if progress is False:
        yield lambda _: None
        return
    from tqdm.auto import tqdm

    delay = _UNSEEN if progress is None else 0
    with tqdm(total=total, unit=unit, file=sys.stderr, desc=phase, delay=delay) as shown:
        yield shown.update
