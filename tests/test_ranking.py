"""The main job: order, evidence, p-values, groups, files that fail, and every error message."""

import csv
import functools
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._images.loading import Slices
from fingerprint._statistics import attacks, default, methods, p_values

RNG = np.random.default_rng(8)


def patients(n: int, *, size: int = 16, seed: int = 0) -> np.ndarray:
    """Draw smooth random images."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, size // 4, size // 4))
    return np.kron(coarse, np.ones((1, 4, 4))).round().astype(np.uint8)


REAL = patients(24, seed=1)
FAKE = np.concatenate([patients(60, seed=2), (REAL[[3, 7, 11]] * 0.9 + 10).astype(np.uint8)])
COPIED = {"3", "7", "11"}


def write(folder: Path, images: np.ndarray, prefix: str = "img") -> Path:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{prefix}_{i}.png")
    return folder


def test_copied_images_come_first_with_their_copies_as_evidence() -> None:
    ranking = fingerprint.rank(REAL, FAKE)
    assert {row.name for row in ranking} == {str(i) for i in range(24)}
    assert {ranking[i].name for i in range(3)} == COPIED
    assert (np.diff(ranking.scores) <= 0).all()
    for i in range(3):
        assert int(ranking[i].evidence[0].name) - 60 == sorted(map(int, COPIED)).index(int(ranking[i].name))
    distances = [match.distance for match in ranking[0].evidence]
    assert len(distances) == 5
    assert distances == sorted(distances)


def test_a_copy_that_moved_is_found_by_its_patches() -> None:
    real, fake = phantoms.thorax(12, seed=1, size=128), phantoms.thorax(30, seed=2, size=128)
    fake[4] = np.roll(real[9], 4, axis=1)
    ranking = fingerprint.rank(real, fake)
    assert ranking[0].name == "9"
    assert ranking[0].evidence[0].name == "4"
    assert ranking[0].evidence[0].gain > 2 * max(row.evidence[0].gain or 0 for row in list(ranking)[1:])
    found = ranking.evidence(0)
    assert (found.name, found.match.name) == ("9", "4")
    assert np.array_equal(found.real, real[9])
    assert np.array_equal(found.fake, fake[4])
    assert found.heat().shape == (128, 128)
    assert [(left - x, top - y) for y, x, top, left, _ in found.rectangles(3)] == [(4, 0)] * 3
    picture = found.image()
    assert picture.mode == "RGB"
    assert picture.width > 3 * 128


def test_images_of_one_name_are_told_apart(tmp_path) -> None:
    half = len(FAKE) // 2
    (write(tmp_path / "a", FAKE[:half]) / "img_0.png").write_bytes(b"no picture")
    write(tmp_path / "b", FAKE[half:])
    usable = np.concatenate([FAKE[1:half], FAKE[half:]])
    ranking = fingerprint.rank(REAL, [fingerprint.load(tmp_path / "a"), fingerprint.load(tmp_path / "b")], block=7)
    alone = fingerprint.rank(REAL, usable)
    assert np.array_equal(ranking.scores, alone.scores)
    for i, row in enumerate(ranking):
        assert [one.position for one in row.evidence] == [int(one.name) for one in alone[i].evidence]
    found = [ranking.evidence(i, match=match) for i in range(24) for match in range(5)]
    assert len({one.match.name for one in found}) < len({one.match.position for one in found})
    assert all(np.array_equal(one.fake, usable[one.match.position]) for one in found)


def test_evidence_of_every_method_and_match_and_its_limits(tmp_path) -> None:
    write(tmp_path / "fake", FAKE)
    for method in ("default", "ssim"):
        ranking = fingerprint.rank(REAL, tmp_path / "fake", method=method)
        for match in range(2):
            found = ranking.evidence(-1, match=match)
            assert found.match == ranking[-1].evidence[match]
            assert np.array_equal(found.fake, FAKE[int(found.match.name[4:-4])])
    with pytest.raises(InputError, match="index: expected an integer from -24 to 23, got 24"):
        ranking.evidence(24)
    with pytest.raises(InputError, match="match: expected an integer from 0 to 4, got 5"):
        ranking.evidence(0, match=5)
    with pytest.raises(InputError, match="fake: an iterator cannot be read a second time"):
        fingerprint.rank(REAL, iter([FAKE])).evidence(0)
    with pytest.raises(InputError, match=r"evidence: this ranking has no images, nor .* make it by rank"):
        replace(ranking, origin=None).evidence(0)
    tiny = fingerprint.rank(REAL[:, :4], FAKE[:, :4])
    assert tiny[0].evidence[0].gain is None
    with pytest.raises(InputError, match="at least 8x8 pixels"):
        tiny.evidence(0)
    with pytest.raises(InputError, match="method: 'patches' needs images of at least 8x8 pixels, got 4x16 8-bit"):
        fingerprint.rank(REAL[:, :4], FAKE[:, :4], method="patches")


def test_a_row_is_what_the_columns_say() -> None:
    ranking = fingerprint.rank(REAL, FAKE, reference=patients(9, seed=3), groups=[f"p{i // 2}" for i in range(33)])
    assert len(ranking) == len(list(ranking)) == 24
    for i, row in enumerate(ranking):
        assert row == ranking[i]
        assert (row.rank, row.name, row.score) == (i + 1, ranking.names[i], ranking.scores[i])
        assert (row.p_value, row.q_value) == (ranking.p_values[i], ranking.q_values[i])
        assert row.group == ranking.groups[i] == f"p{int(row.name) // 2}"
    assert ranking[-1] == ranking[23]
    with pytest.raises(IndexError):
        _ = ranking[24]


def test_a_reference_gives_valid_p_values_and_q_values() -> None:
    ranking = fingerprint.rank(REAL, FAKE, reference=patients(19, seed=3))
    assert ranking.p_values[:3].tolist() == [1 / 20] * 3
    assert (ranking.p_values >= 1 / 20).all()
    assert (np.diff(ranking.p_values) >= 0).all()
    assert ranking.q_values.tolist() == p_values.q_values(ranking.p_values).tolist()
    assert ranking.params["reference"] == 19
    assert fingerprint.rank(REAL, FAKE).p_values is None


def test_unused_images_have_uniform_p_values() -> None:
    found = [
        fingerprint.rank(patients(6, seed=i), patients(20, seed=i + 500), reference=patients(19, seed=i + 900)).p_values
        for i in range(60)
    ]
    p = np.concatenate(found)
    # images within a draw share their reference, so that this is looser than 360 independent draws would allow
    for level in (0.05, 0.25, 0.5, 0.75):
        assert abs((p <= level).mean() - level) < 0.08


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_finds_identical_copies_without_a_warning(method) -> None:
    fake = np.concatenate([patients(60, seed=2), REAL[[5]], REAL[[5]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranking = fingerprint.rank(REAL, fake, method=method)
    assert np.isfinite(ranking.scores).all()
    copied = next(row for row in ranking if row.name == "5")
    assert copied.evidence[0].distance == 0
    # the others count synthetic images, of which a copy is only one
    if methods.METHODS[method].statistic in (attacks.gan_leaks, attacks.adaptive, default.nearness):
        assert copied.rank == 1
    assert ranking.params["method"] == method


def test_one_real_image_and_one_synthetic_image() -> None:
    for fake in (FAKE[:1], REAL[:1]):
        ranking = fingerprint.rank(REAL[:1], fake)
        assert len(ranking) == 1
        assert np.isfinite(ranking.scores).all()
    alone = fingerprint.rank(REAL[:1], np.concatenate([REAL[:1], FAKE])).scores[0]
    assert alone > fingerprint.rank(REAL[:1], FAKE[:60]).scores[0]


def test_identical_and_blank_images_are_no_evidence() -> None:
    same = np.repeat(REAL[:1], 6, axis=0)
    ranking = fingerprint.rank(same, same)
    assert len(set(ranking.scores)) == 1
    assert ranking.names == tuple("012345")
    blank = np.zeros((4, 16, 16), np.uint8)
    assert np.isfinite(fingerprint.rank(blank, blank).scores).all()
    assert np.isfinite(fingerprint.rank(blank, FAKE).scores).all()


def test_the_real_images_themselves_as_synthetic_ones_are_all_copies() -> None:
    ranking = fingerprint.rank(REAL, REAL)
    assert all(row.evidence[0].name == row.name and row.evidence[0].distance == 0 for row in ranking)
    assert np.isfinite(ranking.scores).all()
    near = fingerprint.rank(REAL, REAL, method="nearness")
    assert near.scores.min() > fingerprint.rank(REAL, FAKE[:60], method="nearness").scores.max()


def test_ties_go_to_the_lower_name_in_natural_order() -> None:
    names = ("img10", "img9", "img1")
    real = Slices(np.repeat(REAL[:1], 3, axis=0), names)
    fake = Slices(np.repeat(REAL[:1], 3, axis=0), names)
    ranking = fingerprint.rank(real, fake)
    assert ranking.names == ("img1", "img9", "img10")
    assert [match.name for match in ranking[0].evidence] == ["img1", "img9", "img10"]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.sampled_from([1, 2, 3]), st.sampled_from(["list", "iterator", "array"]))
def test_blocks_threads_and_kind_of_source_change_no_byte(block, threads, kind) -> None:
    names = tuple(str(i) for i in range(len(FAKE)))
    sources = {
        "array": FAKE,
        "list": [Slices(FAKE[:20], names[:20]), Slices(FAKE[20:], names[20:])],
        "iterator": (Slices(FAKE[i : i + 1], names[i : i + 1]) for i in range(len(FAKE))),
    }
    ranking = fingerprint.rank(REAL, sources[kind], block=block, threads=threads)
    assert ranking == expected_ranking()


@functools.cache
def expected_ranking():
    return fingerprint.rank(REAL, FAKE)


def test_the_order_of_synthetic_images_changes_no_score() -> None:
    order = RNG.permutation(len(FAKE))
    names = tuple(str(i) for i in range(len(FAKE)))
    shuffled = Slices(FAKE[order], tuple(names[i] for i in order))
    assert (
        fingerprint.rank(REAL, shuffled).to_csv() == expected_ranking().to_csv()
    )  # where the images stand in the stream differs


@pytest.mark.parametrize("method", ["nearness", "gan-leaks-calibrated"])
def test_slices_of_one_patient_are_not_compared_with_each_other(method) -> None:
    # a second slice of every patient, nearly the same as the first: other patients are as near as before
    slices = np.clip(REAL + RNG.integers(-2, 3, REAL.shape), 0, 255).astype(np.uint8)
    once = {row.name: row.score for row in fingerprint.rank(REAL, FAKE, method=method, groups=range(24))}

    def change(groups) -> float:
        ranking = fingerprint.rank(np.concatenate([REAL, slices]), FAKE, method=method, groups=groups)
        return max(abs(row.score - once[row.name]) for row in ranking if row.name in once)

    assert change([*range(24), *range(24)]) < 0.5
    if method == "gan-leaks-calibrated":
        assert change(None) > 20


def test_groups_as_mapping_function_and_sequence_are_the_same(tmp_path) -> None:
    real = write(tmp_path / "real", REAL)
    by_name = {f"img_{i}.png": i // 3 for i in range(24)}
    expected = fingerprint.rank(real, FAKE, groups=by_name)
    assert fingerprint.rank(real, FAKE, groups=by_name.__getitem__) == expected
    assert fingerprint.rank(real, FAKE, groups=[i // 3 for i in range(24)]) == expected
    held = fingerprint.load(real)
    known = fingerprint.Slices(held.pixels, held.names, groups=tuple(str(by_name[name]) for name in held.names))
    assert fingerprint.rank(known, FAKE).scores.tolist() == expected.scores.tolist()
    one = fingerprint.Slices(held.pixels, held.names, groups=("anonymous",) * 24)
    assert fingerprint.rank(one, FAKE).scores.tolist() == fingerprint.rank(real, FAKE).scores.tolist()


def test_by_group_orders_patients_by_their_mean_score() -> None:
    ranking = fingerprint.rank(REAL, FAKE, groups=[i // 4 for i in range(24)])
    groups = ranking.by_group()
    assert [group.score for group in groups] == sorted((group.score for group in groups), reverse=True)
    for group in groups:
        rows = [row for row in ranking if row.group == group.name]
        assert group.rows == tuple(rows)
        assert group.score == pytest.approx(np.mean([row.score for row in rows]))


def test_with_a_reference_each_patient_counts_once() -> None:
    ranking = fingerprint.rank(REAL[:12], FAKE, reference=REAL[12:], groups=[f"p{i // 4}" for i in range(24)])
    assert ranking.null_groups == tuple(f"p{i // 4}" for i in range(12, 24))
    np.testing.assert_array_equal(
        ranking.p_values, p_values.p_values(ranking.scores, ranking.null, ranking.null_groups)
    )
    assert ranking.p_values.min() >= 1 / 4
    expected = p_values.group_p_values(ranking.scores, ranking.groups, ranking.null, ranking.null_groups)
    groups, decided = ranking.by_group(), ranking.decide()
    assert {group.name: group.p_value for group in groups} == expected
    q = p_values.q_values(np.array([group.p_value for group in groups]))
    assert [group.q_value for group in groups] == q.tolist()
    assert {one.name: one.error for one in decided.by_group} == {group.name: group.q_value for group in groups}
    assert "patients, of whom each counts once" in decided.rule
    assert fingerprint.Ranking.from_json(ranking.to_json()).by_group() == groups
    assert fingerprint.rank(REAL, FAKE, groups=[i // 4 for i in range(24)]).by_group()[0].p_value is None


def test_images_in_are_rows_out_and_failures(tmp_path) -> None:
    real, fake = write(tmp_path / "real", REAL), write(tmp_path / "fake", FAKE)
    (real / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (fake / "empty.png").write_bytes(b"")
    (fake / "Thumbs.db").write_bytes(b"x")
    ranking = fingerprint.rank(real, fake)
    assert len(ranking) + len(ranking.failed["real"]) == 25
    assert ranking.n_fake + len(ranking.failed["fake"]) == 64
    assert ranking.failed["real"][0].name == "broken.png"
    assert "empty" in ranking.failed["fake"][0].reason
    assert "failed, fake: empty.png: empty" in str(ranking)
    reference = fingerprint.rank(REAL, fake, reference=[patients(3, seed=3), real / "broken.png"]).failed
    assert [Path(failure.name).name for failure in reference["reference"]] == ["broken.png"]
    with pytest.raises(InputError, match=r"broken\.png"):
        fingerprint.rank(real, fake, on_error="raise")
    with pytest.raises(InputError, match=r"groups: a sequence cannot be matched.*1 files failed.*broken\.png.*mapping"):
        fingerprint.rank(real, fake, groups=list(range(25)))


def test_csv_has_one_line_for_each_image(tmp_path) -> None:
    groups = [f'"{number}", ümlaut' for number in range(33)]
    ranking = fingerprint.rank(REAL, FAKE, reference=patients(9, seed=3), groups=groups)
    text = ranking.to_csv(tmp_path / "ranking.csv")
    assert (tmp_path / "ranking.csv").read_bytes() == text.encode()
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == [
        *("rank", "name", "score", "p_value", "q_value", "group", "nearest", "distance", "matched", "gain")
    ]
    for row, line in zip(ranking, rows, strict=True):
        assert float(line["score"]) == row.score
        assert float(line["p_value"]) == row.p_value
        assert line["group"] == row.group
        nearest = min((m for m in row.evidence if m.distance is not None), key=lambda m: m.distance)
        assert (line["nearest"], float(line["distance"])) == (nearest.name, nearest.distance)
        matched = max((m for m in row.evidence if m.gain is not None), key=lambda m: m.gain)
        assert (line["matched"], float(line["gain"])) == (matched.name, matched.gain)
    plain = list(csv.DictReader(fingerprint.rank(REAL, FAKE, method="ssim").to_csv().splitlines()))
    assert list(plain[0]) == ["rank", "name", "score", "nearest", "distance", "matched", "gain"]
    assert {row["matched"] + row["gain"] for row in plain} == {""}
    assert len(plain) == 24


def test_json_holds_everything(tmp_path) -> None:
    ranking = fingerprint.rank(REAL, FAKE, k=2)
    text = ranking.to_json(tmp_path / "ranking.json")
    content = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))
    assert json.loads(text) == content
    assert [row["score"] for row in content["rows"]] == ranking.scores.tolist()
    assert all(len(row["evidence"]) == 2 for row in content["rows"])
    assert content["n_fake"] == 63
    assert content["failed"] == {"real": [], "fake": []}
    assert content["params"]["scales"] == ["whitened correlation, 1x1 pixels"]


def test_the_summary_shows_the_first_rows_and_how_to_read_them() -> None:
    ranking = fingerprint.rank(REAL, FAKE, reference=patients(9, seed=3))
    text = str(ranking)
    assert "24 real images against 63 synthetic ones" in text
    assert "14 more\n" in text
    assert "no proof" in text
    assert f"{ranking[0].p_value:.4f}" in text
    assert " more\n" not in str(fingerprint.rank(REAL[:3], FAKE))


def test_fewer_synthetic_images_than_k_are_all_shown() -> None:
    assert all(len(row.evidence) == 2 for row in fingerprint.rank(REAL, FAKE[:2], k=9))


def test_16_bit_images_are_kept_exactly() -> None:
    real, fake = REAL.astype(np.uint16) * 100, FAKE.astype(np.uint16) * 100
    assert {row.name for row in list(fingerprint.rank(real, fake))[:3]} == COPIED
    # what differs in low bits only is told apart
    low = 30000 + patients(12, seed=4).astype(np.uint16)
    assert fingerprint.rank(low, np.concatenate([30000 + FAKE[:60].astype(np.uint16), low[4:5]]))[0].name == "4"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, r"method: expected one of 'default', .*got 'magic'"),
        ({"k": 0}, "k: expected an integer of at least 1, got 0"),
        ({"block": 2.5}, r"block: expected an integer of at least 1, got 2\.5"),
        ({"threads": 0}, "threads: expected an integer of at least 1, got 0"),
        ({"on_error": "ignore"}, "on_error: expected one of 'collect', 'raise', got 'ignore'"),
        ({"groups": {"0": "a"}}, r"groups: expected an entry for every real image.*'1' \(23 missing\)"),
        ({"groups": ["a"]}, "groups: expected one entry for each real image, then .*, 24 in all, got 1"),
        ({"groups": "abc"}, "groups: expected a mapping, a function, a sequence or 'PatientID', got 'abc'"),
        ({"groups": 3}, "groups: expected a mapping, a function, a sequence or 'PatientID', got 3"),
        ({"real": "/no/such/folder"}, "real: expected an existing folder or file, got '/no/such/folder'"),
        ({"fake": "/no/such/folder"}, "fake: expected an existing folder or file, got '/no/such/folder'"),
        ({"reference": 7}, "reference: expected a folder"),
        ({"fake": FAKE[:, :8]}, "fake: .*16x16.*8x16"),
        ({"fake": FAKE.astype(np.uint16)}, "fake: .*8-bit.*16-bit"),
        ({"reference": FAKE[:, :8]}, "16x16.*8x16"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.rank(**{"real": REAL, "fake": FAKE} | arguments)


def test_a_collection_without_a_usable_image_is_an_error(tmp_path) -> None:
    write(tmp_path / "real", REAL)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"fake: .*empty"):
        fingerprint.rank(tmp_path / "real", tmp_path / "fake")


def test_by_group_without_groups_says_what_to_do() -> None:
    with pytest.raises(InputError, match="pass groups= to rank"):
        fingerprint.rank(REAL, FAKE).by_group()


def test_nothing_is_printed_unless_asked(capsys) -> None:
    fingerprint.rank(REAL, FAKE)
    assert capsys.readouterr() == ("", "")
    fingerprint.rank(REAL, FAKE, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "image" in err


def test_real_images_of_16_bits_are_ranked_through_a_window() -> None:
    deep = REAL.astype(np.uint16) * 4 + 824
    seen = fingerprint.load(deep, window=(1336, 1024))
    expected = fingerprint.rank(seen, FAKE)
    found = fingerprint.rank(deep, FAKE, window=(1336, 1024))
    assert found.scores.tolist() == expected.scores.tolist()
    assert found.provenance.settings["window"] == (1336, 1024)
    assert np.array_equal(found.evidence(0).real, seen[int(found.order[0])])


@pytest.mark.parametrize("n_marked", [5, 3])
@pytest.mark.parametrize("n_fake_marked", [300, 60, 12, 4])
def test_a_mark_that_several_images_share_calls_none_of_them_used(n_marked, n_fake_marked) -> None:
    mark = np.random.default_rng(4).integers(0, 2, (5, 20)).astype(np.uint8) * 255
    real, fake = phantoms.thorax(100, seed=5, size=64), phantoms.thorax(300, seed=99, size=64)
    real[:n_marked, 1:6, 1:21] = fake[:n_fake_marked, 1:6, 1:21] = mark
    found = fingerprint.rank(real, fake)
    marked = np.isin(found.names, [str(i) for i in range(n_marked)])
    assert found.scores[marked].max() < 4  # it raises scores, but they stay those of chance
    assert not found.decide().used.any()
