"""Show that memory does not grow with the number of synthetic images: the peak for 1,000, 10,000 and 100,000 of them.

    python benchmarks/memory.py [--page docs/scale.md] [--plot docs/images/memory.png]

Each run is a process of its own, on 2 threads, that ranks 50 drawn real images of 64x64 pixels. Synthetic images come
from a generator, and as files of which there are 100, listed again and again. First it is asserted that a run within
--memory finds the same as one without. Then it fails if the peaks of streams differ by more than 10 %. The table is
printed, or put between the marks of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from table import publish

COUNTS = (1_000, 10_000, 100_000)
REAL, SIDE, FILES = 50, 64, 100
MEMORY = "350MB"


def child(asked: dict) -> dict:
    """Rank in this process, and return the scores and the peak of its memory in bytes."""
    import fingerprint

    folder = Path(asked["folder"])
    count, options = asked["count"], {"threads": 2, "memory": asked["memory"]}
    if asked["files"]:
        fake = list(islice(cycle(sorted((folder / "fake").iterdir())), count))
    else:
        images = fingerprint.load(folder / "fake").pixels
        fake = (images[i : i + 1] for i in islice(cycle(range(FILES)), count))
    found = fingerprint.rank(folder / "real", fake, **options)
    # what `resource` says would include the parent, before it became this process
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return {"peak": peak, "scores": dict(zip(found.names, found.scores.tolist(), strict=True))}


def measure(folder: Path, count: int, *, files: bool, memory: str | None = None) -> dict:
    """Rank in a process of its own."""
    asked = {"folder": str(folder), "count": count, "files": files, "memory": memory}
    command = [sys.executable, __file__, "--child", json.dumps(asked)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))}
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)
    print(
        f"{count} images, files: {files}, memory: {memory}: {found['peak'] / 1e6:.0f} MB", file=sys.stderr, flush=True
    )
    return found


def plot(path: Path, peaks: dict[str, list[int]]) -> None:
    """Draw the peaks."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, values in peaks.items():
        axes.plot(COUNTS, [value / 1e6 for value in values], "o-", label=name)
    axes.set(
        xscale="log",
        xlabel="synthetic images",
        ylabel="peak memory, MB",
        ylim=(0, 1.2e-6 * max(map(max, peaks.values()))),
    )
    axes.set_xticks(COUNTS, [f"{count:,}" for count in COUNTS])
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    """Measure, assert, publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="with the mark memory")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        json.dump(child(options.child), sys.stdout)
        return
    import fingerprint

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fingerprint.phantoms.write_demo(folder, n_used=REAL // 2, n_unused=REAL // 2, n_fake=FILES, size=SIDE)
        free, bound = (measure(folder, COUNTS[0], files=False, memory=memory) for memory in (None, MEMORY))
        assert free["scores"] == bound["scores"]
        peaks = {
            name: [measure(folder, count, files=files)["peak"] for count in COUNTS]
            for name, files in (("from a generator", False), ("as files", True))
        }
    stream, files = peaks.values()
    assert max(stream) <= 1.1 * min(stream), stream
    listed = (files[-1] - files[0]) / (COUNTS[-1] - COUNTS[0])
    lines = [
        "| synthetic images | from a generator | as files |",
        "|---|---|---|",
        *(
            f"| {n:,} | {one / 1e6:.0f} MB | {other / 1e6:.0f} MB |"
            for n, one, other in zip(COUNTS, stream, files, strict=True)
        ),
        "",
        (
            f"Peak of a process that ranks {REAL} real images of {SIDE}x{SIDE} pixels on 2 threads. Of streams the "
            f"largest peak is {max(stream) / min(stream) - 1:.1%} above the least. Files cost {listed:.0f} bytes each "
            f'for paths and names. With `memory="{MEMORY}"` the ranking was the same.'
        ),
    ]
    publish(options.page, "memory", "\n".join(lines))
    if options.plot:
        plot(options.plot, peaks)


if __name__ == "__main__":
    main()
