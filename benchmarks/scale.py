"""Fit what a run costs from measurements, check it by a run of 100,000 images, and say what larger ones cost.

    python benchmarks/scale.py [--page docs/scale.md]

Times are of one thread, as the system counts those of this process; what takes little is done three times, and the
median counts. The stages are measured one by one, on drawn images of 64 to 256 pixels and up to 1,024 real ones, for
1,000 images and some for 10,000 and 100,000. The costs are counts of what the code does times factors, which are fitted
by least squares of the relative error, none below 0. Then a whole run that was not used in the fit, from files to the
ranking, is held against the prediction, and another against ten that share nothing. Summaries of 100 million images are
made up and merged. The tables are printed, or put between the marks of the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from table import publish

import fingerprint
from fingerprint._base.best import Best
from fingerprint._base.representatives import representatives
from fingerprint._evidence import budget, summary
from fingerprint._evidence.reals import prepare_reals
from fingerprint._evidence.scales import pyramid, windows
from fingerprint._images import loading
from fingerprint._images.loading import BLOCK
from fingerprint._kernels.layout import GROUP, tile_starts
from fingerprint._patches import gain_reals, gain_search, gains

PRICE = 0.05  # dollars for an hour of a core, about what clouds ask on demand
K = 5  # nearest images that are kept
QUICK = 2.0  # seconds that are measured three times
JOINED = 16  # Summaries that are merged at a time
CHECK = 96, 40, 100_000  # side, real and synthetic images of the run that was not used in the fit
SIDES = 64, 80, 128, 192, 256
STAGES = "decode", "whole images", "patches", "merging", "preparing the real images"


def scales_of(side: int) -> tuple:
    """Return what is compared of images of this size."""
    whole = pyramid(side, side)
    return (*whole, *windows(whole, side, side))


@cache
def passes(side: int) -> list[tuple[float, int]]:
    """Return which share of the pairs of drawn images is searched again, pass by pass, and at how many shifts."""
    grid = gain_search.PatchGrid.of(side, side)
    real = gain_reals.prepare_patches(fingerprint.phantoms.thorax(3 * GROUP, size=side, seed=5))
    _, mirrored, searched = gains._sums(real, block_of(side, 6).pixels)
    if grid.spread == 1:
        return [(mirrored.mean(), len(grid.offsets))]
    second = int(grid.second.sum())
    return [((searched > 0).mean(), second), (mirrored.mean(), second), ((searched > 1).mean(), len(grid.offsets))]


def searches(side: int, real: int) -> tuple[float, float]:
    """Return how often a patch of a real image is sought in a drawn one, and at how many shifts in all."""
    grid = gain_search.PatchGrid.of(side, side)
    times = 1 + len(grid.deciding) / np.prod(grid.shape)
    sought = times * int(grid.first.sum())
    for share, shifts in passes(side):
        again = max(share, min(share, 1 / max(real, 1)) * GROUP)  # whole groups, at least one where there are any
        times, sought = times + again, sought + again * shifts
    return times, sought


def features(stage: str, side: int, real: int, count: int) -> list[float]:
    """Return how often is done what a stage does, each with a cost that is fitted."""
    pixels, chosen, scales = side * side, len(representatives(real)), scales_of(side)
    whole = sum(not scale.windowed for scale in scales)
    steps = [tile_starts((side // scale.factor,) * 2)[-1] for scale in scales[:whole]]  # of 64 pixels
    quick, slow = int(steps[0]), int(sum(steps[1:]))  # of bytes, and of the sums of pixels, which are wider
    grid = gain_search.PatchGrid.of(side, side)
    patches, shifts = int(np.prod(grid.shape)), len(grid.offsets)
    times, sought = searches(side, real)
    padded = -(-real // GROUP) * GROUP  # images are compared in groups
    pairs, blocks = padded * count, count / BLOCK
    return {
        "decode": [count, count * pixels],
        "whole images": [
            count,
            count * pixels,
            pairs * quick,
            pairs * slow,
            pairs * len(scales),
            real * count * chosen * len(scales),
        ],
        "patches": [
            count,
            count * pixels,
            count * int(np.prod(grid.cell_shape)),
            pairs * times * patches,
            pairs * patches * sought,
        ],
        "merging": [blocks, blocks * real * (whole + 1)],
        "preparing the real images": [
            1,
            real * pixels,
            padded * chosen * patches,
            padded * chosen * patches * shifts,
            padded * real * quick,
            padded * real * slow,
            padded * real * len(scales),
            real * real * chosen * len(scales),
        ],
    }[stage]


def timed(task, *arguments: object, times: int = 1) -> float:
    """Return the seconds of the processor that a task takes, done so many times; the median of three if quick."""

    def once() -> float:
        begin = time.process_time()
        for _ in range(times):
            task(*arguments)
        return time.process_time() - begin

    first = once()
    return first if first > QUICK else float(np.median([first, once(), once()]))


def read(files: list[Path]) -> None:
    """Read files, and keep nothing."""
    for _ in fingerprint.blocks(files, threads=1):
        pass


def block_of(side: int, seed: int) -> fingerprint.Slices:
    """Return a block of images of the drawn generator."""
    return fingerprint.phantoms.demo(n_used=2, n_unused=2, n_fake=BLOCK, size=side, seed=seed).fake


def measure(folder: Path) -> list[tuple[str, int, int, int, float]]:
    """Return stage, side, real and synthetic images, and seconds."""
    found = []

    def note(stage: str, side: int, real: int, count: int, seconds: float) -> None:
        found.append((stage, side, real, count, seconds))
        print(f"{stage}: side {side}, {real} real, {count} synthetic: {seconds:.2f} s", file=sys.stderr, flush=True)

    for side in SIDES:
        files = sorted((folder / str(side) / "fake").iterdir())
        read(files)
        for count in (1_000, 10_000, 100_000)[: 3 if side == SIDES[0] else 2]:
            note("decode", side, 0, count, timed(read, list(islice(cycle(files), count))))
        block, drawn = block_of(side, 1), fingerprint.phantoms.thorax(1024, size=side, seed=2)
        for real in (16, 40, 128, 512, 1024)[: 5 if side <= 128 else 3]:
            prepare = partial(prepare_reals, drawn[:real], scales_of(side), patches=True)
            prepared = prepare()
            note("preparing the real images", side, real, 1, timed(prepare))
            whole = replace(prepared, patches=None)
            part = summary.summarise(prepared, block, k=K)
            for count in (1_000, 10_000, 100_000)[: 3 if (side, real) == (SIDES[0], 16) else 2 if real == 16 else 1]:
                times = -(-count // BLOCK)
                seconds = timed(partial(summary.summarise, k=K), whole, block, times=times)
                note("whole images", side, real, times * BLOCK, seconds)
                about = prepared.patches, block.pixels, block.names
                seconds = timed(partial(gains.summarise_gains, k=K), *about, times=times)
                note("patches", side, real, times * BLOCK, seconds)
            note("merging", side, real, 5 * JOINED * BLOCK, timed(summary.join, [part] * JOINED, times=5))
    return found


def fit(measured: list[tuple[str, int, int, int, float]]) -> dict[str, np.ndarray]:
    """Return the factors of each stage."""
    factors = {}
    for stage in STAGES:
        mine = [one for one in measured if one[0] == stage]
        table = np.array([np.array(features(stage, *about)) / seconds for _, *about, seconds in mine])
        widths = table.max(axis=0)
        factors[stage] = nnls(table / widths, np.ones(len(table)))[0] / widths
    return factors


def predict(factors: dict[str, np.ndarray], side: int, real: int, count: int) -> dict[str, float]:
    """Return the seconds of each stage."""
    return {stage: float(np.dot(features(stage, side, real, count), factors[stage])) for stage in STAGES}


def check(folder: Path, factors: dict[str, np.ndarray]) -> str:
    """Rank by a whole run that was not used in the fit, and say how far off the prediction is."""
    side, real, count = CHECK
    files = sorted((folder / str(side) / "fake").iterdir())
    images = fingerprint.phantoms.thorax(real, size=side, seed=3)
    fingerprint.rank(images, files, threads=1, k=K)  # loads what is loaded once
    listed = list(islice(cycle(files), count))
    took = timed(partial(fingerprint.rank, threads=1, k=K), images, listed)
    expected = sum(predict(factors, side, real, count).values())
    return (
        f"A run that was not used in the fit, {count:,} files of {side}x{side} pixels against {real} real images, took "
        f"{took:.1f} s of one core; {expected:.1f} s were predicted ({expected / took - 1:+.0%})."
    )


def in_parts(folder: Path, parts: int = 10) -> str:
    """Rank in one go and as the jobs of a cluster would, and say what it took."""
    side, real, count = CHECK[0], CHECK[1], 20_000
    images, found = fingerprint.phantoms.thorax(real, size=side, seed=3), []
    files = [folder / f"{i}.png" for i in range(count)]
    for file, of_one in zip(files, cycle(sorted((folder / str(side) / "fake").iterdir()))):
        file.hardlink_to(of_one)  # an image of one name in two jobs is refused

    def whole() -> None:
        found.append(fingerprint.rank(images, files, threads=1))

    def jobs() -> None:
        for number in range(parts):
            own = files[count // parts * number : count // parts * (number + 1)]
            fingerprint.summarise(images, own, threads=1).save(folder / f"part-{number}")

    def join() -> None:
        merged = fingerprint.merge([folder / f"part-{number}" for number in range(parts)])
        found.append(fingerprint.rank(images, merged, threads=1))

    whole()  # loads what is loaded once
    one, many, merging, listing = timed(whole), timed(jobs), timed(join), timed(loading.listing, files)
    assert len({ranking.to_csv() for ranking in found}) == 1
    return (
        f"{count:,} files of {side}x{side} pixels against {real} real ones took {one:.1f} s of one core in one go, and "
        f"{many:.1f} s as {parts} jobs that share nothing. To merge these took {merging:.1f} s more. The ranking was "
        f"the same, byte for byte. Listing a million files takes {listing / count * 1e6:.0f} s."
    )


def rate(measured: list[tuple[str, int, int, int, float]], factors: dict[str, np.ndarray]) -> str:
    """Return the table of how well the fit describes what was measured."""
    lines = ["| stage | measurements | median error | largest error |", "|---|---|---|---|"]
    for stage in STAGES:
        mine = [one for one in measured if one[0] == stage]
        off = [abs(predict(factors, *one[1:4])[stage] / one[4] - 1) for one in mine]
        lines.append(f"| {stage} | {len(mine)} | {np.median(off):.0%} | {max(off):.0%} |")
    return "\n".join(lines)


def costs(factors: dict[str, np.ndarray], file_bytes: float, side: int = 256) -> str:
    """Return the table of what large runs cost."""
    lines = [
        "| synthetic images | real images | core-hours | dollars | read | largest share | then |",
        "|---|---|---|---|---|---|---|",
    ]
    for count in (10**6, 10**7, 10**8):
        for real in (10**3, 10**4, 10**5):
            hours = {stage: seconds / 3600 for stage, seconds in predict(factors, side, real, count).items()}
            total = sum(hours.values())
            first, second = sorted(hours, key=hours.get, reverse=True)[:2]
            shares = [f"{stage}, {hours[stage] / total:.0%}" for stage in (first, second)]
            lines.append(
                f"| {count:,} | {real:,} | {total:,.0f} | {PRICE * total:,.0f} | {human(count * file_bytes)} "
                f"| {' | '.join(shares)} |"
            )
    return "\n".join(lines)


def room(part: summary.Findings, real: int, factors: dict[str, np.ndarray], side: int = 256) -> str:
    """Return the table of what each worker needs for the real images, and leaves behind."""
    lines = [
        "| real images | a worker, least | as fast as it goes, 8 threads | a Summary | preparing, core-hours |",
        "|---|---|---|---|---|",
    ]
    for count in (10**3, 10**4, 10**5):
        pixels = np.broadcast_to(np.zeros(1, np.uint8), (count, side, side))
        ask = {"patches": True, "k": K, "block": BLOCK}
        most = budget.ways(pixels, scales_of(side), **ask, threads=8)[0].peak
        least = min(way.peak for way in budget.ways(pixels, scales_of(side), **ask, threads=1))
        hours = predict(factors, side, count, 1)["preparing the real images"] / 3600
        size = part.nbytes / real * count
        lines.append(f"| {count:,} | {human(least)} | {human(most)} | {human(size)} | {hours:.2g} |")
    return "\n".join(lines)


def simulate(real: int = 200, parts: int = 1_000, each: int = 100_000) -> tuple[str, summary.Findings]:
    """Merge made-up Summaries of `parts` parts of `each` images, and say what it took."""
    rng, side = np.random.default_rng(0), 64
    prepared = prepare_reals(fingerprint.phantoms.thorax(real, size=side), scales_of(side), patches=True)
    model = summary.summarise(prepared, block_of(side, 4), k=K)

    def best(found: Best, start: int) -> Best:
        kept = found.values.shape[-1]
        values = np.sort(
            rng.random(found.values.shape)
            if found.values.dtype.kind == "f"
            else -rng.integers(0, 2**20, found.values.shape),
            axis=-1,
        )
        within = rng.integers(0, each // kept, found.values.shape) + each // kept * np.arange(kept)
        images = start + within
        return Best(found.k, each, values, images, {int(image): f"{image}.png" for image in np.unique(images)})

    def counted(found: np.ndarray) -> np.ndarray:
        counts = np.zeros(found.shape, np.min_scalar_type(each))
        np.put_along_axis(counts, rng.integers(0, found.shape[-1], (*found.shape[:-1], 1)), each, axis=-1)
        return counts

    smallest, seconds, kept, size = np.inf, 0.0, [], 0
    for number in range(parts):
        patches = replace(
            model.patches, best=best(model.patches.best, number * each), counts=counted(model.patches.counts)
        )
        one = replace(
            model,
            nearest=best(model.nearest, number * each),
            closest=best(model.closest, number * each),
            counts=counted(model.counts),
            patches=patches,
        )
        smallest = np.minimum(smallest, one.nearest.values[..., 0])
        size = max(size, one.nbytes)
        kept.append(one)
        if len(kept) == JOINED or number == parts - 1:
            begin = time.process_time()
            kept = [summary.merge(kept)]
            seconds += time.process_time() - begin
    (whole,) = kept
    assert whole.n_fake == parts * each
    assert (whole.counts.sum(axis=-1, dtype=np.int64) == parts * each).all()
    assert np.array_equal(whole.nearest.values[..., 0], smallest)
    text = (
        f"{parts:,} made-up Summaries of {each:,} images each, about {real} real images, of {human(size)} each, were "
        f"merged to one of {whole.n_fake:,} images: {human(whole.nbytes)}, in {seconds:.0f} s of one core."
    )
    return text, whole


def human(size: float) -> str:
    """Return bytes with a unit."""
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def main() -> None:
    """Measure, fit, check, publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="with the marks fit, costs, room, parts and merging")
    page = parser.parse_args().page
    merged, whole = simulate()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in (*SIDES, CHECK[0]):
            fingerprint.phantoms.write_demo(folder / str(side), n_used=2, n_unused=2, n_fake=100, size=side)
        measured = measure(folder)
        factors = fit(measured)
        checked = check(folder, factors)
        cluster = in_parts(folder)
        files = [path.stat().st_size for path in (folder / "256" / "fake").iterdir()]
    publish(page, "fit", f"{rate(measured, factors)}\n\n{checked}")
    publish(page, "costs", f"{costs(factors, float(np.mean(files)))}\n\nA core-hour at {PRICE} dollars.")
    publish(page, "room", room(whole, len(whole.votes[0]), factors))
    publish(page, "parts", cluster)
    publish(page, "merging", merged)


if __name__ == "__main__":
    main()
