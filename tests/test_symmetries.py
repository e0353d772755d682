"""Copies that are turned, negative or of half the size are found on request, and by nothing else."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._cli.main import main
from fingerprint._evidence import budget
from fingerprint._evidence.scales import pyramid
from fingerprint._images import grey
from fingerprint._images.symmetries import AS_IS, forms_of, in_form, in_words, named, original

ALL = forms_of("all", 64, 64)
REAL = phantoms.thorax(40, seed=5, size=64)
PLAIN = phantoms.generate(phantoms.thorax(30, seed=77, size=64), 300, seed=3, leak=0)[0]
USED = np.isin(np.arange(40), np.random.default_rng(1).permutation(40)[:20])
SMALL = REAL[:, ::4, ::4]  # for what does not depend on what is shown


def halved(image, host, row, column):
    """Return a synthetic image that shows the whole of a real one at half the size."""
    shown, side = host.copy(), len(image) // 2
    top, left = row * side // 2, column * side // 2
    shown[top : top + side, left : left + side] = grey.resampled(image, (side, side))
    return shown


CHANGES = {
    "turned by 90 degrees": ("turned", lambda image, _: np.rot90(image, 3)),
    "turned by 180 degrees": ("turned", lambda image, _: np.rot90(image, 2)),
    "turned by 270 degrees": ("turned", lambda image, _: np.rot90(image)),
    "negative": ("negative", lambda image, _: 255 - image),
    "its centre enlarged": ("half", lambda image, host: halved(image, host, 1, 1)),
    "its bottom left enlarged": ("half", lambda image, host: halved(image, host, 2, 0)),
}


def planted(change, noise=8):
    rng, fake = np.random.default_rng(2), PLAIN.copy()
    for place, image in zip(range(0, 140, 7), REAL[USED], strict=True):
        shown = change(image, PLAIN[place]) + rng.normal(0, noise, image.shape)
        fake[place] = np.rint(shown).clip(0, 255).astype(np.uint8)
    return fake


def auc_of(ranking):
    return fingerprint.evaluate([USED[int(name)] for name in ranking.names], ranking.scores).roc_auc.value


# --- What is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", CHANGES)
def test_copies_in_a_form_rank_first_where_it_is_asked_for(form) -> None:
    asked, change = CHANGES[form]
    fake = planted(change)
    found = fingerprint.rank(REAL, fake, symmetries=asked)
    assert auc_of(found) >= 0.99
    assert all(row.evidence[0].name.endswith(f" ({form})") for row in found[:20])
    assert {row.evidence[0].position for row in found[:20]} == set(range(0, 140, 7))
    assert auc_of(fingerprint.rank(REAL, fake)) < 0.65


def test_all_symmetries_find_each_and_call_no_unused_image_without_a_leak() -> None:
    assert auc_of(fingerprint.rank(REAL, planted(CHANGES["negative"][1]), symmetries="all")) >= 0.99
    without, found = fingerprint.rank(REAL, PLAIN), fingerprint.rank(REAL, PLAIN, symmetries="all")
    assert not without.decide().used.any()
    assert not found.decide().used.any()  # though each image has 14 chances to come near
    assert found.extrapolated.min() > 1e-3


@pytest.mark.parametrize("form", [form for form in CHANGES if "enlarged" not in form])
def test_an_exact_copy_in_a_form_is_a_copy_that_says_which(form) -> None:
    fake = planted(CHANGES[form][1], noise=0)
    found = fingerprint.rank(REAL, fake, symmetries=CHANGES[form][0])
    assert len(found.copies) == 20
    assert {copy.difference for copy in found.copies} == {0}
    assert {copy.fake for copy in found.copies} == {f"{place} ({form})" for place in range(0, 140, 7)}
    assert {copy.fake_position for copy in found.copies} == set(range(0, 140, 7))
    assert fingerprint.rank(REAL, fake).copies == ()
    withheld = found.withhold()
    assert withheld.n_fake == 300
    assert set(withheld.names[: withheld.n_strongest]) >= {str(place) for place in range(0, 140, 7)}
    for row in withheld:
        assert len({real.rank for real in row.gives_away}) == len(row.gives_away)
    again = fingerprint.Ranking.from_json(found.to_json())
    assert again.withhold().names == withheld.names
    evidence = found.evidence(0)
    np.testing.assert_array_equal(evidence.fake, evidence.real)  # it is shown as it matches


# --- The forms --------------------------------------------------------------------------------------------------------

IMAGES = arrays.arrays(
    st.sampled_from([np.uint8, np.uint16]), arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
)


@given(IMAGES)
def test_forms_undo_one_another(image) -> None:
    for form, back in (
        ("turned by 90 degrees", "turned by 270 degrees"),
        ("turned by 180 degrees", "turned by 180 degrees"),
        ("negative", "negative"),
    ):
        np.testing.assert_array_equal(in_form(in_form(image, form), back), image)
        np.testing.assert_array_equal(in_form(in_form(image, back), form), image)


@given(IMAGES)
def test_forms_have_the_size_and_type_of_the_image(image) -> None:
    for form in forms_of("all", *image.shape):
        found = in_form(image, form)
        assert (found.shape, found.dtype) == (image.shape, image.dtype)


def test_a_negative_is_taken_from_the_highest_value_of_the_type() -> None:
    assert in_form(np.array([[0, 5]], np.uint16), "negative").tolist() == [[65535, 65530]]


def test_half_is_each_of_nine_windows_enlarged() -> None:
    image = PLAIN[0]
    corners = itertools.product((0, 16, 32), (0, 16, 32))
    expected = [grey.resampled(image[top : top + 32, left : left + 32], (64, 64)) for top, left in corners]
    np.testing.assert_array_equal([in_form(image, form) for form in forms_of("half", 64, 64)[1:]], expected)


def test_images_that_are_not_square_are_turned_by_180_degrees_alone() -> None:
    assert forms_of(["negative", "turned"], 64, 48) == (AS_IS, "turned by 180 degrees", "negative")
    real, fake = SMALL[:, :, 2:14], SMALL[:5, ::-1, 13:1:-1]
    found = fingerprint.rank(real, fake, symmetries="turned")
    assert len(found.copies) == 5


@given(st.text(max_size=9), st.lists(st.sampled_from(ALL), max_size=3), st.sampled_from(ALL))
@example("a.png (1)", [], "negative")
def test_the_name_in_a_form_says_the_image_and_the_form(name, forms, form) -> None:
    for each in forms:  # a name that looks like one in a form
        name = f"{name} ({each})"
    assert original(named(name, form)) == name
    assert len({named(name, each) for each in ALL}) == len(ALL)


def test_forms_are_said_in_words() -> None:
    assert in_words((AS_IS,)) == ""
    assert in_words(forms_of("turned", 8, 6)) == ", each also turned by 180 degrees"
    assert in_words(ALL) == (
        ", each also turned by 90, 180 and 270 degrees, and negative, and in nine windows of half its size, enlarged"
    )


@pytest.mark.parametrize("wrong", ["upside down", ["turned", 3], 7, [["turned"]]])
def test_what_is_no_symmetry_is_refused_in_one_line(wrong) -> None:
    with pytest.raises(InputError, match=r"^symmetries: expected some of 'turned', 'negative', 'half', or 'all', got "):
        fingerprint.rank(SMALL, SMALL, symmetries=wrong)


# --- What it works with -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real and synthetic images as files, with copies that are turned or negative, and files that cannot be read."""
    root = tmp_path_factory.mktemp("images")
    fake = PLAIN[:12, ::4, ::4].copy()
    fake[[3, 7]] = np.rot90(SMALL[4]), 255 - SMALL[5]
    for name, images in (("real", SMALL[:12]), ("unused", SMALL[12:20]), ("fake", fake)):
        (root / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{name[0]}{i:02}.png")
    np.save(root / "fake" / "f20.npy", PLAIN[12:17, ::4, ::4])
    for i in (5, 15):
        (root / "fake" / f"f{i:02}b.png").write_bytes(b"no image")
    return root


SOME = ("negative", "turned")


def test_images_and_failures_are_counted_once(folder) -> None:
    found = fingerprint.rank(folder / "real", folder / "fake", symmetries=SOME, k=20)
    assert found.n_fake == 17
    assert [failure.name for failure in found.failed["fake"]] == ["f05b.png", "f15b.png"]
    assert str(found).count("against 17 synthetic ones, each also turned by 90, 180 and 270 degrees, and negative") == 1
    assert [(copy.name, copy.fake, copy.fake_position) for copy in sorted(found.copies)] == [
        ("r04.png", "f03.png (turned by 270 degrees)", 3),
        ("r05.png", "f07.png (negative)", 7),
    ]
    for row in fingerprint.rank(folder / "real", folder / "fake", symmetries=SOME, k=20, method="nearness"):
        assert sorted(match.position for match in row.evidence) == list(range(17))  # each in its nearest form


def test_without_symmetries_nothing_is_said_of_them(folder) -> None:
    found = fingerprint.rank(folder / "real", folder / "fake")
    assert "forms" not in found.params
    assert "(negative)" not in found.to_json()
    assert found.to_csv() == fingerprint.rank(folder / "real", folder / "fake", symmetries=()).to_csv()


@pytest.mark.parametrize("block", [1, 6, 13])
def test_blocks_threads_iterators_and_parts_change_nothing(folder, block, tmp_path) -> None:
    real, fake = folder / "real", folder / "fake"
    expected = fingerprint.rank(real, fake, symmetries=SOME)
    assert fingerprint.rank(real, fake, symmetries=SOME, block=block, threads=2).to_json() == expected.to_json()
    one_by_one = (path for path in sorted(fake.iterdir()))
    assert len(fingerprint.rank(real, one_by_one, symmetries=SOME, block=block).copies) == 2
    parts = [fingerprint.summarise(real, fake, part=(i, 3), symmetries=SOME, block=block) for i in (3, 1, 2)]
    for i, part in enumerate(parts):
        part.save(tmp_path / f"{i}")
    whole = fingerprint.merge([tmp_path / f"{i}" for i in range(3)])
    assert (whole.n_fake, len(whole.failed)) == (17, 2)
    assert fingerprint.rank(real, whole, symmetries=SOME).to_json() == expected.to_json()


def test_a_summary_of_other_symmetries_is_refused(folder) -> None:
    made = fingerprint.summarise(folder / "real", folder / "fake", symmetries="turned")
    with pytest.raises(InputError, match="symmetries"):
        fingerprint.rank(folder / "real", made)
    fingerprint.rank(folder / "real", made, symmetries=["turned"])


def test_a_checkpoint_goes_on_to_the_same_bytes_and_tries_broken_files_again(folder, tmp_path) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    paths = sorted((folder / "fake").iterdir())
    for path in paths[:9]:
        (fake / path.name).write_bytes(path.read_bytes())
    ask = {"symmetries": SOME, "checkpoint": tmp_path / "held"}
    assert fingerprint.rank(folder / "real", fake, **ask).n_fake == 8
    with pytest.raises(InputError, match=r"symmetries \['turned', 'negative'\], now \[\].* all 9 synthetic images"):
        fingerprint.rank(folder / "real", fake, checkpoint=tmp_path / "held")
    for path in paths[9:]:
        (fake / path.name).write_bytes(path.read_bytes())
    assert (fake / "f05b.png").exists()
    Image.fromarray(255 - SMALL[2]).save(fake / "f05b.png")  # it was mended
    found = fingerprint.rank(folder / "real", fake, **ask)
    assert found.to_json() == fingerprint.rank(folder / "real", fake, symmetries=SOME).to_json()
    assert ("r02.png", "f05b.png (negative)") in [(copy.name, copy.fake) for copy in found.copies]


def test_a_stream_gives_the_ranking_of_all(folder) -> None:
    fake = fingerprint.load(folder / "fake").pixels
    stream = fingerprint.Stream(SMALL, symmetries=SOME)
    for batch in (fake[:4], fake[4:9], fake[9:]):
        stream.update(batch)
    assert len(stream) == 17
    assert stream.ranking().to_csv() == fingerprint.rank(SMALL, fake, symmetries=SOME).to_csv()


def test_real_images_are_compared_as_they_are() -> None:
    real = np.concatenate([SMALL[:10], 255 - SMALL[:10]])
    found = fingerprint.rank(real, SMALL[:3], symmetries="negative")
    assert sorted(copy.name for copy in found.copies) == sorted(f"{i}" for i in (0, 1, 2, 10, 11, 12))


def test_a_mask_is_of_the_form() -> None:
    inside = np.zeros((16, 16), np.uint8)
    inside[:8] = 1
    fake = np.rot90(SMALL[:3], 2, axes=(1, 2)).copy()
    fake[:, :4] ^= 200  # in the form, outside
    found = fingerprint.rank(SMALL, fake, symmetries="turned", mask=inside)
    assert {copy.fake for copy in found.copies} >= {f"{i} (turned by 180 degrees)" for i in range(3)}


def test_images_of_one_name_are_told_apart_in_their_forms() -> None:
    names = ("a.png",) * 4
    fake = fingerprint.load(np.stack([SMALL[30], 255 - SMALL[3], SMALL[31], 255 - SMALL[7]]))
    fake = fingerprint.Slices(fake.pixels, names)
    found = fingerprint.rank(SMALL, fake, symmetries="negative")
    assert {(copy.name, copy.fake_position) for copy in found.copies} >= {("3", 1), ("7", 3)}
    place = found.names.index("7")
    np.testing.assert_array_equal(found.evidence(place).fake, SMALL[7])


def test_blocks_hold_images_in_all_forms() -> None:
    options = {"patches": True, "k": 5, "block": 128, "threads": 2}
    known = budget.ways(REAL, pyramid(64, 64), **options), budget.ways(REAL, pyramid(64, 64), **options, forms=14)
    assert {way.block for way in known[1]} == {126, 56, 28, 14}
    peaks = [{(way.packed, way.block, way.threads): way.peak for way in ways} for ways in known]
    assert peaks[1][True, 28, 1] > peaks[0][True, 16, 1]


def test_a_batch_without_an_image_says_once_what_failed(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1 failed, first broken\.png"):
        fingerprint.Stream(SMALL, symmetries="all").update(tmp_path)


# --- Other questions --------------------------------------------------------------------------------------------------


def test_an_audit_shows_a_leak_of_negatives_where_asked() -> None:
    fake = planted(CHANGES["negative"][1], noise=30)
    more = {"n_permutations": 99, "false_positive_rate": 0.2, "opacities": [1.0]}
    found = fingerprint.audit(REAL[USED], REAL[~USED], fake, symmetries="negative", **more)
    assert found.auc.value >= 0.95
    without = fingerprint.audit(REAL[USED], REAL[~USED], fake, **more)
    assert without.auc.value < 0.65
    assert without.copying == found.copying  # of images as they are
    assert found.planted[0].planted == without.planted[0].planted > 0
    assert all("(" not in name for name in found.withhold().names)


def test_fit_predict_and_compare_count_synthetic_images_once() -> None:
    fake = planted(CHANGES["negative"][1])
    detector = fingerprint.fit(REAL[USED], REAL[~USED], fake, symmetries="negative")
    assert detector.n_fake == 300
    assert detector.expected["roc_auc"].value > 0.9
    found = detector.predict(REAL, fake, symmetries="negative")
    assert (found.used == USED).mean() > 0.9
    assert found.n_fake == 300
    compared = fingerprint.compare(REAL[USED], fake, PLAIN, unused=REAL[~USED], symmetries="negative", n_bootstrap=100)
    assert compared.n_fake == 300
    assert compared.verdict.startswith("The first generator leaks more")
    assert fingerprint.statistics(REAL, fake, symmetries="negative").shape == (40, len(detector.inputs))


def test_a_report_says_the_forms_and_how_to_run_it_again(folder, tmp_path) -> None:
    found = fingerprint.rank(f"{folder}/real", f"{folder}/fake", symmetries=SOME)
    found.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "against 17 synthetic ones, each also turned by 90, 180 and 270 degrees, and negative." in page
    assert "--symmetries negative,turned" in page
    assert "f03.png (turned by 270 degrees)" in page
    salt = found.report(tmp_path / "coded.html", images=False, salt="s")
    coded = (tmp_path / "coded.html").read_text(encoding="utf-8")
    assert salt == "s"
    assert "f03" not in coded
    assert coded.count("(turned by 270 degrees)") > 0
    assert "--symmetries negative,turned" in coded


def test_the_command_line_takes_names_between_commas(folder, tmp_path, capsys) -> None:
    args = ["rank", str(folder / "real"), str(folder / "fake"), "--symmetries", "negative,turned"]
    written = tmp_path / "found.json"
    assert main([*args, "--json", str(written), "--withhold", str(tmp_path / "withhold.csv")]) == 1  # files failed
    expected = fingerprint.rank(folder / "real", folder / "fake", symmetries=SOME)
    assert json.loads(written.read_text())["rows"] == json.loads(expected.to_json())["rows"]
    assert "f03.png,3,r04.png" in (tmp_path / "withhold.csv").read_text()
    assert main([*args[:-1], "sideways"]) == 2
    assert "symmetries" in capsys.readouterr().err


def test_a_ranking_from_a_file_reads_the_forms_again(folder) -> None:
    found = fingerprint.rank(f"{folder}/real", f"{folder}/fake", symmetries=SOME)
    again = fingerprint.Ranking.from_json(found.to_json())
    place = found.names.index("r05.png")
    np.testing.assert_array_equal(again.evidence(place).fake, SMALL[5])
