"""Engine: read a stream of synthetic images block by block, work on several blocks at once, join what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fingerprint._base import concurrency, executors
from fingerprint._base.best import Best
from fingerprint._evidence import summary
from fingerprint._evidence.scales import Scale
from fingerprint._images.checkpoint import Pass
from fingerprint._images.slices import Slices
from fingerprint._patches.gains import GainSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from os import PathLike
    from typing import Any

    from fingerprint._evidence.reals import Reals
    from fingerprint._evidence.summary import Findings
    from fingerprint._images.blocks import Task
    from fingerprint._images.checkpoint import Held

R = TypeVar("R")

CLASSES = (summary.Findings, Best, GainSummary, Scale)  # what a Findings consists of
_SHARD = 8  # blocks sent to an executor at a time, to send the real images along less often where each task has them
_SHARDS_IN_FLIGHT = 64
_BYTES_IN_FLIGHT = 2**29  # pixels that tasks carry, where workers cannot read them, unless those of a block are more


@dataclass(frozen=True)
class Summariser:
    """Read and summarise blocks; can be pickled, to work in another thread, process or machine.

    Parameters
    ----------
    real : Reals
        The real images.
    k : int
        How many nearest synthetic images to keep.
    forms : int
        In how many forms each of them comes.
    """

    real: Reals
    k: int
    forms: int = 1

    def __call__(self, read: Task) -> Findings:
        """Read one block and summarise it."""
        return summary.summarise(self.real, read(), k=self.k, forms=self.forms)

    def shard(self, blocks: tuple[Task, ...]) -> Findings:
        """Read several blocks and summarise them together."""
        return summary.join([self(read) for read in blocks])


def begin(
    summariser: Summariser, about: Mapping[str, Any] | None = None, path: str | PathLike[str] | None = None
) -> Pass[Findings]:
    """Return a pass that has seen nothing yet, or what is at `path`, where it is written every so often."""
    none = Slices(np.zeros((0, 1, 1), np.uint8), ())
    model = summary.summarise(summariser.real, none, k=summariser.k, forms=summariser.forms)
    return Pass(model, summary.merge, about or {}, path, CLASSES)


def summarise(
    summariser: Summariser,
    blocks: Iterable[Task],
    *,
    threads: int,
    executor: Executor | None = None,
    advance: Callable[[int], object] = lambda _: None,
    onto: Pass[Findings] | None = None,
) -> Held[Findings]:
    """Summarise a stream of blocks.

    The result is the same, bit for bit, whatever the blocks, the number of threads and the executor.

    Parameters
    ----------
    summariser : Summariser
        What to do with a block.
    blocks : iterable of Task
        Each reads one block. At least one; consumed as slowly as the work proceeds.
    threads : int
        Threads of this process to use when there is no executor.
    executor : concurrent.futures.Executor, optional
        Where to work instead, such as a `ProcessPoolExecutor` or a Dask client's ``get_executor()``.
    advance : callable
        Called with the number of synthetic images, read or failed, that have been dealt with since the last call.
    onto : Pass, optional
        What to go on from, see `begin`.

    Returns
    -------
    Held
        The summary of the whole stream, with what was read; not yet `Findings.settled`.
    """
    done = map_blocks(summariser, summariser.shard, blocks, threads=threads, executor=executor)
    return (onto or begin(summariser)).over(done, advance)


def map_blocks(
    one: Callable[[Task], R],
    several: Callable[[tuple[Task, ...]], R],
    blocks: Iterable[Task],
    *,
    threads: int,
    executor: Executor | None = None,
) -> Iterator[R]:
    """Yield what is made of the blocks of a stream, in their order.

    Parameters
    ----------
    one : callable
        What to do with a block; for the threads of this process.
    several : callable
        What to do with some blocks that follow one another; for the executor.
    blocks : iterable of callable
        Each reads one block; consumed as slowly as the work proceeds.
    threads, executor
        As for `summarise`.

    Yields
    ------
    object
        Of one block after the other, or of several.
    """
    if executor is None:
        return concurrency.map_ordered(one, blocks, threads=threads)
    return executors.submit_ordered(
        executor, several, _shards(blocks), ahead=_SHARDS_IN_FLIGHT, weigh=_weight, most=_BYTES_IN_FLIGHT
    )


def _shards(blocks: Iterable[Task]) -> Iterator[tuple[Task, ...]]:
    """Yield the blocks several at a time, but few where they carry many pixels."""
    shard: tuple[Task, ...] = ()
    for block in blocks:
        shard = (*shard, block)
        if len(shard) == _SHARD or _weight(shard) + block.nbytes > _BYTES_IN_FLIGHT // _SHARDS_IN_FLIGHT:
            yield shard
            shard = ()
    if shard:
        yield shard


def _weight(shard: tuple[Task, ...]) -> int:
    return sum(block.nbytes for block in shard)
