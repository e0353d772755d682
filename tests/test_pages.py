"""The code on the pages runs, page by page and from top to bottom, in a folder that has what it names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fingerprint import phantoms

ROOT = Path(__file__).parents[1]
PAGES = [  # the tutorial runs when the site is built
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "\n```" in page.read_text(encoding="utf-8") and page.name != "tutorial.md"
]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("pip ", "fingerprint demo")  # what installs and draws, which the checks of the whole project run
DONE = (0, 3)  # 3: the gate that the page asks for found a leak


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Write the folders that the pages name, a patient of two images each."""
    drawn = phantoms.thorax(132, size=64, seed=7)
    places = {"real": 24, "known_unused": 24, "used": 24, "unused": 12, "held_out": 12, "not_used": 12}
    places |= {"real_unknown": 6, "real/a": 6, "real/b": 6, "real/c": 6}
    start = 0
    for name, count in places.items():
        write(tmp_path / name, drawn[start : start + count], start)
        start += count
    used = drawn[48:72]
    for i, name in enumerate(("fake", "generated", "synthetic", "generated_1", "generated_a", "generated_b")):
        write(tmp_path / name, phantoms.generate(used, 60, leak=0.3, seed=i)[0], 1000 * (i + 1))
    write(tmp_path / "generated_unknown", phantoms.generate(drawn[-6:], 6, leak=1)[0], 9000)
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)


def write(folder: Path, images, start: int) -> None:
    folder.mkdir()
    for i, image in enumerate(images, start):
        Image.fromarray(image).save(folder / f"P{i // 2:04d}_slice{i}.png")


def patient(name: str) -> str:
    return Path(name).name.split("_")[0]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_a_page_runs(page, folders) -> None:
    names = {"patients": patient}
    exec("import fingerprint", names)
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(text, page.name, "exec"), names)
            continue
        lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
        for line in lines:
            if not line.startswith(ELSEWHERE):
                done = subprocess.run(
                    line.replace("fingerprint ", f"{sys.executable} -m fingerprint ", 1),
                    shell=True,
                    capture_output=True,
                    text=True,
                )
                assert done.returncode in DONE, f"{line}\n{done.stderr}"
