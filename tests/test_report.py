"""The report: a page that holds everything, needs nothing, trusts no name, and is the same for the same ranking."""

import base64
import functools
import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, phantoms
from fingerprint._answers import chart
from fingerprint._images.loading import Failure, Slices

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


@functools.cache
def demo():
    return phantoms.demo(n_used=12, n_unused=12, n_fake=60, size=64)


@functools.cache
def unused():
    return phantoms.thorax(20, seed=5, size=64)


@functools.cache
def ranked():
    return fingerprint.rank(demo().real, demo().fake, groups=demo().groups)


@functools.cache
def with_reference():
    return fingerprint.rank(demo().real, demo().fake, reference=unused())


VOID = {"br", "hr", "img", "link", "meta", "path", "rect", "use"}


class Page(HTMLParser):
    """Tags with their attributes, text, cells of tables; fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def written(ranking: fingerprint.Ranking, folder: Path, **options) -> str:
    ranking.report(folder / "ranking.html", **options)
    return (folder / "ranking.html").read_bytes().decode()


def pictures(page: Page) -> list[Image.Image]:
    sources = [image["src"] for image in page.all("img")]
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


def test_the_page_holds_what_was_compared_decided_and_found(tmp_path) -> None:
    page = Page(written(with_reference(), tmp_path, top=3))
    for text in (
        "24 real images against 60 synthetic ones",
        f"What the statistics say{with_reference().decide().verdict}",
        with_reference().withhold().verdict,
        with_reference().decide().rule,
        "Higher = more likely used. A low score is no proof that",
        "The unit is a power of ten",
        "p is the share of the reference images",
        "Reference, known to be unused2000",
        "64 x 64 pixels",
        f"fingerprint {fingerprint.__version__}",
        f"1. {with_reference()[0].name}: score {with_reference()[0].score:.3f}, p {with_reference()[0].p_value:.4f}",
    ):
        assert text in page.text
    compared, table = page.tables
    assert [line[1] for line in compared[1:]] == ["24", "20", "60"]
    header = ["rank", "name", "score", "p", "q", "nearest", "distance", "matched", "gain"]
    assert table[0][:9] == header
    assert [line[:5] for line in table[1:]] == [
        [str(row.rank), row.name, f"{row.score:.3f}", f"{row.p_value:.4f}", f"{row.q_value:.4f}"]
        for row in with_reference()
    ]
    nearest = min((m for m in with_reference()[0].evidence if m.distance is not None), key=lambda m: m.distance)
    assert table[1][5:7] == [nearest.name, f"{nearest.distance:.3g}"]
    links = {link["href"] for link in page.all("a")}
    places = {f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes}
    assert links <= places
    assert {f"#rank-{rank}" for rank in (1, 2, 3)} <= links


def test_what_is_called_used_is_marked(tmp_path) -> None:
    found = replace(with_reference(), q_values=np.r_[[0.05] * 4, [0.5] * 20])
    page = Page(written(found, tmp_path, top=0))
    assert "4 of 24 images are called used" in page.text
    assert f"from {found.scores[3]:.3f} upwards an image is called used" in page.text
    assert "called used from here" in page.text
    withheld, images = page.tables[1], page.tables[-1]
    assert [line[-2] for line in images] == ["called"] + ["used"] * 4 + [""] * 20
    assert [row.get("class") for row in page.all("tr")][-24:] == ["used"] * 4 + [None] * 20
    found = replace(found, provenance=None).withhold()
    assert [line[1] for line in withheld[1:]] == list(found.names)
    assert all(images[1][1] in withheld[int(number)][2] for number in images[1][-1].split(", "))
    assert images[5][-1] == ""
    undecided = Page(written(ranked(), tmp_path, top=0))
    assert undecided.tables[-1][0][-1] == "gain"
    assert "no image is called used" in undecided.text
    assert "called used from here" not in undecided.text


def test_patients_are_a_table_of_their_own(tmp_path) -> None:
    page = Page(written(ranked(), tmp_path, top=1))
    _, patients, images = page.tables
    decided = {one.name: one for one in ranked().decide().by_group}
    assert [line[:5] for line in patients[1:]] == [
        [
            group.name,
            "called used" if decided[group.name].used else "no evidence",
            f"{decided[group.name].error:.3f}",
            f"{group.score:.3f}",
            str(len(group.rows)),
        ]
        for group in ranked().by_group()
    ]
    assert [line[3] for line in images[1:]] == list(ranked().groups)
    assert f"1. {ranked()[0].name}, patient: {ranked()[0].group}" in page.text
    assert "Whole images of one patient were never compared" in page.text
    assert "Nobody said which images are of one patient" in Page(written(with_reference(), tmp_path, top=0)).text


@pytest.mark.slow
def test_pictures_are_those_of_the_evidence_with_a_text(tmp_path) -> None:
    page = Page(written(ranked(), tmp_path, top=2))
    shown = pictures(page)
    assert len(shown) == 2 * 4
    for i in range(2):
        for n, expected in enumerate(ranked().evidence(i).panels()):
            picture = shown[4 * i + n]
            assert picture.size == expected.size
            assert np.abs(np.asarray(picture.convert("L"), float) - np.asarray(expected.convert("L"), float)).mean() < 5
        texts = [image["alt"] for image in page.all("img")[4 * i : 4 * i + 4]]
        assert ranked()[i].name in texts[0]
        assert ranked()[i].evidence[0].name in texts[1]
    assert len(pictures(Page(written(ranked(), tmp_path)))) == 20 * 4
    assert len(pictures(Page(written(ranked(), tmp_path, top=100)))) == 24 * 4


@pytest.mark.slow
def test_pictures_of_large_images_are_made_smaller(tmp_path) -> None:
    large = phantoms.demo(n_used=2, n_unused=1, n_fake=3, size=1024)
    shown = pictures(Page(written(fingerprint.rank(large.real, large.fake, method="nearness"), tmp_path, top=1)))
    assert {picture.size for picture in shown} == {(512, 512)}


def test_a_mirrored_match_is_said_to_be_one(tmp_path) -> None:
    turned = demo().real.pixels[:1, :, ::-1]
    ranking = fingerprint.rank(demo().real, [phantoms.thorax(40, seed=9, size=64), turned], method="patches")
    assert ranking[0].name == demo().real.names[0]
    assert ranking.evidence(0).where.mirrored
    assert f"Synthetic image {ranking[0].evidence[0].name}, mirrored" in Page(written(ranking, tmp_path, top=1)).text


def test_the_page_needs_no_network_and_no_script(tmp_path) -> None:
    html = written(ranked(), tmp_path)
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>\n<html lang=")
    assert not page.all("script") + page.all("link") + page.all("iframe")
    targets = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "xlink:href")
    ]
    assert all(value.startswith(("data:", "#")) for value in targets)
    assert not re.search(r"@import|url\((?!#)", html)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_histogram_has_the_colour_of_the_text_and_no_date(tmp_path) -> None:
    html = written(with_reference(), tmp_path, top=0)
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "currentColor" in svg
    assert chart.INK not in svg
    assert "Matplotlib" not in svg
    assert "reference, known to be unused" in svg
    assert "reference" not in chart.histogram(ranked().scores, None, None, stretched=True)


def test_bars_are_shares_of_the_images() -> None:
    values, edges = np.array([0.0, 1.0, 1.0, 9.0]), np.array([0.0, 0.5, 2.0, 10.0])
    assert chart._shares(values, edges).tolist() == [25, 50, 25]


def test_names_groups_and_reasons_from_outside_are_text(tmp_path) -> None:
    hostile = ["<script>alert(1)</script>.png", "\" onload='x' &amp;.png", "</table><b>ümlaut 图 \u202e.png"]
    names = tuple(hostile) + demo().real.names[3:]
    fakes = tuple(f"<i>{name}</i>'\"" for name in demo().fake.names)
    ranking = fingerprint.rank(
        Slices(demo().real.pixels, names), Slices(demo().fake.pixels, fakes), groups=lambda name: f"<u>{name}</u>"
    )
    ranking = replace(ranking, failed={"real": (Failure("<img src=x>.png", "<svg onload=alert(1)>"),), "fake": ()})
    page = Page(written(ranking, tmp_path, top=24))
    sources, patients, failed, images = page.tables
    assert {line[1] for line in images} >= set(names)
    assert {line[0] for line in patients} >= {f"<u>{name}</u>" for name in names}
    assert failed[1] == ["real", "<img src=x>.png", "<svg onload=alert(1)>"]
    assert [line[1:4] for line in sources[1:]] == [["24", "1", "0"], ["60", "0", "0"]]
    assert not page.all("script") + page.all("i") + page.all("u")
    assert len(page.all("img")) == 24 * 4
    assert all(set(image) == {"src", "alt"} for image in page.all("img"))
    assert any(fakes[0][:3] in image["alt"] for image in page.all("img"))


def test_files_that_failed_are_listed_with_their_reason(tmp_path) -> None:
    phantoms.write_demo(tmp_path / "demo", n_used=3, n_unused=3, n_fake=9, size=32)
    (tmp_path / "demo" / "real" / "broken.png").write_bytes(b"")
    ranking = fingerprint.rank(tmp_path / "demo" / "real", tmp_path / "demo" / "fake")
    page = Page(written(ranking, tmp_path))
    assert page.tables[1][1:] == [["real", "broken.png", ranking.failed["real"][0].reason]]
    assert {"href": "#failed"} in page.all("a")


@pytest.mark.parametrize(
    ("made", "options", "reason"),
    [
        (
            lambda: fingerprint.rank(demo().real, iter([demo().fake])),
            {},
            "fake: an iterator cannot be read a second time",
        ),
        (lambda: replace(with_reference(), origin=None), {}, "evidence: this ranking has no images"),
        (lambda: fingerprint.rank(demo().real.pixels[:, :4], demo().fake.pixels[:, :4]), {}, "at least 8x8 pixels"),
        (ranked, {"top": 0}, "none were asked for"),
    ],
)
def test_where_there_are_no_pictures_the_page_says_why(tmp_path, made, options, reason) -> None:
    ranking = made()
    page = Page(written(ranking, tmp_path, **options))
    assert not page.all("img")
    assert re.search(f"No pictures: .*{reason}", page.text)
    assert len(page.tables[-1]) == 1 + len(ranking)


@pytest.mark.parametrize("method", ["gan-leaks", "votes"])
def test_other_methods_have_a_linear_axis_and_their_own_unit(tmp_path, method) -> None:
    page = Page(written(fingerprint.rank(demo().real, demo().fake, method=method), tmp_path, top=1))
    assert f"The score is the statistic “{method}”" in page.text
    assert "power of ten" not in page.text
    assert "stretched" not in page.text


def test_the_same_ranking_gives_the_same_bytes(tmp_path) -> None:
    import matplotlib as mpl

    expected = written(with_reference(), tmp_path)
    again = fingerprint.rank(demo().real, demo().fake, reference=unused(), threads=1, block=7)
    with mpl.rc_context({"axes.facecolor": "red", "svg.hashsalt": None, "font.size": 30}):
        assert written(again, tmp_path) == expected


def test_one_image_and_equal_scores(tmp_path) -> None:
    for real in (demo().real.pixels[:1], np.repeat(demo().real.pixels[:1], 5, axis=0)):
        assert "<svg" in written(fingerprint.rank(real, demo().fake), tmp_path)


def test_ten_thousand_images_make_a_page_of_some_megabytes(tmp_path) -> None:
    n = 10_000
    large = replace(
        with_reference(),
        names=tuple(f"patient_{i // 3}_slice_{i}.png" for i in range(n)),
        scores=np.linspace(20, 0, n),
        matches=tuple(with_reference().matches[i % 24] for i in range(n)),
        p_values=np.linspace(0.05, 1, n),
        q_values=np.linspace(0.5, 1, n),
        origin=None,
    )
    assert len(written(large, tmp_path)) < 5e6


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_an_absent_extra_is_named_before_anything_is_done(tmp_path, monkeypatch, library) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf'report: needs {library}; pip install "synthetic-fingerprint\[report\]"'):
        ranked().report(tmp_path / "ranking.html")
    assert not list(tmp_path.iterdir())


def test_errors_say_what_is_wrong(tmp_path) -> None:
    with pytest.raises(InputError, match="top: expected an integer of at least 0, got -1"):
        ranked().report(tmp_path / "ranking.html", top=-1)
    with pytest.raises(TypeError):
        ranked().report(tmp_path / "ranking.html", 3)
