"""A mask restricts all evidence to what lies inside, alike on both sides."""

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._cli.main import main
from fingerprint._images.masks import Mask, body

REAL = phantoms.thorax(24, seed=3, size=64)
FAKE = phantoms.generate(REAL[:12], 40, seed=3, leak=0.3)[0]
INSIDE = np.zeros((64, 64), np.uint8)
INSIDE[8:56, 6:60] = 7


def with_noise_outside(images, seed):
    noise = np.random.default_rng(seed).integers(0, 256, images.shape, dtype=np.uint8)
    return np.where(INSIDE > 0, images, noise)


@pytest.mark.parametrize("shape", [(64, 64), (150, 131)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_body_is_the_hull_of_the_largest_bright_part(shape, kind) -> None:
    rows, columns = np.indices(shape)
    distance = np.hypot((rows - shape[0] / 2) / shape[0], (columns - shape[1] / 2) / shape[1])
    top = np.iinfo(kind).max
    image = np.where(distance < 0.35, top // 5 * 4, top // 20).astype(kind)
    image[distance < 0.15] = 0  # a lung
    image[-6:-5] = top  # a table
    image[:8, :8] = top  # a mark
    found = body(image)
    assert found.dtype == bool
    assert (found & (distance < 0.35)).sum() / (found | (distance < 0.35)).sum() > 0.93
    assert not found[-6:].any()
    assert not found[:8, :8].any()


def test_where_nothing_is_bright_there_is_no_body() -> None:
    assert not body(np.zeros((64, 64), np.uint8)).any()
    thin = np.zeros((64, 64), np.uint8)
    thin[::4] = 255
    assert not body(thin).any()


def test_a_body_that_reaches_the_lower_right_corner_reaches_it_between_cells() -> None:
    assert body(np.pad(np.full((140, 140), 200, np.uint8), ((9, 0), (9, 0))))[-1, -1]


ASKED = {
    "rank": lambda real, fake, mask: fingerprint.rank(real[:12], fake, reference=real[12:], mask=mask),
    "audit": lambda real, fake, mask: fingerprint.audit(real[:12], real[12:], fake, mask=mask, n_permutations=99),
    "compare": lambda real, fake, mask: fingerprint.compare(
        real[:12], fake, fake[:30], unused=real[12:], mask=mask, n_bootstrap=100
    ),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_what_lies_outside_has_no_effect(ask) -> None:
    noisy = with_noise_outside(REAL, 1), with_noise_outside(FAKE, 2)
    assert ask(*noisy, INSIDE) == ask(REAL, FAKE, INSIDE) == ask(REAL * (INSIDE > 0), FAKE * (INSIDE > 0), None)
    assert ask(*noisy, None) != ask(REAL, FAKE, None)


def test_a_detector_is_fitted_and_decides_within_a_mask() -> None:
    noisy, noise = with_noise_outside(REAL, 1), with_noise_outside(FAKE, 2)
    fitted = fingerprint.fit(noisy[:12], noisy[12:], noise, mask=INSIDE)
    masked, fake = REAL * (INSIDE > 0), FAKE * (INSIDE > 0)
    assert fitted == fingerprint.fit(masked[:12], masked[12:], fake)
    assert fitted.predict(noisy, noise, mask=INSIDE) == fitted.predict(masked, fake)


def test_the_body_is_that_of_each_image() -> None:
    alone = [np.stack([np.where(body(image), image, 0) for image in images]) for images in (REAL, FAKE)]
    found = fingerprint.rank(REAL, FAKE, mask="body")
    assert found == fingerprint.rank(*alone)
    assert found.provenance.settings["mask"] == "body"


def test_a_mask_may_be_a_file_and_evidence_shows_what_was_compared(tmp_path) -> None:
    Image.fromarray(INSIDE).save(tmp_path / "mask.png")
    for name, images in {"real": REAL, "fake": FAKE}.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    found = fingerprint.rank(tmp_path / "real", tmp_path / "fake", mask=tmp_path / "mask.png")
    assert found.scores.tolist() == fingerprint.rank(REAL, FAKE, mask=INSIDE).scores.tolist()
    again = fingerprint.Ranking.from_json(found.to_json())
    for one in (found.evidence(0), again.evidence(0)):
        assert not one.real[INSIDE == 0].any()
        assert not one.fake[INSIDE == 0].any()
    assert again.evidence(0) == found.evidence(0)
    paths = [str(tmp_path / name) for name in ("real", "fake", "mask.png", "ranking.csv")]
    assert main(["rank", *paths[:2], "--mask", paths[2], "--out", paths[3], "--quiet"]) == 0
    assert (tmp_path / "ranking.csv").read_text() == found.to_csv()


def test_a_label_outside_is_no_evidence() -> None:
    bare, without = phantoms.thorax(60, seed=5, size=64), FAKE.copy()
    bare[:4, :5, :12] = without[:, :5, :12] = 0
    without = without[[not body(image)[:5, :12].any() for image in without]]
    real, fake = bare.copy(), without.copy()
    real[:4, :5, :12] = fake[:, :5, :12] = np.random.default_rng(4).integers(0, 2, (5, 12)) * 255
    assert fingerprint.rank(real, fake, mask="body") == fingerprint.rank(bare, without, mask="body")
    assert fingerprint.rank(real, fake) != fingerprint.rank(bare, without)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((64, 64)), "mask: expected .* array that is not 0 all over, got ndarray of shape"),
        (np.ones((2, 64, 64)), "mask: expected"),
        (3, "mask: expected"),
        (np.array([["a"]]), "mask: expected"),
        (
            "no/such.png",
            "mask: expected at least one usable image, got none; 1 failed, first no/such.png: No such file",
        ),
        (np.ones((32, 64)), "mask: expected the size of the images, 64x64 as 0, got 32x64; resample one of both"),
    ],
)
def test_what_is_no_mask_is_refused(mask, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.rank(REAL, FAKE, mask=mask)


def test_a_checkpoint_of_another_mask_is_another(tmp_path) -> None:
    fingerprint.rank(REAL, FAKE, mask=INSIDE, checkpoint=tmp_path / "seen")
    assert fingerprint.rank(REAL, FAKE, mask=INSIDE > 0, checkpoint=tmp_path / "seen").n_fake == 40
    with pytest.raises(InputError):
        fingerprint.rank(REAL, FAKE, mask="body", checkpoint=tmp_path / "seen")
    assert Mask.of(INSIDE).in_words() != Mask.of(INSIDE.T).in_words()
