"""Files that are written: whole or not at all, and harmless for spreadsheets and terminals."""

import csv
import io
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._base import output
from fingerprint._base.failures import Failure, failed_lines


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2), max_size=4))
def test_every_text_comes_back_from_a_table(rows) -> None:
    written = output.write_csv(["a", "b"], rows, None)
    found = list(csv.reader(io.StringIO(written, newline="")))
    assert found[0] == ["a", "b"]
    assert [[output.from_cell(cell) for cell in row] for row in found[1:]] == rows


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_no_text_is_computed_by_a_spreadsheet(text) -> None:
    (cell,) = list(csv.reader(io.StringIO(output.write_csv(["name"], [[text]], None), newline="")))[1]
    assert cell.startswith("'")
    assert output.write_csv(["score"], [[-1.5]], None) == "score\n-1.5\n"  # a number stays one


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.csv"
    output.write("old", path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        output.write("new", path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["r.csv"]
    monkeypatch.undo()
    assert output.write("new", path) == "new"
    assert path.read_text() == "new"


def test_a_link_stays_one(tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    output.write("text", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_written_to(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    output.write("text", tmp_path / "pipe")
    reader.join()
    assert read == ["text"]


def test_names_that_are_no_utf_8_are_escaped(tmp_path) -> None:
    output.write("a\udce9b", tmp_path / "r.txt")
    assert (tmp_path / "r.txt").read_text() == "a\\udce9b"


def test_no_control_character_reaches_a_terminal() -> None:
    (line,) = failed_lines({"real": (Failure("a\nb\x1b[31m.png", "not\rreadable\u202e"),)})
    assert line == "failed, real: a\\nb\\x1b[31m.png: not\\rreadable\\u202e"
    assert output.printable("Müller 画像.png") == "Müller 画像.png"
