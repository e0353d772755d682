"""The release report of audits and rankings: what it holds, and that no name is left where it may leave the house."""

import functools
import hashlib
import hmac
import html
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._answers import again
from fingerprint._answers.coded import code
from fingerprint._cli.main import main, parser

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


@functools.cache
def demo():
    return phantoms.demo(n_used=16, n_unused=16, n_fake=80, leak=0.3, size=64)


@functools.cache
def audited():
    real = demo().real.pixels
    return fingerprint.audit(real[demo().used], real[~demo().used], demo().fake, n_permutations=99)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Return folders of images with telling names, of which one is stolen, one is broken, and one file is no image."""
    folder = tmp_path_factory.mktemp("hospital_zzq")
    for name, images, start in (
        ("mueller_used", demo().real.pixels[demo().used], 0),
        ("mueller_unused", demo().real.pixels[~demo().used], 50),
        ("generated_q", demo().fake.pixels, 100),
    ):
        (folder / name).mkdir()
        for i, image in enumerate(images, start):
            Image.fromarray(image).save(folder / name / f"xq{i}_{'fake' if start == 100 else 'jane'}.png")
    Image.fromarray(demo().real.pixels[demo().used][3]).save(folder / "generated_q" / "stolenx.png")
    (folder / "mueller_used" / "brokenx.png").write_bytes(b"")
    (folder / "generated_q" / "readmex.txt").write_text("no image")
    return folder


def patient(name: str) -> str:
    return f"pat{int(name[2:].partition('_')[0]) // 2}x"


def text_of(path: Path) -> str:
    page = path.read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_an_audit_says_its_verdict_its_control_and_its_power(tmp_path) -> None:
    found = audited()
    assert found.report(tmp_path / "audit.html", top=1, title="Thorax, autumn", notes="First round.\nBy <Jane>") is None
    text = text_of(tmp_path / "audit.html")
    assert text.startswith("Thorax, autumn Thorax, autumn Made 2023-11-14, 22:13:20 UTC by fingerprint")
    for part in (
        found.scores_verdict,
        found.sensitivity,
        found.withhold().verdict,
        f"0.5 = no leak seen p-value {found.p_value:.2g}, of 99 permutations; a leak from 0.05",
        f"{100 * found.most_told:.0f} % of the used images: no more does this score tell",
        f"AUC {found.split_used.low:.3f} to {found.split_used.high:.3f} and {found.split_unused.low:.3f}",
        str(found.copying),
        "First round. By <Jane>",
        "Real images, used for training 16 0 0 an array",
        "Real images, not used for training 16 0 0 an array",
        "Synthetic images 80 0 0 an array",
        "The command line takes used from a folder; here it was an array.",
        "All used images",
    ):
        assert part in text
    order = ("Identical copies", "Near copies", "What the statistics say", "What could have been seen", "To withhold")
    assert sorted(order, key=text.index) == list(order)


def test_an_audit_says_what_controls_show_and_how_to_run_them_again(folders, tmp_path) -> None:
    sides = [str(folders / name) for name in ("mueller_used", "mueller_unused", "generated_q")]
    planted = {"false_positive_rate": 0.2, "n_permutations": 99}  # 16 unused images are few
    control = str(tmp_path / "other")
    phantoms.write_demo(control, n_used=4, n_unused=4, n_fake=40, size=64, seed=5)
    control += "/fake"
    found = fingerprint.audit(*sides, control=control, **planted)
    found.report(tmp_path / "audit.html", top=1)
    text = text_of(tmp_path / "audit.html")
    assert f"Control generator {found.control_verdict}" in text
    assert f"Planted copies {found.planted_verdict}" in text
    assert f"stand out. {found.planted_verdict}" in text  # among what could have been seen
    assert f"control={control!r}" in text
    again = fingerprint.audit(*sides, control=control)
    again.report(tmp_path / "audit.html", top=1)
    assert f"fingerprint audit {' '.join(sides)} --control {control}" in text_of(tmp_path / "audit.html")
    again.report(tmp_path / "audit.html", top=1, images=False, salt="s")
    assert "--control CONTROL" in text_of(tmp_path / "audit.html")


def test_the_ranking_of_an_audit_is_that_of_rank_with_the_unused_as_reference() -> None:
    real = demo().real.pixels
    ranking = fingerprint.rank(real[demo().used], demo().fake, reference=real[~demo().used])
    found = audited().ranking
    assert replace(found, notes=ranking.notes, failed=ranking.failed, ignored=ranking.ignored) == ranking
    assert audited().withhold(false_discovery_rate=0.3) == ranking.withhold(false_discovery_rate=0.3)
    assert audited().withhold().provenance.settings["n_permutations"] == 99


def test_an_audit_of_scores_has_a_report_without_images(tmp_path) -> None:
    found = fingerprint.audit_scores([3.0, 4, 5, 6], [1.0, 2, 1.5, 2.5], n_permutations=99)
    with pytest.raises(InputError, match="withhold: this audit has scores alone; make it by audit"):
        found.withhold()
    found.report(tmp_path / "scores.html")
    text = text_of(tmp_path / "scores.html")
    assert found.scores_verdict in text
    assert "To withhold" not in text
    assert "The call was not recorded" in text
    few = fingerprint.audit_scores([3.0, 4], [1.0, 2], groups=(["a", "b"], ["c", "d"]), n_permutations=99)
    few.report(tmp_path / "few.html", images=False)
    text = text_of(tmp_path / "few.html")
    assert "With 2 used and 2 unused images of 2 and 2 patients no leak could have been shown" in text
    assert "Leak rate not defined" in text
    assert "The same by patient" in text


@pytest.mark.parametrize(
    ("used", "unused", "headline"),
    [
        (range(40, 60), range(20), "A leak is shown"),
        (range(20), range(20), "No leak is shown. That does not prove that there is none."),
    ],
)
def test_the_headline_is_the_verdict(tmp_path, used, unused, headline) -> None:
    fingerprint.audit_scores([float(one) for one in used], [float(one) for one in unused]).report(tmp_path / "a.html")
    assert headline in text_of(tmp_path / "a.html")


def test_copies_come_first_in_an_audit(tmp_path) -> None:
    real = demo().real.pixels
    fake = [demo().fake.pixels, real[demo().used][:1], real[~demo().used][:2]]
    found = fingerprint.audit(real[demo().used], real[~demo().used], fake, n_permutations=99)
    found.report(tmp_path / "audit.html", top=0)
    text = text_of(tmp_path / "audit.html")
    assert "Do not release as it is: synthetic images are copies of real ones. Identical copies 1 real image is" in text
    assert (
        "Copies of unused images 2 real images are identical, or nearly so, to a synthetic one (first: 0 and 81). So"
        in text
    )


def test_sources_have_a_content_hash_that_does_not_depend_on_names_and_order(folders, tmp_path) -> None:
    real, fake = folders / "mueller_used", folders / "generated_q"
    more = folders / "mueller_unused"
    fingerprint.rank(real, fake, population=[more]).report(tmp_path / "a.html", top=0)
    text = text_of(tmp_path / "a.html")
    for folder, numbers in ((real, "16 1 0"), (fake, "81 0 1"), (more, "16 0 0")):
        pixels = fingerprint.load(folder).pixels
        digests = sorted(hashlib.blake2b(image.tobytes()).digest() for image in pixels[::-1])
        assert f"{numbers} " in text
        assert hashlib.sha256(b"".join(digests)).hexdigest() in text
    fingerprint.rank(real, (block for block in fingerprint.blocks(fake))).report(tmp_path / "b.html", top=0)
    assert "an iterator not known, as the images could not be read again" in text_of(tmp_path / "b.html")


def test_without_images_no_name_is_left(folders, tmp_path) -> None:
    used, unused, fake = folders / "mueller_used", folders / "mueller_unused", folders / "generated_q"
    ranking = fingerprint.rank(used, fake, groups=patient, reference=unused)
    audit = fingerprint.audit(used, unused, fake, groups=patient, n_permutations=99)
    alone = fingerprint.rank(used, fake, groups=lambda _: "pat0x")
    assert "'pat0x'" in " ".join(alone.notes)
    secrets = {ranking: [], audit: [], alone: []}
    for result in secrets:
        salts = [result.report(tmp_path / f"{n}.html", images=False) for n in range(2)]
        assert len(set(salts)) == 2
        assert result.report(tmp_path / "page.html", images=False, salt="house") == "house"
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        for secret in (
            "xq",
            "jane",
            "stolenx",
            "brokenx",
            "mueller",
            "hospital_zzq",
            "generated_q",
            "tmp",
            "<img",
            "data:image",
        ):
            assert secret not in page
        assert not re.search(r"pat\d+x", page)
        assert "empty file" not in page
        assert hmac.new(b"house", b"stolenx.png", "sha256").hexdigest()[:12] in page
        assert code("pat0x", "house") in page
        assert "house" not in page
        pixels = fingerprint.load(fake).pixels
        digests = sorted(hashlib.blake2b(image.tobytes()).digest() for image in pixels)
        assert hashlib.sha256(b"".join(digests)).hexdigest() not in page
        assert "No pictures: the page is meant to be passed on" in text_of(tmp_path / "page.html")
        for n, salt in enumerate(salts):
            assert code("stolenx.png", salt) in (tmp_path / f"{n}.html").read_text(encoding="utf-8")
            assert salt not in (tmp_path / f"{n}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("hidden", [False, True])
def test_the_page_says_how_to_run_it_again(folders, tmp_path, hidden) -> None:
    used, unused, fake = (str(folders / name) for name in ("mueller_used", "mueller_unused", "generated_q"))
    groups = {path.name: patient(path.name) for name in (used, unused) for path in Path(name).glob("xq*")}
    ranking = fingerprint.rank(used, fake, reference=unused, k=3, size=32, method="nearness", groups=groups)
    found = again.again("rank", ranking.provenance, shown=not hidden)
    assert found.missing == "groups says the patient of each image: a mapping of 32 names."
    names = {"fingerprint": fingerprint, "groups": groups, "REAL": used, "FAKE": fake, "REFERENCE": unused}
    assert eval(found.call, names) == ranking
    options = parser().parse_args(shlex.split(found.command)[1:])
    assert (options.neighbours, options.size, options.method, options.groups) == (3, 32, "nearness", "groups.csv")
    assert options.real == ("REAL" if hidden else used)
    ranking.report(tmp_path / "page.html", top=0, images=not hidden, salt="s" * hidden or None)
    assert " ".join(found.call.split()) in text_of(tmp_path / "page.html")


def test_what_the_command_line_cannot_do_is_said() -> None:
    made = fingerprint.rank(demo().real, demo().fake).provenance
    folder = replace(made, sources={"real": "a b", "fake": "f", "reference": None, "population": ("p", "q")})
    found = again.again("rank", folder, shown=True)
    assert found.command == "fingerprint rank 'a b' f --population p --population q"
    assert "population=['p', 'q']," in found.call
    named = again.again("rank", folder.also(groups="PatientID"), shown=False)
    assert "groups='PatientID'," in named.call
    assert named.command.endswith(" --group-by PatientID")
    assert not named.missing
    two = again.again("rank", folder.also(on_error="raise"), shown=True)
    assert (two.command, two.missing) == ("", "The command line has no option for on_error='raise'.")
    assert again.again("rank", folder.also(on_error="raise"), shown=False).missing == two.missing
    masked = folder.also(mask="/home/jane/mask.png")
    assert again.again("rank", masked, shown=True).command.endswith("--mask /home/jane/mask.png")
    hidden = again.again("rank", masked, shown=False)
    assert hidden.command.endswith("--mask MASK")
    assert "mask=MASK," in hidden.call
    assert "jane" not in str(hidden)
    drawn = again.again("rank", folder.also(mask=[[0, 1]] * 8), shown=True)
    assert "mask=MASK," in drawn.call
    assert drawn.missing == "The command line has no option for mask=MASK."
    assert again.again("rank", folder.also(recursive=True), shown=True).command.endswith("--recursive")
    assert again.again("rank", folder.also(size=(32, 64)), shown=True).command == ""
    seen = again.again("rank", folder.also(window=[40.0, 400.0], grey="luminance", memory="2GiB"), shown=False)
    assert seen.command.endswith("--population POPULATION --window 40.0 400.0 --grey luminance --memory 2GiB")
    array = replace(folder, sources={"real": "a", "fake": "f", "reference": 20})
    assert again.again("rank", array, shown=True).missing == "The command line takes reference from a folder."
    two = replace(folder, sources={"real": "a", "fake": "f", "reference": ["b", "c"]})
    assert again.again("rank", two, shown=True).missing == "The command line takes reference from a folder."
    listed = again.again("rank", folder.also(groups=["p"] * 32), shown=True)
    assert listed.missing == "groups says the patient of each image: a list of 32 patients."
    assert again.place(("a", "b", None, "d")) == "4 sources: a; b; an iterator; …"
    assert "Python 3." in again.versions()


def test_a_small_reference_is_said_to_show_nothing(tmp_path) -> None:
    for count, said in (
        (4, "Nothing: with 4 images of reference no image can be called used at a rate of 10 %. Give at least 9."),
        (16, "With 16 images of reference, images are called used at a rate of 10 % only where at least 10 of 16"),
    ):
        real = demo().real.pixels
        ranking = fingerprint.rank(real[demo().used], demo().fake, reference=real[~demo().used][:count])
        ranking.report(tmp_path / "page.html", top=0)
        assert said in text_of(tmp_path / "page.html")
    fingerprint.rank(demo().real, demo().fake).report(tmp_path / "page.html", top=0)
    assert "Without a reference, no fewer than 10 images are ever called used at a rate of 10 %" in text_of(
        tmp_path / "page.html"
    )


def test_a_ranking_without_provenance_and_with_repeated_names(tmp_path) -> None:
    same = fingerprint.Slices(demo().fake.pixels, ("a.png",) * 80)
    ranking = fingerprint.rank(demo().real, [same, demo().real.pixels[:1]])
    replace(ranking, provenance=None).report(tmp_path / "page.html", top=0, false_discovery_rate=0.5)
    text = text_of(tmp_path / "page.html")
    assert "Made on an unknown date by fingerprint" in text
    assert "not recorded" in text
    assert re.search(r"a\.png at position \d+", text)


@pytest.mark.parametrize("leaks", [True, False])
def test_an_audit_that_gives_no_single_image_away_says_what_that_means(tmp_path, leaks) -> None:
    found = replace(audited(), p_value=0.01 if leaks else 0.5)
    found.report(tmp_path / "audit.html", top=0, false_discovery_rate=0.001)
    text = text_of(tmp_path / "audit.html")
    assert "Image by image No single used image is given away, at a false discovery rate of 0.1 %." in text
    assert "To withhold No synthetic image to withhold: no single used image is given away." in text
    assert ("The leak is spread over many images: leaving some out does not mend it." in text) == leaks
    assert "does not prove that none was" not in text


def test_the_command_line_writes_both_reports(folders, tmp_path, capsys) -> None:
    used, unused, fake = (str(folders / name) for name in ("mueller_used", "mueller_unused", "generated_q"))
    page, listed = tmp_path / "page.html", tmp_path / "withhold.csv"
    options = ["--report", str(page), "--title", "Thorax <1>", "--notes", "Seen.", "--rate", "0.2"]
    assert main(["audit", used, unused, fake, *options, "--withhold", str(listed)]) == 1
    text = text_of(page)
    assert text.startswith("Thorax <1> Thorax <1> Made")
    assert "Seen." in text
    assert "false discovery rate of 20 %" in text
    assert "What the images are like" in text
    assert "Synthetic images that are identical to one of used: 1 of 81" in text
    assert "stolenx.png" in listed.read_text()
    shown = parser().parse_args(shlex.split(re.search(r"fingerprint (audit .*?) fingerprint\.audit\(", text)[1]))
    assert (shown.used, shown.unused, shown.fake) == (used, unused, fake)
    capsys.readouterr()
    assert main(["rank", used, fake, "--report", str(page), "--no-images"]) == 1
    said = re.search(
        r"Names in (.*) are hashed with the salt (\w+)\. Keep it where the names are", capsys.readouterr().out
    )
    assert code("stolenx.png", said[2]) in page.read_text()
    assert main(["rank", used, fake, "--report", str(page), "--no-images", "--salt", "mine"]) == 1
    assert "salt" not in capsys.readouterr().out
    assert code("stolenx.png", "mine") in page.read_text()


def test_the_report_of_merged_parts_says_where_they_are_from(folders, tmp_path, capsys) -> None:
    used, fake = str(folders / "mueller_used"), str(folders / "generated_q")
    assert main(["summarise", used, fake, "--out", str(tmp_path / "part")]) == 0
    assert main(["merge", str(tmp_path / "part"), "--report", str(tmp_path / "page.html"), "--title", "Merged"]) == 1
    text = text_of(tmp_path / "page.html")
    assert text.startswith("Merged")
    assert "stolenx.png" in text
    assert "What the images are like" not in text


def test_what_was_found_before_is_part_of_the_report(folders, tmp_path) -> None:
    used, fake = folders / "mueller_used", folders / "generated_q"
    found = fingerprint.check(used, fake)
    ranking = fingerprint.rank(used, fake)
    assert "stolenx.png" in " ".join(found.found)
    ranking.report(tmp_path / "page.html", top=0, check=found)
    text = text_of(tmp_path / "page.html")
    for severity, _, said, remedy in found:
        assert f"{severity.capitalize()}: {said} {remedy}".strip() in text
    ranking.report(tmp_path / "page.html", check=found, images=False)
    text = text_of(tmp_path / "page.html")
    assert "Warning: copies real. That is a leak, unless fake holds real images." in text
    assert "Note: counts" not in text
    assert "stolenx" not in text
    assert "xq" not in text


def test_hashes_differ_by_name_and_salt_and_take_any_name() -> None:
    assert code("a", "s") != code("b", "s") != code("a", "t")
    assert len(code("\udcff", "s")) == 12
    assert len({code(str(i), "s") for i in range(5000)}) == 5000


def test_nothing_changes_where_a_report_is_written(tmp_path) -> None:
    ranking = fingerprint.rank(demo().real, demo().fake)
    before = ranking.to_json()
    ranking.report(tmp_path / "page.html", images=False)
    assert ranking.to_json() == before
    assert np.array_equal(ranking.scores, fingerprint.rank(demo().real, demo().fake).scores)
