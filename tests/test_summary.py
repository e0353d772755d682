"""The summary of a stream equals what full matrices of distances say, however the stream is cut."""

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from comparers import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprint._base import population
from fingerprint._base.histogram import edges as bin_edges
from fingerprint._evidence import engine, scales
from fingerprint._evidence import summary as summaries
from fingerprint._evidence.scales import View
from fingerprint._evidence.whitening import Whitening
from fingerprint._images.loading import Failure, Slices

RNG = np.random.default_rng(3)
REAL = RNG.integers(0, 256, (9, 16, 20), dtype=np.uint8)
# the last ones repeat earlier ones, so that distances tie
FAKE = np.concatenate([RNG.integers(0, 256, (30, 16, 20), dtype=np.uint8), REAL[:3]])[[*range(33), 4, 30, 7]]
NAMES = tuple(f"fake_{i}.png" for i in RNG.permutation(len(FAKE)))
VIEWS = (View(1, "correlation", whitened=True), View(4, "euclidean"))
REALS = summaries.prepare(REAL, VIEWS, patches=True)
K = 4


def stack(pixels, names, **more) -> Slices:
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return Slices(pixels, tuple(names), **more)


def cut(order, *places) -> list[Slices]:
    parts = np.split(np.asarray(order), sorted(places))
    return [stack(FAKE[part], (NAMES[i] for i in part)) for part in parts]


def whole() -> summaries.Summary:
    return summaries.merge([summaries.summarise(REALS, stack(FAKE, NAMES), k=K)])


WHOLE = whole()


def reader(block: Slices) -> Slices:
    return block


def number(name: str) -> int:
    return int(name.removeprefix("fake_").removesuffix(".png"))


@pytest.mark.parametrize("v", range(len(VIEWS)))
def test_a_summary_says_what_the_full_matrix_says(v) -> None:
    view = VIEWS[v]
    matrix = scales.compare(REALS.prepared, scales.prepare(FAKE, VIEWS))[view]
    if view.whitened:
        matrix = REALS.whitenings[v].distances(matrix)
    for i, row in enumerate(matrix):
        expected = sorted((distance, number(name), name) for distance, name in zip(row, NAMES, strict=True))[:K]
        assert WHOLE.distances[v, i].tolist() == [distance for distance, _, _ in expected]
        assert [WHOLE.fakes[j] for j in WHOLE.indices[v, i]] == [name for _, _, name in expected]
        counts = np.bincount(np.searchsorted(bin_edges(), row, side="right"), minlength=len(bin_edges()))
        assert WHOLE.counts[v, i].tolist() == counts.tolist()
        voters = [j for j in range(len(FAKE)) if matrix[:, j].argmin() == i]
        assert WHOLE.votes[v, i] == len(voters)
        assert WHOLE.copies[v, i] == sum(matrix[i, j] < REALS.others[v, i, 0] for j in voters)


def test_prepare_compares_real_images_with_strangers() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    for grouped in (None, groups):
        found = summaries.prepare(REAL, VIEWS, groups=grouped)
        own = np.arange(9) if grouped is None else grouped
        assert found.grouped == (grouped is not None)
        for v, view in enumerate(VIEWS):
            matrix = scales.compare(found.prepared, found.prepared)[view]
            assert (found.whitenings[v] is not None) == view.whitened
            if view.whitened:
                matrix = Whitening.of(matrix, np.arange(9)).distances(matrix)
            strangers = [sorted(matrix[i, own != own[i]]) for i in range(9)]
            for i in range(9):
                assert found.others[v, i][: len(strangers[i])].tolist() == strangers[i]
                assert np.isinf(found.others[v, i][len(strangers[i]) :]).all()


def test_of_many_real_images_some_stand_for_all(monkeypatch) -> None:
    monkeypatch.setattr(population, "_MOST", 4)
    found = summaries.prepare(REAL, VIEWS, patches=True)
    members = population.population(len(REAL))
    for v, view in enumerate(VIEWS):
        matrix = scales.compare(found.prepared, found.prepared)[view]
        if view.whitened:
            matrix = Whitening.of(matrix[:, members], members).distances(matrix)
        assert found.others[v].tolist() == [sorted(np.delete(matrix[i], i)) for i in range(9)]
    copied = summaries.summarise(found, stack(REAL[3:4], ("copy.png",)), k=1)
    assert (copied.distances[:, 3] == 0).all()
    assert copied.patches.scores.argmax() == 3


def test_prepare_of_one_image_and_of_one_group() -> None:
    alone = summaries.prepare(REAL[:1], VIEWS)
    assert alone.others.shape == (2, 1, 0)
    assert alone.whitenings == (None, None)
    family = summaries.prepare(REAL[:3], VIEWS, groups=np.zeros(3, dtype=int))
    assert np.isinf(family.others).all()
    assert (family.grouped, alone.grouped) == (True, False)
    for reals in (alone, family):
        found = summaries.merge([summaries.summarise(reals, stack(FAKE, NAMES), k=K)])
        assert np.isfinite(found.distances).all()


@settings(max_examples=40)
@given(st.permutations(range(len(FAKE))), st.lists(st.integers(0, len(FAKE)), max_size=6), st.randoms())
def test_cutting_and_order_change_no_bit(order, places, random) -> None:
    parts = [summaries.summarise(REALS, block, k=K) for block in cut(order, *places)]
    random.shuffle(parts)
    assert_same(summaries.merge(parts), WHOLE)
    middle = len(parts) // 2
    halves = [summaries.merge(half) for half in (parts[:middle], parts[middle:]) if half]
    assert_same(summaries.merge(halves), WHOLE)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_threads_and_blocks_change_no_bit(threads, size) -> None:
    tasks = [partial(reader, block) for block in cut(range(len(FAKE)), *range(size, len(FAKE), size))]
    seen = []
    found = engine.summarise(engine.Worker(REALS, K), tasks, threads=threads, advance=seen.append)
    assert_same(found, WHOLE)
    assert sum(seen) == len(FAKE)


@pytest.mark.parametrize(
    "executor",
    [partial(ThreadPoolExecutor, 3), partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))],
    ids=["threads", "processes"],
)
def test_an_executor_changes_no_bit(executor) -> None:
    tasks = [partial(reader, block) for block in cut(range(len(FAKE)), *range(2, len(FAKE), 2))]
    with executor() as pool:
        assert_same(engine.summarise(engine.Worker(REALS, K), tasks, threads=1, executor=pool), WHOLE)


def test_an_executor_gets_a_bounded_number_of_shards(monkeypatch) -> None:
    monkeypatch.setattr(engine, "_SHARDS_IN_FLIGHT", 2)
    monkeypatch.setattr(engine, "_SHARD", 1)
    tasks = [partial(reader, block) for block in cut(range(len(FAKE)), *range(5, len(FAKE), 5))]
    with ThreadPoolExecutor(1) as pool:
        assert_same(engine.summarise(engine.Worker(REALS, K), tasks, threads=1, executor=pool), WHOLE)


def test_a_failing_read_reaches_the_caller_and_cancels_the_rest() -> None:
    begun = []

    def read(i: int) -> Slices:
        begun.append(i)
        if i == 0:
            raise OSError("disk on fire")
        return stack(FAKE[:1], NAMES[:1])

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="disk on fire"):
        engine.summarise(engine.Worker(REALS, K), [partial(read, i) for i in range(500)], threads=1, executor=pool)
    assert len(begun) < 500


def test_failures_and_ignored_files_add_up_in_natural_order() -> None:
    first = stack(FAKE[:0], (), failed=(Failure("b10.png", "empty"),), ignored=2)
    second = stack(FAKE[:2], NAMES[:2], failed=(Failure("b9.png", "truncated"),), ignored=1)
    found = summaries.merge([summaries.summarise(REALS, block, k=K) for block in (first, second)])
    assert [failure.name for failure in found.failed] == ["b9.png", "b10.png"]
    assert (found.n_fake, found.ignored) == (2, 3)


def test_fewer_synthetic_images_than_k_leave_infinite_distances() -> None:
    found = summaries.merge([summaries.summarise(REALS, stack(FAKE[:2], NAMES[:2]), k=K)])
    assert np.isfinite(found.distances[..., :2]).all()
    assert np.isinf(found.distances[..., 2:]).all()
    assert (found.indices[..., 2:] == -1).all()
    assert found.k == K


def test_a_summary_does_not_grow_with_the_number_of_synthetic_images() -> None:
    many = [
        summaries.summarise(
            REALS, stack(RNG.integers(0, 256, (64, 16, 20), dtype=np.uint8), map(str, range(i, i + 64))), k=K
        )
        for i in range(0, 512, 64)
    ]
    bound = len(VIEWS) * len(REAL) * K
    assert len(summaries.merge(many).fakes) <= bound
    arrays = ("distances", "indices", "counts", "votes", "copies")
    assert all(getattr(summaries.merge(many), name).nbytes == getattr(WHOLE, name).nbytes for name in arrays)


def test_a_worker_can_be_pickled() -> None:
    worker = pickle.loads(pickle.dumps(engine.Worker(REALS, K)))
    assert_same(summaries.merge([worker(partial(reader, stack(FAKE, NAMES)))]), WHOLE)


@given(st.integers(1, 9), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_smallest_are_those_of_a_stable_sort(columns, levels, random) -> None:
    matrix = np.array([[float(random.randrange(levels)) for _ in range(columns)] for _ in range(5)])
    for k in range(1, columns + 1):
        expected = np.argsort(matrix, axis=1, kind="stable")[:, :k]
        assert summaries._smallest(matrix, k).tolist() == expected.tolist()
