"""The summary of a stream equals what full matrices of distances say, however the stream is cut."""

import functools
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from comparers import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint._base import representatives
from fingerprint._base.best import Best
from fingerprint._base.histogram import edges as bin_edges
from fingerprint._evidence import engine
from fingerprint._evidence import scales as scales_of_images
from fingerprint._evidence import summary as summaries
from fingerprint._evidence.reals import COPIED, prepare_reals
from fingerprint._evidence.scales import Scale, compare_scales, prepare_scales
from fingerprint._evidence.whitening import Whitening
from fingerprint._images.loading import Failure, Slices

RNG = np.random.default_rng(3)
REAL = RNG.integers(0, 256, (9, 16, 20), dtype=np.uint8)
# the last ones repeat earlier ones, so that distances tie
FAKE = np.concatenate([RNG.integers(0, 256, (30, 16, 20), dtype=np.uint8), REAL[:3]])[[*range(33), 4, 30, 7]]
NAMES = tuple(f"fake_{i}.png" for i in RNG.permutation(len(FAKE)))
SCALES = (Scale(1, "correlation", whitened=True), Scale(4, "euclidean"))
PARTS = (Scale(1, "correlation of window 2", whitened=True), Scale(1, "correlation of window 9", whitened=True))


@functools.cache
def reals():
    return prepare_reals(REAL, (*SCALES, *PARTS), patches=True, n_used=5)


K = 4


def stack(pixels, names, **more) -> Slices:
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return Slices(pixels, tuple(names), **more)


def cut(order, *places) -> list[Slices]:
    parts = np.split(np.asarray(order), sorted(places))
    return [stack(FAKE[part], (NAMES[i] for i in part)) for part in parts]


@functools.cache
def whole_summary():
    return summaries.summarise(reals(), stack(FAKE, NAMES), k=K)


class Unread(partial):
    """A task that carries no pixels."""

    nbytes = 0


def reader(block: Slices) -> Slices:
    return block


def number(name: str) -> int:
    return int(name.removeprefix("fake_").removesuffix(".png"))


@pytest.mark.parametrize("v", range(len(SCALES)))
def test_a_summary_says_what_the_full_matrix_says(v) -> None:
    scale = SCALES[v]
    matrix = compare_scales(reals().sides, prepare_scales(FAKE, tuple(reals().sides)))[scale]
    if scale.whitened:
        matrix = reals().whitenings[v].distances(matrix)
    for i, row in enumerate(matrix):
        expected = sorted((distance, number(name), name) for distance, name in zip(row, NAMES, strict=True))[:K]
        assert whole_summary().distances[v, i].tolist() == [distance for distance, _, _ in expected]
        assert [NAMES[j] for j in whole_summary().nearest.images[v, i]] == [name for _, _, name in expected]
        counts = np.bincount(np.searchsorted(bin_edges(), row, side="right"), minlength=len(bin_edges()))
        assert whole_summary().counts[v, i].tolist() == counts.tolist()
        voters = [j for j in range(len(FAKE)) if matrix[:, j].argmin() == i]
        assert whole_summary().votes[v, i] == len(voters)
        assert whole_summary().copies[v, i] == sum(matrix[i, j] < reals().others[v, i, 0] for j in voters)


def test_of_windows_the_two_nearest_synthetic_images_are_kept() -> None:
    sides = reals().sides
    compared = compare_scales(sides, prepare_scales(FAKE, tuple(sides)))
    assert whole_summary().windows.shape == (2, len(REAL), 2)
    for v, part in enumerate(PARTS):
        matrix = reals().whitenings[len(SCALES) + v].distances(compared[part])
        assert whole_summary().windows[v].tolist() == np.sort(matrix, axis=1)[:, :2].tolist()
    alone = summaries.summarise(reals(), stack(FAKE[:1], NAMES[:1]), k=K)
    assert np.isinf(alone.windows[..., 1]).all()
    assert np.isfinite(alone.windows[..., 0]).all()
    assert whole_summary().first(2).windows.shape == (2, 2, 2)


def test_real_images_are_compared_with_other_patients() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    for grouped in (None, groups):
        found = prepare_reals(REAL, SCALES, groups=grouped)
        own = np.arange(9) if grouped is None else grouped
        assert found.grouped == (grouped is not None)
        for v, scale in enumerate(SCALES):
            matrix = compare_scales(found.sides, found.sides)[scale]
            assert (found.whitenings[v] is not None) == scale.whitened
            if scale.whitened:
                matrix = Whitening.of(matrix, np.arange(9)).distances(matrix)
            others = [sorted(matrix[i, own != own[i]]) for i in range(9)]
            for i in range(9):
                assert found.others[v, i][: len(others[i])].tolist() == others[i]
                assert np.isinf(found.others[v, i][len(others[i]) :]).all()


def test_of_many_real_images_some_stand_for_all(monkeypatch) -> None:
    monkeypatch.setattr(representatives, "_MOST", 4)
    found = prepare_reals(REAL, SCALES, patches=True)
    members = representatives.representatives(len(REAL))
    for v, scale in enumerate(SCALES):
        matrix = compare_scales(found.sides, found.sides)[scale]
        if scale.whitened:
            matrix = Whitening.of(matrix[:, members], members).distances(matrix)
        assert found.others[v].tolist() == [sorted(np.delete(matrix[i], i)) for i in range(9)]
    copied = summaries.summarise(found, stack(REAL[3:4], ("copy.png",)), k=1)
    assert (copied.distances[:, 3] == 0).all()
    assert copied.patches.scores.argmax() == 3


@pytest.mark.parametrize("scales", [SCALES, (Scale(1, "ssim"),), (COPIED, Scale(1, "tiles"))])
def test_how_near_images_come_to_used_ones_is_kept(scales, monkeypatch) -> None:
    monkeypatch.setattr(representatives, "_MOST", 4)
    found = prepare_reals(REAL, scales, n_used=3)
    root_mean_square = [[np.sqrt(np.mean((a - b.astype(float)) ** 2)) for b in REAL[:3]] for a in [*REAL[3:], *FAKE]]
    nearest = np.min(root_mean_square, axis=1)
    assert found.unused_to_used == pytest.approx(nearest[:6])
    summary = summaries.summarise(found, stack(FAKE, NAMES), k=1)
    assert summary.fake_to_used == pytest.approx(np.sort(nearest[6:]))
    assert (summary.scales, summary.distances.shape[0]) == (scales, len(scales))
    without = prepare_reals(REAL, scales)
    assert without.unused_to_used is summaries.summarise(without, stack(FAKE, NAMES), k=1).fake_to_used is None


def test_the_closest_synthetic_image_is_kept_and_identical_ones_are_at_0() -> None:
    gaps = np.sqrt(((REAL[:, None].astype(float) - FAKE) ** 2).mean(axis=(2, 3)))
    assert whole_summary().closest.values[:, 0] == pytest.approx(gaps.min(axis=1))
    assert (whole_summary().closest.values[:3] == 0).all()
    assert [whole_summary().closest.names[image] for image in whole_summary().closest.images[:, 0]] == [
        min((NAMES[i] for i in np.flatnonzero(row == row.min())), key=number) for row in gaps
    ]
    assert whole_summary().first(2).closest.values.tolist() == [[0.0], [0.0]]


def test_prepare_of_one_image_and_of_one_group() -> None:
    alone = prepare_reals(REAL[:1], SCALES)
    assert alone.others.shape == (2, 1, 0)
    assert alone.whitenings == (None, None)
    family = prepare_reals(REAL[:3], SCALES, groups=np.zeros(3, dtype=int))
    assert np.isinf(family.others).all()
    assert (family.grouped, alone.grouped) == (True, False)
    for reals in (alone, family):
        found = summaries.merge([summaries.summarise(reals, stack(FAKE, NAMES), k=K)])
        assert np.isfinite(found.distances).all()


@settings(max_examples=40)
@given(st.permutations(range(len(FAKE))), st.lists(st.integers(0, len(FAKE)), max_size=6), st.randoms())
def test_cutting_and_order_change_no_bit(order, places, random) -> None:
    whole = summaries.summarise(reals(), *cut(order), k=K)
    nearest, closest = placed(whole.nearest, order), placed(whole.closest, order)
    same = replace(whole, nearest=nearest, closest=closest, patches=None)
    assert_same(same, replace(whole_summary(), patches=None))
    assert_same(placed(whole.patches.best, order), whole_summary().patches.best)
    blocks = cut(order, *places)
    parts = [summaries.summarise(reals(), block, k=K) for block in blocks]
    assert_same(summaries.join(parts), whole)
    parts = [part.moved(start) for part, start in zip(parts, [0, *sorted(places)], strict=True)]
    random.shuffle(parts)
    assert_same(summaries.merge(parts), whole)
    middle = len(parts) // 2
    halves = [summaries.merge(half) for half in (parts[:middle], parts[middle:]) if half]
    assert_same(summaries.merge(halves), whole)


def placed(best: Best, order) -> Best:
    """What is known of images that came in another order, by their positions in `FAKE`."""
    images = np.asarray(order)[best.images]
    return replace(best, images=images, names={int(order[image]): name for image, name in best.names.items()})


def test_images_of_one_name_are_told_apart() -> None:
    names = [f"fake_{i % 12}.png" for i in range(len(FAKE))]
    whole = summaries.summarise(reals(), stack(FAKE, names), k=K)
    parts = [summaries.summarise(reals(), stack(FAKE[i : i + 12], names[i : i + 12]), k=K) for i in (0, 12, 24)]
    assert_same(summaries.join(parts), whole)
    matrix = reals().distances(FAKE)[0][1]
    for i, row in enumerate(matrix):
        expected = sorted(range(len(FAKE)), key=lambda j: (row[j], j % 12, j))[:K]
        assert whole.nearest.images[1, i].tolist() == expected


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_threads_and_blocks_change_no_bit(threads, size) -> None:
    tasks = [Unread(reader, block) for block in cut(range(len(FAKE)), *range(size, len(FAKE), size))]
    seen = []
    found = engine.summarise(engine.Summariser(reals(), K), tasks, threads=threads, advance=seen.append)
    assert_same(found.kept, whole_summary())
    assert sum(seen) == len(FAKE)


@pytest.mark.parametrize(
    "executor",
    [partial(ThreadPoolExecutor, 3), partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))],
    ids=["threads", "processes"],
)
def test_an_executor_changes_no_bit(executor) -> None:
    tasks = [Unread(reader, block) for block in cut(range(len(FAKE)), *range(2, len(FAKE), 2))]
    with executor() as pool:
        found = engine.summarise(engine.Summariser(reals(), K), tasks, threads=1, executor=pool)
        assert_same(found.kept, whole_summary())


def test_an_executor_gets_a_bounded_number_of_shards(monkeypatch) -> None:
    monkeypatch.setattr(engine, "_SHARDS_IN_FLIGHT", 2)
    monkeypatch.setattr(engine, "_SHARD", 1)
    tasks = [Unread(reader, block) for block in cut(range(len(FAKE)), *range(5, len(FAKE), 5))]
    with ThreadPoolExecutor(1) as pool:
        found = engine.summarise(engine.Summariser(reals(), K), tasks, threads=1, executor=pool)
        assert_same(found.kept, whole_summary())


def test_a_failing_read_reaches_the_caller_and_cancels_the_rest() -> None:
    begun = []

    def read(i: int) -> Slices:
        begun.append(i)
        if i == 0:
            raise OSError("disk on fire")
        return stack(FAKE[:1], NAMES[:1])

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="disk on fire"):
        engine.summarise(engine.Summariser(reals(), K), [Unread(read, i) for i in range(500)], threads=1, executor=pool)
    assert len(begun) < 500


def test_failures_add_up_in_natural_order() -> None:
    first = stack(FAKE[:0], (), failed=(Failure("b10.png", "empty"),))
    second = stack(FAKE[:2], NAMES[:2], failed=(Failure("b9.png", "truncated"),))
    found = summaries.join([summaries.summarise(reals(), block, k=K) for block in (first, second)])
    assert [failure.name for failure in found.failed] == ["b10.png", "b9.png"]
    assert found.lost.tolist() == [0, 3]
    assert found.nearest.images.max() == 2
    settled = found.settled()
    assert [failure.name for failure in settled.failed] == ["b9.png", "b10.png"]
    assert settled.nearest.images.max() == 1
    assert (found.n_fake, found.n_places) == (2, 4)


def test_there_are_no_more_nearest_images_than_synthetic_ones() -> None:
    found = summaries.merge([summaries.summarise(reals(), stack(FAKE[:2], NAMES[:2]), k=K)])
    assert found.distances.shape == (len(SCALES), len(REAL), 2)
    assert np.isfinite(found.distances).all()


def test_a_summary_does_not_grow_with_the_number_of_synthetic_images() -> None:
    many = [
        summaries.summarise(
            reals(), stack(RNG.integers(0, 256, (64, 16, 20), dtype=np.uint8), map(str, range(i, i + 64))), k=K
        )
        for i in range(0, 512, 64)
    ]
    bound = len(SCALES) * len(REAL) * K
    found = summaries.join(many)
    assert len(found.nearest.names) <= bound
    assert found.nearest.images.nbytes == whole_summary().nearest.images.nbytes
    assert (whole_summary().counts.dtype, found.counts.dtype) == (np.uint8, np.uint16)  # which hold 512
    assert found.counts.shape == whole_summary().counts.shape
    arrays = ("distances", "votes", "copies")
    assert all(getattr(found, name).nbytes == getattr(whole_summary(), name).nbytes for name in arrays)


def test_a_summariser_can_be_pickled() -> None:
    summariser = pickle.loads(pickle.dumps(engine.Summariser(reals(), K)))
    assert_same(summaries.merge([summariser(partial(reader, stack(FAKE, NAMES)))]), whole_summary())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_real_images_that_are_not_kept_packed_leave_the_same_summary(dtype, monkeypatch):
    monkeypatch.setattr(scales_of_images, "_AT_ONCE", (3, 3))
    monkeypatch.setattr(representatives, "_MOST", 7)  # so that others than representatives are whitened too
    real, fake = (images.astype(dtype) for images in (REAL, FAKE))
    kept, anew = (prepare_reals(real, SCALES, patches=True, n_used=5, packed=packed) for packed in (True, False))
    assert anew.scales == kept.scales
    one, other = (summaries.summarise(found, stack(fake, map(str, range(len(fake)))), k=K) for found in (kept, anew))
    assert_same(one, other)
    for name in ("others", "least", "flat", "near", "unused_to_used"):
        np.testing.assert_array_equal(getattr(anew, name), getattr(kept, name))
