"""Traces of processing: what they are, that a rule recognises them, and that it is silent where there are none."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import median_filter
from scipy.stats import binom

from fingerprint import phantoms
from fingerprint._statistics.processing import fall_off, followed, parted, traces

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
