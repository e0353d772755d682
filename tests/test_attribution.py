"""Attribution: from which training set a synthetic image stems."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from leaks import blurred, images
from test_whitening import naive as whitened

import fingerprint
from fingerprint import InputError, phantoms

SETS = {"a": images(30, 1), "b": images(30, 2), "c": images(90, 3)}
FAKE = np.concatenate([blurred(SETS[name], 20, seed, 40) for seed, name in enumerate("abc")])
TRUTH = np.repeat(list("abc"), 20)


def test_every_image_goes_to_its_set() -> None:
    found = fingerprint.attribute(SETS, FAKE)
    assert np.mean([one.training_set == truth for one, truth in zip(found, TRUTH, strict=True)]) > 0.8
    assert found.scores.shape == (60, 3)
    assert found.n_real == (30, 30, 90)


def test_a_larger_set_does_not_win_by_its_size() -> None:
    others = images(200, 9)
    found = fingerprint.attribute(SETS, others)
    share = np.mean([one.training_set == "c" for one in found])
    assert 0.15 < share < 0.5


def test_the_order_of_the_sets_changes_nothing() -> None:
    found = fingerprint.attribute(SETS, FAKE)
    turned = fingerprint.attribute(dict(reversed(SETS.items())), FAKE)
    assert [one.training_set for one in turned] == [one.training_set for one in found]
    np.testing.assert_allclose(turned.scores[:, ::-1], found.scores, rtol=0, atol=1e-12)


def test_scores_are_energies_beyond_chance() -> None:
    found = fingerprint.attribute(SETS, FAKE)
    real = np.concatenate(list(SETS.values()))
    cosines = 1 - whitened(real, range(len(real)), FAKE)
    for j, column in enumerate(cosines.T):
        chance = sum(c * c for c in column if c < 0) / len(column)
        for i, (first, last) in enumerate([(0, 30), (30, 60), (60, 150)]):
            expected = sum(c * c for c in column[first:last] if c > 0) - (last - first) * chance
            assert found.scores[j, i] == pytest.approx(expected, abs=1e-8)


def test_scales_and_windows_weigh_by_how_exactly_they_tell() -> None:
    real, fake = phantoms.thorax(24, seed=1, size=40), phantoms.thorax(5, seed=2, size=40)
    found = fingerprint.attribute({"a": real[:10], "b": real[10:]}, fake)
    windows = [np.s_[:, top : top + 20, left : left + 20] for top in (0, 10, 20) for left in (0, 10, 20)]
    for j in range(5):
        totals, weights = np.zeros(2), 0.0
        for part, share in [(np.s_[:], 1), *((window, 1 / 9) for window in windows)]:
            cosines = 1 - whitened(real[part], range(24), fake[part])[:, j]
            negative = sum(c * c for c in cosines if c < 0)
            weight = share / ((negative + 1 / 24) / 25)
            for i, own in enumerate((cosines[:10], cosines[10:])):
                totals[i] += weight * (sum(c * c for c in own if c > 0) - len(own) * negative / 24)
            weights += weight
        assert found.scores[j] == pytest.approx(totals / weights, abs=1e-8)


def test_a_copy_is_explained_better_than_any_other_image() -> None:
    sets = {"few": phantoms.thorax(10, seed=1, size=64), "many": phantoms.thorax(80, seed=2, size=64)}
    copies = fingerprint.attribute(sets, np.concatenate([sets["few"][:5], sets["many"][:5]]))
    assert [one.training_set for one in copies] == ["few"] * 5 + ["many"] * 5
    others = fingerprint.attribute(sets, phantoms.thorax(30, seed=3, size=64))
    assert copies.scores.max(axis=1).min() > max(0.8, others.scores.max())


def test_the_same_bits_whatever_the_blocks_threads_and_executor() -> None:
    whole = fingerprint.attribute(SETS, FAKE, threads=1)
    with ThreadPoolExecutor(2) as pool:
        for options in ({"block": 1}, {"block": 7, "threads": 3}, {"block": 20, "executor": pool}):
            np.testing.assert_array_equal(fingerprint.attribute(SETS, FAKE, **options).scores, whole.scores)
    stream = fingerprint.attribute(SETS, iter([FAKE[:11], FAKE[11:]]))
    np.testing.assert_array_equal(stream.scores, whole.scores)


def test_identical_real_images_explain_by_their_correlation() -> None:
    one = SETS["a"][:1]
    found = fingerprint.attribute({"a": np.repeat(one, 3, axis=0), "b": one}, one)
    assert found.scores.tolist() == [[3.0, 1.0]]


def test_progress_goes_to_stderr(capsys) -> None:
    fingerprint.attribute(SETS, FAKE[:3], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err


def test_small_margins_are_undecided() -> None:
    found = fingerprint.attribute(SETS, FAKE, least_margin=0.5)
    assert [one.training_set is None for one in found] == (found.margins < 0.5).tolist()
    ordered = np.sort(found.scores, axis=1)
    assert found.margins.tolist() == (ordered[:, 2] - ordered[:, 1]).tolist()
    undecided = sum(one.training_set is None for one in found)
    assert 0 < undecided < 60
    assert f"{undecided:6} of 60 undecided" in str(found)
    assert "undecided" not in str(fingerprint.attribute(SETS, FAKE))


def test_results_can_be_read_and_written(tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    found = fingerprint.attribute({**SETS, "d": [SETS["a"][:30], broken]}, FAKE, least_margin=0.3)
    rows = list(csv.reader(found.to_csv(tmp_path / "a.csv").splitlines()))
    assert rows[0] == ["name", "training_set", "margin", "a", "b", "c", "d"]
    assert [row[1] or None for row in rows[1:]] == [one.training_set for one in found]
    lost = fingerprint.attribute(SETS, [FAKE[:2], broken], block=1)
    assert (len(lost), [failure.name for failure in lost.failed["fake"]]) == (2, [str(broken)])
    content = json.loads(found.to_json(tmp_path / "a.json"))
    assert content["rows"][0]["scores"]["a"] == found.scores[0, 0]
    assert content["failed"]["d"][0]["reason"]
    assert (tmp_path / "a.json").read_text() == found.to_json()
    assert "failed, d: " in str(found)
    assert len(found) == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"training_sets": {"a": SETS["a"]}},
            r"training_sets: expected a mapping from name to images of at least two",
        ),
        ({"training_sets": [SETS["a"], SETS["b"]]}, r"training_sets: expected a mapping"),
        ({"least_margin": -1}, r"least_margin: expected a number of at least 0, got -1"),
        ({"fake": "nowhere"}, r"fake: "),
        ({"fake": iter([])}, r"fake: expected at least one usable image, got none"),
        (
            {"training_sets": {"a": SETS["a"], "b": iter([])}},
            r"training_sets\['b'\]: expected at least one usable image, got none",
        ),
        ({"training_sets": {"a": SETS["a"], "b": SETS["b"][:, :8]}}, r"training_sets: .*16x16.*8x16"),
        ({"training_sets": {"a": SETS["a"], "b": "nowhere"}}, r"training_sets\['b'\]: "),
    ],
)
def test_errors_say_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.attribute(**({"fake": FAKE, "training_sets": SETS} | arguments))
