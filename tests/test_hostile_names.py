"""Names with line breaks, escape sequences and characters that turn the text: none reaches a terminal, none forges."""

import contextlib
import csv
import io

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint._base.output import from_cell
from fingerprint._cli.main import main

ACTS = "x\nFORGED \x1b[31m\u202e\x07\r"  # a line of its own, red, from right to left, a bell, over what stands there


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("names") / f"folder{ACTS}"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 16), np.uint8)
    pixels[2, 0] = pixels[0, 0]  # a copy, which has a sentence of its own
    for folder, images in zip(("real", "unused", "fake"), pixels, strict=True):
        (root / folder).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(root / folder / f"{i}{ACTS}.png")
        (root / folder / f"broken{ACTS}.png").write_bytes(b"x")
    (root / "groups.csv").write_text(f'name,patient\n"a{ACTS}",1\n"a{ACTS}",2\n', newline="")
    (root / "truth.csv").write_text(f'name,used\n"a{ACTS}",1\n"b",0\n', newline="")
    (root / "scores.csv").write_text("name,score\nb,1\n")
    (root / "run.csv").write_text("real_1\x1b[31m\u202e,1\n", encoding="utf-8")
    fingerprint.fit(root / "real", root / "unused", root / "fake").save(root / "detector.json")
    return root


COMMANDS = {
    "rank": "rank {real} {fake} --out {root}/r.csv",
    "decide": "decide {real} {fake} --group-pattern (?s).*",
    "distances": "distances {real} {fake} --out {root}/d.csv",
    "check": "check {real} {fake}",
    "audit": "audit {real} {unused} {fake}",
    "compare": "compare {real} {fake} {fake}",
    "attribute": "attribute {real} {unused} {fake}",
    "predict": "predict {root}/detector.json {real} {fake}",
    "fit": "fit {real} {unused} {fake} --out {root}/again.json",
    "a groups file": "rank {real} {fake} --groups {root}/groups.csv",
    "no groups file": "rank {real} {fake} --groups {root}/none.csv",
    "a pattern that finds nothing": "rank {real} {fake} --group-pattern nothing",
    "truth": "evaluate {root}/truth.csv {root}/scores.csv",
    "a run file": "challenge check {root}/run.csv",
    "folders of the challenge": "challenge run {real} {fake} --out {root}/x.csv",
    "a file that is none": "rank {root}/run.csv {fake}",
    "a detector that is none": "predict {root}/truth.csv {real} {fake}",
    "a folder that is there": "demo {real}",
    "no folder": "rank {real}none {fake}",
    "no folder to write to": "rank {real} {fake} --out {root}/none/r.csv",
    "an option that is none": "rank {real} {fake} --{root}",
    "a command that is none": "{root}",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_acts_in_a_terminal_or_forges_a_line(root, command, capsys) -> None:
    places = {"root": root} | {name: root / name for name in ("real", "unused", "fake")}
    with contextlib.suppress(SystemExit):  # of the parser
        main([word.format(**places) for word in COMMANDS[command].split(" ")])
    shown = "".join(capsys.readouterr())
    assert "FORGED" in shown or command == "compare"
    assert not [line for line in shown.split("\n") if line.startswith("FORGED")]
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_names_come_back_from_tables_as_they_are(root) -> None:
    ranking = fingerprint.rank(root / "real", root / "fake")
    rows = list(csv.reader(io.StringIO(ranking.to_csv(), newline="")))[1:]
    assert [from_cell(row[1]) for row in rows] == list(ranking.names)
    assert main(["distances", *(str(root / name) for name in ("real", "fake")), "--out", str(root / "d.csv")]) == 1
    with (root / "d.csv").open(encoding="utf-8", newline="") as file:
        assert [from_cell(row[0]) for row in list(csv.reader(file))[1:]] == list(fingerprint.load(root / "real").names)
    assert fingerprint.Ranking.from_json(ranking.to_json()).names == ranking.names
