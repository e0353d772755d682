"""Engine: read a stream of synthetic images in blocks, summarise the blocks side by side, merge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from fingerprint import _threads, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from fingerprint.images import Slices
    from fingerprint.summary import Reals, Summary

_MERGED_AT_ONCE = 16  # summaries: sorting their names again is what merging costs
_SHARD = 8  # blocks sent to an executor at a time, to send the real images along less often
_SHARDS_IN_FLIGHT = 64


@dataclass(frozen=True)
class Worker:
    """Read and summarise blocks; can be pickled, to work in another thread, process or machine.

    Parameters
    ----------
    real : Reals
        The real images.
    k : int
        How many nearest synthetic images to keep.
    """

    real: Reals
    k: int

    def __call__(self, read: Callable[[], Slices]) -> Summary:
        """Read one block and summarise it."""
        return summary.summarise(self.real, read(), k=self.k)

    def shard(self, blocks: tuple[Callable[[], Slices], ...]) -> Summary:
        """Read several blocks and summarise them together."""
        return summary.merge([self(read) for read in blocks])


def summarise(
    worker: Worker,
    blocks: Iterable[Callable[[], Slices]],
    *,
    threads: int,
    executor: Executor | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Summary:
    """Summarise a stream of blocks.

    The result is the same, bit for bit, whatever the blocks, the number of threads and the executor.

    Parameters
    ----------
    worker : Worker
        What to do with a block.
    blocks : iterable of callable
        Each reads one block. At least one; consumed as slowly as the work proceeds.
    threads : int
        Threads of this process to use when there is no executor.
    executor : concurrent.futures.Executor, optional
        Where to work instead, such as a `ProcessPoolExecutor` or a Dask client's ``get_executor()``.
    advance : callable
        Called with the number of synthetic images, read or failed, that have been dealt with since the last call.

    Returns
    -------
    Summary
        Of the whole stream.
    """
    if executor is None:
        done = _threads.map_ordered(worker, blocks, threads=threads)
    else:
        done = _threads.submit_ordered(executor, worker.shard, _shards(blocks), ahead=_SHARDS_IN_FLIGHT)
    merged: list[Summary] = []
    for part in done:
        advance(part.n_fake + len(part.failed))
        merged.append(part)
        if len(merged) == _MERGED_AT_ONCE:
            merged = [summary.merge(merged)]
    return summary.merge(merged)


def _shards(blocks: Iterable[Callable[[], Slices]]) -> Iterator[tuple[Callable[[], Slices], ...]]:
    """Yield the blocks several at a time."""
    stream = iter(blocks)
    while shard := tuple(islice(stream, _SHARD)):
        yield shard
