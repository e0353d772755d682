"""An image without content is no evidence, at any scale and bit depth, and hides none of the others."""

import numpy as np
import pytest

import fingerprint
from fingerprint import phantoms
from fingerprint._distances.metrics import prepare_side
from fingerprint._distances.packed import contrasts
from fingerprint._evidence.reals import prepare_reals
from fingerprint._evidence.scales import pyramid

SIDE, N_FLAT = 64, 8
RNG = np.random.default_rng(8)
REAL = phantoms.thorax(60, seed=1, size=SIDE)
FAKE = phantoms.generate(REAL[:30], 80, seed=1, leak=0)[0]
FAKE[10:16] = REAL[40:46]
DOWN, ACROSS = np.mgrid[:SIDE, :SIDE]
PATTERN = RNG.normal(0, 1, (SIDE, SIDE))  # the same in all images
FLAT = {
    "black": lambda: np.zeros((SIDE, SIDE)),
    "grey": lambda: np.full((SIDE, SIDE), 77),
    "a step": lambda: 77 + (ACROSS > 30),
    "a square": lambda: 77 + ((ACROSS > 30) & (DOWN > 30)),
    "dust": lambda: 77 + (RNG.random((SIDE, SIDE)) < 0.01),
    "noise": lambda: 77 + RNG.normal(0, 0.6, (SIDE, SIDE)),
    "noise of a sensor": lambda: 9 + 1.7 * PATTERN + RNG.normal(0, 0.4, (SIDE, SIDE)),
}


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_contrasts_are_standard_deviations(kind) -> None:
    images = RNG.integers(0, np.iinfo(kind).max, (20, 18, 23), dtype=kind)
    images[3] = 9
    np.testing.assert_allclose(
        contrasts(prepare_side(images, "correlation"), "correlation"), images.std(axis=(1, 2)), rtol=1e-12
    )


@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize("content", FLAT)
def test_flat_images_are_no_evidence_and_hide_none(content, depth) -> None:
    real, fake = REAL.astype(float), FAKE.astype(float)
    for image in (*real[:N_FLAT], *fake[:3]):
        image[:] = FLAT[content]()
    grey = [np.rint(2 ** (depth - 8) * side).astype(np.uint8 if depth == 8 else np.uint16) for side in (real, fake)]
    ranking = fingerprint.rank(*grey)
    scores = np.empty(len(REAL))
    scores[ranking.order] = ranking.scores
    assert scores[:N_FLAT].tolist() == [0] * N_FLAT
    assert np.median(scores[N_FLAT:40]) < 1
    assert scores[40:46].min() > 10
    called = set(ranking.order[ranking.decide(false_discovery_rate=0.3).used])
    assert set(range(40, 46)) <= called <= set(range(N_FLAT, 60))


def test_flat_images_are_whitened_away_from_all_and_change_no_other_distance() -> None:
    scales = pyramid(SIDE, SIDE)
    plain = prepare_reals(REAL, scales)
    more = prepare_reals(np.concatenate([REAL, np.full((3, SIDE, SIDE), 5, np.uint8)]), scales)
    assert more.flat.sum(axis=1).tolist() == [3] * len(scales)
    for with_flat, without in zip(more.distances(FAKE)[0], plain.distances(FAKE)[0], strict=True):
        np.testing.assert_allclose(with_flat[:-3], without, rtol=1e-9)
        assert (with_flat[-3:] == 1).all()
    found, _, flat = plain.distances(np.stack([FAKE[0], np.full_like(FAKE[0], 200)]))
    assert flat.tolist() == [False, True]
    assert all((distances[:, 1] == 1).all() and (distances[:, 0] != 1).all() for distances in found)


def test_nothing_but_flat_images_is_ranked_without_evidence() -> None:
    flat = np.full((12, SIDE, SIDE), 7, np.uint8)
    assert fingerprint.rank(flat, flat[:4]).scores.tolist() == [0] * 12
