"""A stream says at any time what rank says of all its batches together."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms

DEMO = phantoms.demo(n_used=6, n_unused=6, n_fake=150, size=32)
FAKE = DEMO.fake.pixels


@functools.cache
def stream(method="default"):
    return fingerprint.Stream(DEMO.real, method=method)


@functools.cache
def expected(method="default"):
    return fingerprint.rank(DEMO.real, FAKE, method=method)


def same(found, other) -> None:
    assert found.to_csv() == other.to_csv()
    assert found.matches == other.matches
    assert (found.n_fake, found.notes, found.params) == (other.n_fake, other.notes, other.params)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, len(FAKE) - 1), max_size=5, unique=True), st.sampled_from(["default", "gan-leaks"]))
def test_the_cut_changes_no_bit(places, method) -> None:
    stream(method).reset()
    for batch in np.split(FAKE, sorted(places)):
        stream(method).update(batch)
    same(stream(method).ranking(), expected(method))


def test_batches_are_whatever_rank_takes(tmp_path) -> None:
    found = fingerprint.Stream(DEMO.real)
    found.update(FAKE[:4, None] / np.float32(255))
    found.update([Image.fromarray(image) for image in FAKE[4:7]])
    for i, image in enumerate(FAKE[7:9]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"")
    found.update(tmp_path)
    found.update((FAKE[9:], np.zeros(len(FAKE) - 9)))
    ranking = found.ranking()
    assert ranking.scores.tolist() == expected().scores.tolist()
    assert [failure.name for failure in ranking.failed["fake"]] == ["broken.png"]
    assert repr(found) == "<Stream: 12 real images, 150 synthetic ones>"


def test_reference_and_groups_count_as_in_rank() -> None:
    used, unused = DEMO.real.pixels[DEMO.used], DEMO.real.pixels[~DEMO.used]
    options = {"groups": [i // 2 for i in range(12)], "k": 3}
    found = fingerprint.Stream(used, reference=unused, **options)
    found.update(FAKE)
    same(found.ranking(), fingerprint.rank(used, FAKE, reference=unused, **options))


def test_what_is_wrong_is_said_and_loses_nothing() -> None:
    found = fingerprint.Stream(DEMO.real)
    with pytest.raises(InputError, match="stream: expected at least one batch before a ranking, got none"):
        found.ranking()
    found.update(FAKE[:9])
    with pytest.raises(InputError, match="batch: expected"):
        found.update(FAKE[:2, :16])
    with pytest.raises(InputError, match="batch: expected at least one usable image"):
        found.update(iter(()))
    assert len(found) == 9
    with pytest.raises(InputError, match="an iterator cannot be read a second time"):
        found.ranking().evidence(0)
    found.reset()
    assert len(found) == 0
