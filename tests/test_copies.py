"""Copies: identical and nearly identical images are told by pixels alone, and come first in all that is said."""

import json

import numpy as np
import pytest

import fingerprint
from fingerprint import phantoms

REAL = phantoms.thorax(24, seed=3, size=64)
FAKE = phantoms.generate(REAL[:12], 60, seed=3)[0]


def moved(image, difference, seed=0):
    """Return an image whose pixels differ from those of another by plus or minus so many grey levels."""
    signs = np.random.default_rng(seed).choice([-1, 1], image.shape)
    return (np.clip(image.astype(int), 10, 245) + difference * signs).astype(image.dtype)


def with_copies():
    fake = FAKE.copy()
    fake[[7, 30]] = REAL[[4, 2]]
    fake[11] = REAL[4]
    fake[20] = moved(REAL[9], 2)
    fake[40] = moved(REAL[15], 3)
    return fake


@pytest.fixture(scope="module")
def ranking():
    real = REAL.copy()
    real[[9, 15]] = np.clip(real[[9, 15]], 10, 245)
    return fingerprint.rank(real, with_copies(), groups=[f"p{i // 2}" for i in range(24)])


def test_copies_are_those_within_two_grey_levels(ranking) -> None:
    found = {copy.name: (copy.fake, copy.difference) for copy in ranking.copies}
    assert found == {"2": ("30", 0.0), "4": ("7", 0.0), "9": ("20", 2.0)}
    assert [ranking.names[copy.position] for copy in ranking.copies] == [copy.name for copy in ranking.copies]


def test_copies_come_first_in_what_is_said_and_are_called_used(ranking, tmp_path) -> None:
    said = "2 real images are identical to a synthetic one and 1 more nearly so, at most 2 of 255 grey levels apart"
    decided = ranking.decide()
    assert str(ranking).startswith(said)
    assert decided.verdict.startswith(said)
    assert {one.name for one in decided if one.error == 0} == {"2", "4", "9"}
    assert {one.name for one in decided if one.used} >= {"2", "4", "9"}
    assert [(one.name, one.used, one.error) for one in decided.by_group[:3]] == [
        (p, True, 0) for p in ("p1", "p2", "p4")
    ]
    assert json.loads(decided.to_json())["copies"] == json.loads(ranking.to_json())["copies"]
    assert fingerprint.Ranking.from_json(ranking.to_json()) == ranking
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    ranking.report(tmp_path / "page.html", top=0)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    words = ("2 real images are identical to", "1 real image is nearly identical to", "What the statistics say")
    assert sorted(words, key=page.index) == list(words)


def test_nothing_is_a_copy_where_there_is_none_or_no_content() -> None:
    assert fingerprint.rank(REAL, FAKE).copies == ()
    real, fake = REAL.copy(), FAKE.copy()
    real[:12], fake[0] = 0, 0
    ranking = fingerprint.rank(real, fake)
    assert ranking.copies == ()
    assert not ranking.decide().used.any()


def test_images_as_near_to_each_other_have_no_near_copies_but_identical_ones() -> None:
    real = REAL.copy()
    real[0] = np.clip(real[0], 10, 245)
    real[1] = moved(real[0], 1, seed=1)
    fake = np.concatenate([FAKE, moved(real[:1], 1)])
    assert fingerprint.rank(real, fake).copies == ()
    assert [copy.name for copy in fingerprint.rank(real, real[1:2]).copies] == ["1"]
    # of one patient they are no other images
    found = fingerprint.rank(real, fake, groups=["p", "p", *map(str, range(22))]).copies
    assert {copy.name for copy in found} == {"0", "1"}


def test_a_grey_level_of_deep_images_is_a_255th_of_their_range() -> None:
    real = REAL.astype(np.uint16) * 16
    real[0] = np.clip(real[0], 200, 3000)
    level = (int(real.max()) - int(real.min())) / 255
    for steps, copied in ((1.9, True), (2.1, False)):
        fake = FAKE.astype(np.uint16) * 16
        fake[3] = real[0] + np.random.default_rng(0).choice([-1, 1], real[0].shape) * round(steps * level)
        assert bool(fingerprint.rank(real, fake).copies) == copied


def test_blocks_methods_and_order_do_not_matter(ranking) -> None:
    expected = {(copy.name, copy.fake, copy.difference) for copy in ranking.copies}
    real = REAL.copy()
    real[[9, 15]] = np.clip(real[[9, 15]], 10, 245)
    for method in ("ssim", "gan-leaks", "patches"):
        found = fingerprint.rank(real, with_copies(), method=method, block=7).copies
        assert {(copy.name, copy.fake, copy.difference) for copy in found} == expected


def test_an_audit_needs_no_statistics_for_copies_either() -> None:
    fake = FAKE.copy()
    fake[5], fake[6] = REAL[1], REAL[20]
    audit = fingerprint.audit(REAL[:12], REAL[12:], fake, n_permutations=99)
    assert audit.leaks
    assert audit.verdict.startswith("Leak shown: 1 used image is identical to a synthetic one (first: 1 and 5).")
    assert "1 unused image is identical to a synthetic one (first: 8 and 6)" in audit.verdict
    assert "No leak" not in audit.verdict
    assert [copy.position for copy in (*audit.copies, *audit.unused_copies)] == [1, 8]
    unused = fingerprint.audit(REAL[2:12], REAL[12:], fake, n_permutations=99)
    assert unused.copies == ()
    assert unused.verdict.startswith("1 unused image is identical")


def test_a_collection_against_itself_says_so() -> None:
    said = "Every real image is a synthetic one as well: make sure that both are not the same collection."
    assert said in str(fingerprint.rank(REAL, REAL))
    assert said not in str(fingerprint.rank(REAL, REAL[:5]))
