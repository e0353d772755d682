"""Real images that are not asked about, but show what images of this kind have in common."""

import numpy as np
import pytest
from leaks import LEAKS, UNUSED, USED, blurred, images
from PIL import Image

import fingerprint
from fingerprint import InputError

REAL = np.concatenate([USED[:6], UNUSED[:6]])
MORE = np.concatenate([USED[6:], UNUSED[6:]])


def by_name(ranking: fingerprint.Ranking, count: int) -> np.ndarray:
    scores = dict(zip(ranking.names, ranking.scores, strict=True))
    return np.array([scores[str(i)] for i in range(count)])


@pytest.mark.parametrize("method", ["gan-leaks-calibrated", "authenticity", "patches"])
def test_images_are_scored_as_among_all_and_the_population_is_not_ranked(method) -> None:
    ranking = fingerprint.rank(REAL, LEAKS, population=MORE, method=method)
    every = fingerprint.rank(np.concatenate([REAL, MORE]), LEAKS, method=method)
    assert len(ranking) == len(REAL)
    assert ranking.params["population"] == len(MORE)
    np.testing.assert_array_equal(by_name(ranking, 12), by_name(every, 12))
    for row in ranking:
        assert row.evidence == next(other for other in every if other.name == row.name).evidence


def test_it_stands_after_the_reference() -> None:
    both = fingerprint.rank(REAL, LEAKS, reference=UNUSED[6:], population=USED[6:])
    assert (both.params["reference"], both.params["population"]) == (24, 24)
    assert len(both) == 12
    patients = [f"p{i // 2}" for i in range(60)]
    known = fingerprint.rank(REAL, LEAKS, reference=UNUSED[6:], population=USED[6:], groups=patients)
    assert {row.name: row.group for row in known} == {str(i): patients[i] for i in range(12)}


def test_the_evidence_is_of_the_ranked_image() -> None:
    ranking = fingerprint.rank(REAL, LEAKS, population=MORE, method="nearness")
    for i in (0, -1):
        assert np.array_equal(ranking.evidence(i).real, REAL[int(ranking[i].name)])
        assert np.array_equal(ranking.evidence(i).fake, LEAKS[int(ranking[i].evidence[0].name)])


def test_its_files_that_fail_are_listed(tmp_path) -> None:
    for i, image in enumerate(MORE[:5]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    ranking = fingerprint.rank(REAL, LEAKS, population=tmp_path)
    assert [failure.name for failure in ranking.failed["population"]] == ["broken.png"]
    assert ranking.params["population"] == 5


def test_what_is_among_the_others_already_counts_once() -> None:
    patients = [f"p{i // 2}" for i in range(60)]
    once = fingerprint.rank(REAL, LEAKS, population=MORE, groups=patients)
    twice = np.concatenate([MORE[:1], REAL, MORE, MORE[5:7]])
    named = [*patients[:12], patients[12], *patients[:12], *patients[12:], *patients[17:19]]
    again = fingerprint.rank(REAL, LEAKS, population=twice, groups=named)
    assert again.params["population"] == len(MORE)
    np.testing.assert_array_equal(by_name(again, 12), by_name(once, 12))


@pytest.mark.parametrize(
    ("population", "message"),
    [(7, "population: expected a folder"), (MORE[:, :8], "population: .*16x16.*8x16")],
)
def test_errors_name_it(population, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.rank(REAL, LEAKS, population=population)


def test_a_detector_learns_no_label_of_it_and_decides_on_none() -> None:
    used, unused, fake = images(60, 1), images(60, 2), blurred(images(60, 1), 200, 3)
    unknown = np.concatenate([used[30:], unused[30:]])
    sides = used[:30], unused[:30]
    fitted = fingerprint.fit(*sides, fake[:100], population=unknown)
    assert (fitted.n_used, fitted.n_unused) == (30, 30)
    turned = fingerprint.fit(*sides, fake[:100], population=unknown[::-1])
    assert turned.centres == pytest.approx(fitted.centres)
    assert fingerprint.fit(*sides, fake[:100]).centres != pytest.approx(fitted.centres)
    found = fitted.predict(unknown, fake[100:], population=np.concatenate(sides))
    assert len(found) == 60
    assert ((found.probabilities >= 0.5) == (np.arange(60) < 30)).mean() > 0.7
    grouped = fingerprint.fit(*sides, fake[:100], population=unknown, groups=[str(i // 3) for i in range(120)])
    assert (grouped.n_used, grouped.n_unused) == (30, 30)


def test_a_few_images_alone_come_with_a_caution(caplog) -> None:
    used, unused, fake = images(30, 1), images(30, 2), blurred(images(30, 1), 100, 3)
    fitted = fingerprint.fit(used[:20], unused[:20], fake, population=used[20:])
    assert fitted.n_population == 10
    few = np.concatenate([used[-5:], unused[-5:]])
    alone = fitted.predict(few, fake)
    assert "10 real images, population included, are few beside the 50 of the fit" in alone.caution
    assert [(record.name, record.message) for record in caplog.records] == [("fingerprint", alone.caution)]
    assert f"Caution: {alone.caution}" in str(alone)
    helped = fitted.predict(few, fake, population=[used[:20], unused[:20]])
    assert (helped.caution, len(caplog.records)) == ("", 1)
    assert "Caution" not in str(helped)
