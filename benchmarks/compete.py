"""Two ways to do the same work, timed by turns."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = int(os.environ.get("FINGERPRINT_BENCHMARK_ROUNDS", "7"))
PAUSE = 0.2  # seconds in which the threads of a BLAS stop to wait for more work, which takes a core each


def compete(
    benchmark: BenchmarkFixture,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    peer: str = "",
    share: float = 1,
    rounds: int = ROUNDS,
    warm: bool = False,
) -> None:
    """Time both by turns, and keep the ratio of the medians.

    `peer` is what the table calls theirs; by default what follows "against" in the name of the benchmark. `share` is
    the part of our work that theirs does, so that a slow peer need not do all of it. What is `warm` has run before.
    """
    if not warm:
        ours(), theirs()
    times = []

    def setup() -> None:
        time.sleep(PAUSE)
        start = time.perf_counter()
        theirs()
        times.append((time.perf_counter() - start) / share)
        time.sleep(PAUSE)

    benchmark.pedantic(ours, setup=setup, rounds=rounds)
    if benchmark.enabled:
        mine = statistics.median(benchmark.stats.stats.data)
        other = statistics.median(times)
        peer = peer or benchmark.name.split("_against_")[-1].replace("_", " ")
        benchmark.extra_info.update(peer=peer, theirs=other, ratio=other / mine)
        print(f"\n{benchmark.name}: {mine:.3g} s against {other:.3g} s, {other / mine:.2f} x")
