"""Traces of processing: what they are, that a rule recognises them, and that it is silent where there are none."""

import io
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import median_filter
from scipy.stats import binom

from fingerprint import phantoms
from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._images.slices import Slices
from fingerprint._statistics.methods import METHODS, score
from fingerprint._statistics.processing import alike, fall_off, followed, parted, traces

IMAGES = phantoms.thorax(80, seed=8, size=64)


def jpeg(image, quality=75):
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


def enlarged(image):
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((width * 2 // 3, height * 2 // 3)).resize((width, height)))


PROCESSED = {
    "enlarged": enlarged,
    "jpeg": jpeg,
    "blurred": lambda image: np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(0.6))),
    "denoised": lambda image: median_filter(image, 3),
    "window": lambda image: np.clip((image.astype(float) - 32) * 1.4, 0, 255).astype(np.uint8),
}


def test_the_fall_off_is_that_of_the_mean_power_of_bands() -> None:
    images = np.random.default_rng(1).integers(0, 65536, (3, 20, 27), dtype=np.uint16)
    taper = np.outer(np.hanning(22)[1:-1], np.hanning(29)[1:-1])
    edges = [1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 1]
    for image, found in zip(images, fall_off(images), strict=True):
        power = np.abs(np.fft.rfft2((image - image.mean()) * taper)) ** 2
        sums, counts = [0.0] * 5, [0] * 5
        for row, line in enumerate(power):
            for column, value in enumerate(line):
                frequency = np.hypot(min(row, 20 - row) / 20, column / 27)
                for band, (low, high) in enumerate(pairwise(edges)):
                    if low <= frequency < high:
                        sums[band] += value
                        counts[band] += 1
        means = np.log2(np.array(sums) / counts + (taper**2).sum() / 12)
        np.testing.assert_allclose(found, np.diff(means), atol=1e-3)


def test_the_fall_off_of_nothing_is_even_and_brightness_does_not_change_it() -> None:
    assert (fall_off(np.full((1, 16, 16), 9, np.uint8)) == 0).all()
    dark = IMAGES[:5] // 2
    np.testing.assert_allclose(fall_off(dark + np.uint8(90)), fall_off(dark), atol=1e-4)


def test_the_other_traces_are_edges_of_blocks_gaps_and_ends() -> None:
    image = np.repeat(np.arange(24, dtype=np.uint8) // 8 * 10, 24).reshape(24, 24)
    grid, levels, ends = traces(image[None])[0, 4:]
    assert grid == pytest.approx(np.log2(241) / 2)  # all differences at the lines of one direction
    assert levels == pytest.approx(3 / 21)
    assert ends == pytest.approx(2 / 3)


@pytest.mark.parametrize("kind", PROCESSED)
def test_a_whole_side_that_was_processed_is_told_from_the_other(kind) -> None:
    half = np.stack([*map(PROCESSED[kind], IMAGES[:40]), *IMAGES[40:]])
    told = parted(half, 40)
    assert told.auc > 0.9
    assert (told.n_first, told.n_total) == (40, 80)
    assert (told.trace == "less fine detail") == (kind in ("enlarged", "blurred")) or kind in ("denoised", "jpeg")
    assert parted(half, 40, groups=[f"p{i // 2}" for i in range(80)]).n_total == 40


def test_sides_of_one_source_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(2)
    found = sum(parted(IMAGES[rng.permutation(80)], 40) is not None for _ in range(40))
    assert found <= binom.ppf(0.999, 40, 0.01)


@pytest.mark.parametrize("count", [12, 40])
@pytest.mark.parametrize("kind", ["enlarged", "blurred", "denoised"])
def test_scores_that_follow_the_processing_of_some_images_are_recognised(kind, count) -> None:
    rng = np.random.default_rng(3)
    mixed = IMAGES.copy()
    mixed[:count] = [PROCESSED[kind](image) for image in mixed[:count]]
    scores = rng.normal(size=80) + 4 * (np.arange(80) < count)
    told = followed(mixed, scores)
    assert told.trace == "less fine detail"
    assert told.auc > 0.85
    assert abs(told.n_first - count) <= 10
    assert followed(mixed, -scores).trace == "more fine detail"
    assert followed(mixed, scores, fake=mixed[:count]) == told
    assert followed(mixed, scores, fake=mixed[count:]) is None  # those with high scores are unlike the synthetic ones
    assert followed(mixed, -scores, fake=mixed[count:]).trace == "more fine detail"
    assert followed(mixed, rng.permutation(scores)) is None
    assert followed(mixed, scores, shown=np.arange(80) >= count) is None


def test_scores_that_do_not_follow_it_are_rarely_said_to() -> None:
    rng = np.random.default_rng(4)
    found = sum(followed(IMAGES[:40], rng.normal(size=40)) is not None for _ in range(60))
    assert found <= binom.ppf(0.999, 60, 0.01)


def test_a_patient_counts_once() -> None:
    rng = np.random.default_rng(5)
    mixed = IMAGES.copy()
    mixed[:40] = [enlarged(image) for image in mixed[:40]]
    scores = rng.normal(size=80) + 4 * (np.arange(80) < 40)
    assert followed(mixed, scores, groups=[f"p{i // 2}" for i in range(80)]).n_total == 40
    assert followed(mixed, scores, groups=[f"p{i // 10}" for i in range(80)]) is None  # 8 patients show no rule


def test_images_that_are_too_small_or_too_few_are_not_judged() -> None:
    scores = np.arange(80.0)
    assert followed(IMAGES[:, :12, :12], scores) is None
    assert followed(IMAGES[:19], scores[:19]) is None
    assert parted(IMAGES[:, :12, :12], 40) is None
    assert parted(IMAGES, 4) is parted(IMAGES, 80) is None


def test_images_processed_in_ways_far_apart_are_told() -> None:
    rng = np.random.default_rng(6)
    halved, third = (lambda image, side=side: _once(image, side) for side in (32, 16))
    mixed = np.stack([*map(halved, IMAGES[:25]), *IMAGES[25:55], *map(third, IMAGES[55:])])
    way = np.repeat([0, 1, 2], [25, 30, 25])
    order = rng.permutation(80)
    scores = rng.normal(size=80) + 4 * np.array([1, 0, 2])[way]
    found = alike(mixed[order], scores[order])
    assert len(np.unique(found)) == 3
    for each in range(3):
        assert len(set(found[way[order] == each])) == 1
    assert alike(mixed, rng.normal(size=80)) is None  # scores do not follow it
    assert alike(IMAGES, scores) is None  # nothing lies apart
    assert alike(mixed[6:30], scores[6:30]) is None  # 19 of one kind
    assert alike(np.repeat(IMAGES[:1], 80, axis=0), scores) is None
    assert alike(mixed[:, :12, :12], scores) is None


def test_hidden_images_and_slices_of_a_patient_are_counted_once_when_ways_are_told() -> None:
    mixed = np.stack([*(_once(image, 32) for image in IMAGES[:40]), *IMAGES[40:]])
    scores = np.repeat([4.0, 0.0], 40)
    assert alike(mixed, scores, groups=[f"p{i // 2}" for i in range(80)]).tolist() == [1] * 40 + [0] * 40
    assert alike(mixed, scores, groups=[f"p{i // 4}" for i in range(80)]) is None
    shown = np.arange(80) % 10 != 3
    found = alike(mixed, scores, shown=shown)
    assert found.tolist() == [int(i < 40 and shown[i]) for i in range(80)]


def _blurred(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)))


def _once(image, side):
    """Return an image that was `side` pixels across once."""
    small = Image.fromarray(image).resize((side, side))
    return np.asarray(small.resize(image.shape[::-1]))


@pytest.mark.parametrize("share", [30, 50])
@pytest.mark.parametrize("kind", ["enlarged", "blurred"])
def test_images_processed_like_the_synthetic_ones_do_not_lead(kind, share) -> None:
    """Half of the images, or fewer, look like the synthetic ones; nothing leaks."""
    process = {"enlarged": partial(_once, side=32), "blurred": _blurred}[kind]
    for seed in range(2):
        real = phantoms.thorax(100, seed=seed, size=64)
        fake = np.stack([*map(process, phantoms.generate(real[:50], 200, seed=seed, leak=0)[0])])
        like = np.isin(np.arange(100), np.random.default_rng(seed).permutation(100)[:share])
        real[like] = [process(image) for image in real[like]]
        side = RealSide.of(Slices(real, tuple(map(str, range(100)))), ReadingOptions(), method="default")
        seen = side.compare(fake, k=2)
        found, plain = seen.scored(METHODS["default"]), score(seen.kinds(METHODS["default"]))[0]
        lead = [(each[like][:, None] > each[~like]).mean() for each in (plain, found.scores)]
        assert lead[0] > 0.9
        assert lead[1] < 0.75
