"""Notes say what limits a ranking, and nothing where nothing does."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

import fingerprint
from fingerprint import phantoms
from fingerprint._answers.notes import notes, rank_correlation, sharpness

RNG = np.random.default_rng(9)
REAL = phantoms.thorax(60, seed=5, size=64)
FAKE = phantoms.generate(REAL[:30], 120, seed=5, leak=0)[0]


def enlarged(images):
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 32)).resize((64, 64))) for image in images])


def test_an_ordinary_ranking_has_none() -> None:
    ranking = fingerprint.rank(REAL, FAKE)
    assert ranking.notes == ()
    assert "Note" not in str(ranking)


def test_images_that_were_processed_like_the_synthetic_ones_are_recognised() -> None:
    ranking = fingerprint.rank(np.concatenate([enlarged(REAL[:30]), REAL[30:]]), enlarged(FAKE))
    (note,) = ranking.notes
    assert note.startswith("The more blurred a real image is")
    assert f"Note: {note}" in str(ranking)
    assert fingerprint.Ranking.from_json(ranking.to_json()).notes == ranking.notes
    assert fingerprint.rank(enlarged(REAL), enlarged(FAKE)).notes == ()


def test_few_and_flat_images_are_named() -> None:
    real = REAL[:19].copy()
    real[3:5] = 9
    few, flat = fingerprint.rank(real, FAKE).notes
    assert "only 19 real images" in few
    assert "2 are flat" in flat


def test_a_single_patient_is_named() -> None:
    (note,) = fingerprint.rank(REAL[:30], FAKE, groups=["scan"] * 30).notes
    assert note.startswith("All real images are of one patient, 'scan'")
    others = ["scan"] * 30 + ["other"] * 30
    assert fingerprint.rank(REAL[:30], FAKE, population=REAL[30:], groups=others).notes == ()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_sharpness_is_what_halving_takes_away(kind) -> None:
    images = RNG.integers(0, np.iinfo(kind).max, (5, 16, 18), dtype=kind)
    halves = images.reshape(5, 8, 2, 9, 2).mean(axis=(2, 4))
    expected = 1 - halves.var(axis=(1, 2)) / images.var(axis=(1, 2))
    np.testing.assert_allclose(sharpness(images), expected, atol=1e-4)
    assert sharpness(np.full((1, 8, 8), 3, kind)).tolist() == [0]


def test_rank_correlation_is_that_of_spearman() -> None:
    one, other = RNG.integers(0, 9, (2, 50))
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other)[0])
    assert rank_correlation(one, np.ones(50)) == 0
    assert notes(REAL, sharpness(REAL), np.zeros(60, bool))[0].startswith("The more sharp")
