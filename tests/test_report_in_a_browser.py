"""The release report in headless Chromium: nothing axe-core objects to, no request, all of it reachable and printed."""

import os
import shutil
import subprocess
from pathlib import Path

import browser
import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import phantoms

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))  # `npm install axe-core`

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.found() is None, reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Return the reports of a ranking with everything in it, without names, of an audit, and of scores."""
    folder = tmp_path_factory.mktemp("pages")
    phantoms.write_demo(folder / "demo", n_used=16, n_unused=16, n_fake=80, leak=0.3, size=64)
    real, fake = folder / "demo" / "real", folder / "demo" / "fake"
    shutil.copy(real / "real_003.png", fake / "stolen.png")
    (fake / "broken.png").write_bytes(b"")
    unused = phantoms.thorax(30, seed=5, size=64)
    ranking = fingerprint.rank(real, fake, reference=unused, groups=[f"p{i // 2}" for i in range(62)])
    audit = fingerprint.audit(real, unused, fake, n_permutations=99)
    scores = fingerprint.audit_scores([3.0, 4, 5, 6], [1.0, 2, 1.5, 2.5], n_permutations=99)
    found = {name: folder / f"{name}.html" for name in ("ranking", "hidden", "audit", "scores")}
    ranking.report(found["ranking"], notes="Seen.")
    ranking.report(found["hidden"], images=False)
    audit.report(found["audit"])
    scores.report(found["scores"])
    return found


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as opened:
        yield opened


SEEN = [(width, scheme, "screen") for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm install axe-core, or AXE_CORE=its axe.min.js")
@pytest.mark.parametrize("name", ["ranking", "hidden", "audit", "scores"])
@pytest.mark.parametrize(("width", "scheme", "media"), [*SEEN, (1280, "light", "print")])
def test_axe_objects_to_nothing(chromium, pages, name, width, scheme, media) -> None:
    chromium.show(pages[name], width=width, scheme=scheme, media=media)
    chromium.run(AXE.read_text(encoding="utf-8"))
    found = chromium.run("axe.run().then(one => one.violations.map(v => v.id + ': ' + v.nodes[0].html))")
    assert found == []
    assert chromium.run("axe.run().then(one => one.passes.length)") > 10


def test_axe_would_object_to_a_panel_that_no_key_reaches(chromium, tmp_path) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core")
    rows = "<p>row</p>" * 100
    (tmp_path / "bad.html").write_text(
        f'<html><body><div style="overflow:auto;height:9em">{rows}</div><img src=""></body>'
    )
    chromium.show(tmp_path / "bad.html", width=390)
    chromium.run(AXE.read_text(encoding="utf-8"))
    found = chromium.run("axe.run().then(one => one.violations.map(v => v.id))")
    assert {"image-alt", "html-has-lang"} <= set(found)


@pytest.mark.parametrize("name", ["ranking", "audit"])
def test_the_page_asks_for_nothing_but_itself(chromium, pages, name) -> None:
    chromium.show(pages[name], width=1280)
    asked = [one for one in chromium.requests if not one.startswith("data:")]
    assert asked == [pages[name].resolve().as_uri()]
    assert chromium.run("fetch('http://localhost:9/').then(() => 'came through', () => 'refused')") == "refused"
    assert chromium.run("document.querySelectorAll('script').length") == 0


@pytest.mark.parametrize("name", ["ranking", "hidden", "audit", "scores"])
def test_on_a_phone_the_page_is_as_wide_as_the_phone_and_shows_every_panel(chromium, pages, name) -> None:
    chromium.show(pages[name], width=390)
    assert chromium.run("document.documentElement.scrollWidth") <= 390
    edges = chromium.run("[...document.querySelectorAll('.panels img')].map(i => i.getBoundingClientRect().right)")
    assert len(edges) == (80 if name in ("ranking", "audit") else 0)
    assert all(0 < edge <= 390 for edge in edges)
    hidden = "[...document.querySelectorAll('.rows')].filter(one => one.tabIndex !== 0).length"
    assert chromium.run(hidden) == 0


def test_contents_lead_to_places_of_the_page(chromium, pages) -> None:
    chromium.show(pages["ranking"], width=1280)
    missing = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href')))"
    assert chromium.run(f"{missing}.length") == 0
    assert chromium.run("document.querySelectorAll('nav a').length") == chromium.run(
        "document.querySelectorAll('main h2').length - 1"
    )


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs pdftoppm of poppler")
@pytest.mark.parametrize("name", ["ranking", "hidden", "audit"])
def test_printed_pages_have_numbers_and_are_full(chromium, pages, tmp_path, name) -> None:
    chromium.show(pages[name], width=1280)
    chromium.print(tmp_path / "page.pdf")
    text = subprocess.run(["pdftotext", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
    count = text.count("\f")
    assert count > 2
    assert all(f"Page {number} of {count}" in text for number in range(1, count + 1))
    subprocess.run(["pdftoppm", "-r", "30", "-png", "-gray", tmp_path / "page.pdf", tmp_path / "page"], check=True)
    sheets = sorted(tmp_path.glob("page-*.png"))
    assert len(sheets) == count
    for path in sheets[:-1]:
        with Image.open(path) as sheet:
            grey = np.asarray(sheet.convert("L"))
        inner = grey[round(len(grey) * 15 / 297) : round(len(grey) * 280 / 297)]  # between the margins
        inked = (inner < 200).any(axis=1)
        assert inked[::-1].argmax() < 0.25 * len(inked), path.name
