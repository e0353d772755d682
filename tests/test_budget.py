"""Budgets: how work is planned within so many bytes, and that a process takes no more."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fingerprint
from fingerprint import InputError
from fingerprint._base import bounds, limits
from fingerprint._evidence import budget
from fingerprint._evidence.scales import pyramid

MB, GB = 10**6, 10**9


def plan(count, side, *, memory=None, block=128, threads=2, dtype=np.uint8):
    pixels = np.broadcast_to(np.zeros(1, dtype), (count, side, side))
    scales = pyramid(side, side)
    return budget.plan(pixels, scales, patches=True, k=5, block=block, threads=threads, memory=memory)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MB", 512 * MB), ("2 GiB", 2**31), ("1.5gb", 1500 * MB), ("64MiB", 2**26), (10**9, 10**9), (None, None)],
)
def test_a_budget_is_bytes_or_a_text(text, size):
    assert bounds.in_bytes(text) == size


@pytest.mark.parametrize("wrong", ["512", "MB", "-1MB", "1TB2", 1.5, True, ["1GB"]])
def test_what_is_no_budget_is_refused(wrong):
    with pytest.raises(InputError, match=r"^memory: expected bytes, or text such as '512MB' or '2GiB', got "):
        bounds.in_bytes(wrong)


def test_an_integer_below_one_is_refused():
    with pytest.raises(InputError, match=r"^memory: expected an integer of at least 1, got 0$"):
        bounds.in_bytes(0)


def test_with_much_memory_everything_is_kept_and_blocks_are_as_asked():
    found = plan(100, 64, memory=100 * GB)
    assert (found.packed, found.block, found.threads) == (True, 128, 2)
    assert plan(100, 64, memory=100 * GB, block=7).block == 7


def test_blocks_of_large_images_shrink_by_themselves(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: None)  # as where the system does not tell
    assert [plan(4, side).block for side in (256, 1024, 2048)] == [128, 64, 16]


def test_with_less_memory_blocks_shrink_then_images_are_packed_anew_then_threads_are_fewer():
    ways = [plan(3000, 256, memory=memory) for memory in (100 * GB, *range(4 * GB, enough(3000, 256), -10 * MB))]
    seen = list(dict.fromkeys((way.threads, way.packed, way.block) for way in ways))
    assert seen[0] == (2, True, 128)
    assert seen == sorted(seen, reverse=True)
    assert {way[:2] for way in seen} >= {(2, True), (2, False), (1, False)}


def enough(count, side):
    """Return the budget that the refusal of a smaller one says."""
    with pytest.raises(InputError) as refused:
        plan(count, side, memory=10 * MB)
    text = str(refused.value)
    assert text.startswith("memory: expected at least ")
    assert text.endswith(
        f"MB for {count} real images of {side}x{side}, got 10 MB; allow more, or give fewer real images"
    )
    assert "\n" not in text
    return int(text.split()[4]) * MB


@pytest.mark.parametrize(("count", "side"), [(5, 64), (300, 512), (3000, 256), (10_000, 256)])
def test_the_budget_that_a_refusal_says_would_do(count, side):
    least = enough(count, side)
    assert plan(count, side, memory=least).peak <= least
    with pytest.raises(InputError):
        plan(count, side, memory=least - 2 * MB)


def test_without_a_budget_half_of_what_is_there_is_aimed_at_and_nothing_refused(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 100 * GB)
    assert plan(3000, 256).packed
    monkeypatch.setattr(limits, "available_memory", lambda: 10 * MB)
    found = plan(3000, 256)
    assert (found.packed, found.block, found.threads) == (False, 1, 1)


def test_results_do_not_depend_on_the_budget():
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 256, (20, 32, 32), np.uint8), rng.integers(0, 256, (50, 32, 32), np.uint8)
    least = plan(20, 32, memory=GB, block=1, threads=1).peak
    one, other = (fingerprint.rank(real, fake, memory=memory) for memory in (GB, least + 5 * MB))
    assert one == other
    with pytest.raises(InputError, match=r"^memory: expected at least "):
        fingerprint.rank(real, fake, memory="10MB")


@pytest.mark.parametrize(("search", "more"), [("nearest", {"k": 3, "metric": "ssim"}), ("nearest_patches", {})])
def test_searches_keep_to_a_budget_and_say_which_would_do(search, more, monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 256, (20, 32, 32), np.uint8), rng.integers(0, 256, (50, 32, 32), np.uint8)
    find = partial(getattr(fingerprint, search), real, fake, **more)
    with pytest.raises(InputError) as refused:
        find(memory="10MB")
    text = str(refused.value)
    assert text.startswith("memory: expected at least ")
    assert text.endswith("MB for 20 real images of 32x32, got 10 MB; allow more, or give fewer real images")
    ways = []
    fitting = bounds.fitting
    monkeypatch.setattr(bounds, "fitting", lambda *about: ways.append(fitting(*about)) or ways[-1])
    assert find(memory=int(text.split()[4]) * MB, threads=2) == find(memory="9GB", threads=2)
    assert ways[0].peak < ways[1].peak
    assert (ways[1].block, ways[1].threads) == (128 if search == "nearest" else 32, 2)
    with pytest.raises(InputError, match=r"^memory: expected bytes, or text such as"):
        find(memory="much")


def peak_of(**asked):
    """Search noise in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("peak.py")), json.dumps(asked)]
    root = str(Path(__file__).parents[1])
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert found.returncode == 0, found.stderr[-1000:]
    return json.loads(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what was taken")
@pytest.mark.parametrize(
    ("question", "real", "side", "dtype", "fake", "memory", "more"),
    [
        ("rank", 300, 256, "u1", 200, "420MB", {}),
        ("rank", 1300, 64, "u1", 300, "700MB", {}),
        ("rank", 6, 2048, "u2", 20, "1050MB", {}),
        ("nearest", 20_000, 16, "u1", 200, "360MB", {"metric": "tiles"}),
        ("nearest", 50, 512, "u2", 100, "390MB", {"metric": "ssim"}),
        ("nearest", 1500, 32, "u1", 600, "335MB", {"k": 500}),
        ("nearest_patches", 20, 512, "u1", 16, "375MB", {}),
        ("nearest_patches", 20, 512, "u1", 16, "380MB", {"measure": "ncc", "mirror": True}),
    ],
)
def test_a_process_keeps_to_its_budget_and_finds_the_same(question, real, side, dtype, fake, memory, more):
    asked = {"question": question, "real": real, "shape": (side, side), "dtype": dtype, "fake": fake}
    bound = peak_of(**asked, options={"memory": memory, "threads": 2, **more})
    free = peak_of(**asked, options={"threads": 2, **more})
    assert bound["peak"] <= bounds.in_bytes(memory)
    assert bound["found"] == free["found"]
