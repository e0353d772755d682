"""Notes say what limits a ranking, and nothing where nothing does."""

import numpy as np
from PIL import Image

import fingerprint
from fingerprint import phantoms

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
    assert note.startswith("Scores follow the processing: 3")
    assert "of 60 real images have less fine detail than the others" in note
    assert "fall into parts that lie far apart (30 and 30 images), so each is scored among those of its part" in note
    assert f"Note: {note}" in str(ranking)
    assert fingerprint.Ranking.from_json(ranking.to_json()).notes == ranking.notes
    assert fingerprint.rank(enlarged(REAL), enlarged(FAKE)).notes == ()


def test_a_reference_that_was_processed_otherwise_is_recognised() -> None:
    found = fingerprint.rank(REAL[:30], FAKE, reference=enlarged(REAL[30:])).notes
    assert any(note.startswith("The images of real and reference were processed differently: the ") for note in found)
    assert fingerprint.rank(REAL[:30], FAKE, reference=REAL[30:]).notes == ()


def test_an_audit_of_sides_that_were_processed_differently_says_so() -> None:
    other = enlarged(phantoms.generate(REAL[:30], 120, seed=6, leak=0)[0])
    found = fingerprint.audit(enlarged(REAL[:30]), REAL[30:], enlarged(FAKE), control=other, n_permutations=99)
    assert max(found.auc.value, found.control.value) < 0.75  # both scored among images that were processed alike
    sides, scores = found.notes
    assert sides.startswith(
        "The images of used and unused were processed differently: the former have less fine detail"
    )
    assert scores.startswith("Scores follow the processing")
    assert f"Note: {sides}\nNote: {scores}" in str(found)
    assert fingerprint.audit(REAL[:30], REAL[30:], FAKE, n_permutations=99).notes == ()


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
