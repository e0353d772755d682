"""Executors: tasks in order, what they need sent once, and a new pool where a worker was killed."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import signal
import threading
import warnings
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, parent_process
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

_RETRIES = 2  # new pools after one whose worker was killed

_FOLDERS: set[str] = set()  # with tasks for worker processes: in these, the one that was read
_LOADED: dict[str, Any] = {}  # the task that this worker process read last, by its digest


def submit_ordered(
    executor: Executor,
    task: Callable[[T], R],
    items: Iterable[T],
    *,
    ahead: int,
    weigh: Callable[[T], int] = lambda _: 0,
    most: int = 0,
) -> Iterator[R]:
    """Yield `task(item)` in the order of the items from an executor, with up to `ahead` of them under way.

    There are no more under way than keep the workers busy, where it is known how many these are. Nor is the next one
    asked for while they and one like the last would weigh more than `most` together. The task itself goes
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
                last = weigh(item)
                while waiting and (
                    len(waiting) >= min(ahead, 2 * (_workers(executor) or ahead) + 1)
                    or sum(weigh(item) for item, _ in waiting) + last > most
                ):
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
                held = client.submit(_same, task, **executor._kwargs | {"pure": False})  # noqa: SLF001
            yield _applied, held
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
    for process in active_children():  # one that is just being begun is not among them: `begin_worker`
        process.kill()
    _remove_folders()


def begin_worker() -> None:
    """Make this worker process end when the one that began it ends, however that happens; interrupts are for that one.

    A worker waits for tasks on a pipe that it could write to itself, so that it would never see its end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            _remove_folders()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _remove_folders() -> None:
    for folder in tuple(_FOLDERS):
        rmtree(folder, ignore_errors=True)


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
            _FOLDERS.add(str(self.path.parent))
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
