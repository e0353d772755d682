"""How long does the first call take, which compiles its kernels, and how long the next one?

    python benchmarks/first_call.py [--page docs/in-a-program.md]

Ranks 200 drawn slices of 256x256 by 500 others, from PNG files, in a new process: with an empty cache, and again with
what that left there. Both give the same scores, which is asserted. Three times; the medians count. The table is
printed, or put between the marks of the page, and says whether other programs were running when it began.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from table import publish

RANK = """\
import sys, fingerprint
print(fingerprint.rank(*sys.argv[1:], progress=False).scores.tobytes().hex())
"""


def run(*arguments: Path, cache: Path) -> tuple[float, float, str]:
    """Return the seconds and the seconds of processors that a process took, and what it said."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", RANK, *arguments]
    done = subprocess.run(command, env=os.environ | {"NUMBA_CACHE_DIR": str(cache)}, check=True, capture_output=True)
    taken, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.decode()


def measured() -> list[list[float]]:
    """Return what the first call and the next one took."""
    from fingerprint import phantoms

    with tempfile.TemporaryDirectory() as name:
        sides = [Path(name) / side for side in ("real", "fake")]
        for folder, count in zip(sides, (200, 500), strict=True):
            folder.mkdir()
            for i, image in enumerate(phantoms.thorax(count, size=256, seed=count)):
                Image.fromarray(image).save(folder / f"{i:03}.png")
        found = [run(*sides, cache=Path(name) / "cache") for _ in range(2)]
    assert found[0][2] == found[1][2]
    return [list(one[:2]) for one in found]


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    from fingerprint._base.limits import cores

    shared = ", which other programs used as well" if os.getloadavg()[0] > 0.5 else ""
    times = np.median([measured() for _ in range(3)], axis=0)
    lines = ["| 200 x 500 slices of 256x256, from files | seconds | of processors |", "|---|---|---|"]
    names = "the first call of a new installation", "the first call of any later process"
    lines += [f"| {name} | {taken:.1f} | {used:.1f} |" for name, (taken, used) in zip(names, times, strict=True)]
    lines += ["", f"On {cores()} cores{shared}; the start of Python included."]
    publish(options.page, "first call", "\n".join(lines))


if __name__ == "__main__":
    main()
