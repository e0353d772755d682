"""What do special instructions gain? Processor time of one core with each set of features that the processor has.

    python benchmarks/forms.py [--page benchmarks/README.md]

Each set runs in a process of its own, for which kernels are compiled anew or taken from the cache. All give the same
bits, which is asserted. The sets take turns, five times.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from conftest import FEATURES
from table import publish

WORKS = "rank, a synthetic image", "distances, euclidean", "nearest patches"
NAMES = {"native": "all of this processor", "avx2": "AVX2", "baseline": "SSE2"}


def measured() -> dict[str, object]:
    """Return the milliseconds of each work, and a digest of what came out."""
    import fingerprint
    from fingerprint import phantoms
    from fingerprint._kernels import compiler

    real, fake = phantoms.thorax(64, seed=1), phantoms.thorax(256, seed=2)
    works = (
        lambda count: fingerprint.rank(real, fake[:count], threads=1, progress=False).scores,
        lambda count: fingerprint.distances(real, fake[:count], metric="euclidean", threads=1),
        lambda count: fingerprint.nearest_patches(real[:16], fake[: count // 8], threads=1, progress=False).distances,
    )
    found = [work(256) for work in works]
    times = []
    for work in works:
        taken = []
        for count in (16, 256):  # what is done once for the real images falls out
            began = time.process_time()
            work(count)
            taken.append(time.process_time() - began)
        times.append(1e3 * (taken[1] - taken[0]) / 240)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in found)).hexdigest()
    return {"times": times, "digest": digest, "features": sorted(compiler.features())}


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured()))
        return
    runs: dict[str, list[dict]] = {name: [] for name in FEATURES}
    for _ in range(5):
        for name, features in FEATURES.items():
            named = {} if features is None else {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
            command = [sys.executable, __file__, "--measure"]
            runs[name].append(json.loads(subprocess.run(command, env=os.environ | named, check=True, stdout=-1).stdout))
    assert len({run["digest"] for some in runs.values() for run in some}) == 1
    times = {name: np.median([run["times"] for run in some], axis=0) for name, some in runs.items()}
    special = {"avx512vnni", "avxvnni", "avx2"} & set(runs["native"][0]["features"])
    lines = [
        f"| work | {' | '.join(NAMES.values())} | gain of {', '.join(sorted(special - {'avx2'}))} | gain of avx2 |",
        "|---|---|---|---|---|---|",
    ]
    for work, native, avx2, baseline in zip(WORKS, *times.values(), strict=True):
        cells = [f"{one:.3g} ms" for one in (native, avx2, baseline)]
        lines.append(f"| {work} | {' | '.join(cells)} | {avx2 / native:.2g} | {baseline / avx2:.2g} |")
    publish(options.page, "forms", "\n".join(lines))


if __name__ == "__main__":
    main()
