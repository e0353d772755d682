"""The command line: results on stdout, one-line errors on stderr, and the exit status."""

import json
import os
import runpy
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from images import dicom
from PIL import Image

import fingerprint
from fingerprint._cli.main import main, program

RNG = np.random.default_rng(4)
REAL = RNG.integers(0, 256, (4, 16, 16), dtype=np.uint8)
FAKE = np.concatenate([RNG.integers(0, 256, (5, 16, 16), dtype=np.uint8), REAL[2:3]])


@pytest.fixture
def folders(tmp_path):
    for name, images in (("real", REAL), ("fake", FAKE), ("unused", REAL[::-1] // 2)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{name}_{i}.png")
    return tmp_path


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_rank_prints_the_table_and_writes_the_files(folders, capsys) -> None:
    (folders / "groups.json").write_text(json.dumps({f"real_{i}.png": i // 2 for i in range(4)}))
    status = run(
        *("rank", folders / "real", folders / "fake", "--groups", folders / "groups.json", "--threads", 1),
        *("--out", folders / "r.csv", "--json", folders / "r.json", "--neighbours", 2),
    )
    expected = fingerprint.rank(
        folders / "real", folders / "fake", groups={f"real_{i}.png": i // 2 for i in range(4)}, k=2, threads=1
    )
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert out.startswith(f"{expected}\n{expected.decide().verdict}\nWrote ")
    assert (folders / "r.csv").read_text() == expected.to_csv()
    assert (folders / "r.json").read_text() == expected.to_json()


def test_rank_with_a_reference_and_a_method(folders, capsys) -> None:
    status = run("rank", folders / "real", folders / "fake", "--reference", folders / "unused", "--method", "ssim")
    expected = fingerprint.rank(folders / "real", folders / "fake", reference=folders / "unused", method="ssim")
    assert status == 0
    assert capsys.readouterr().out == f"{expected}\n{expected.decide().verdict}\n"


def test_rank_writes_the_report(folders, capsys, monkeypatch) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    assert run("rank", folders / "real", folders / "fake", "--report", folders / "r.html") == 0
    found = fingerprint.check(folders / "real", folders / "fake")
    rows = [
        [text.replace("groups=", "--groups").replace("population=", "--population") for text in row] for row in found
    ]
    assert rows != [list(row) for row in found]  # on the command line, options are named
    fingerprint.rank(folders / "real", folders / "fake").report(folders / "expected.html", check=rows)
    assert (folders / "r.html").read_bytes() == (folders / "expected.html").read_bytes()
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr(fingerprint, "rank", None)
    assert run("rank", folders / "real", folders / "fake", "--report", folders / "r.html") == 2
    assert (
        capsys.readouterr().err == 'fingerprint: --report: needs jinja2; pip install "synthetic-fingerprint[report]"\n'
    )


def test_failed_files_are_shown_and_change_the_exit_status(folders, capsys) -> None:
    (folders / "fake" / "broken.png").write_bytes(b"")
    assert run("rank", folders / "real", folders / "fake") == 1
    assert "failed, fake: broken.png: empty" in capsys.readouterr().out
    assert run("distances", folders / "real", folders / "fake", "--out", folders / "d.npy") == 1
    assert "failed: broken.png: empty" in capsys.readouterr().out


def test_sizes_and_inner_folders(folders, capsys) -> None:
    (folders / "real" / "inner").mkdir()
    Image.fromarray(REAL[0][:8]).save(folders / "real" / "inner" / "small.png")
    assert run("rank", folders / "real", folders / "fake", "--recursive") == 2
    assert "8x16" in capsys.readouterr().err
    assert run("rank", folders / "real", folders / "fake", "--recursive", "--size", 16) == 0
    assert "5 real images" in capsys.readouterr().out


def test_distances_as_npy_and_csv(folders, capsys) -> None:
    expected = fingerprint.distances(REAL, FAKE, metric="manhattan")
    for suffix in ("npy", "csv"):
        out = folders / f"d.{suffix}"
        assert run("distances", folders / "real", folders / "fake", "--metric", "manhattan", "--out", out) == 0
        assert str(out) in capsys.readouterr().out
    assert np.array_equal(np.load(folders / "d.npy"), expected)
    lines = [line.split(",") for line in (folders / "d.csv").read_text().splitlines()]
    assert lines[0] == ["name", *(f"fake_{i}.png" for i in range(6))]
    assert [line[0] for line in lines[1:]] == [f"real_{i}.png" for i in range(4)]
    assert np.array_equal([[float(value) for value in line[1:]] for line in lines[1:]], expected)


def test_demo_writes_ranks_and_compares_with_the_truth(tmp_path, capsys, monkeypatch) -> None:
    small = {"n_used": 4, "n_unused": 4, "n_fake": 30, "size": 64}
    write = fingerprint.phantoms.write_demo
    monkeypatch.setattr(fingerprint.phantoms, "write_demo", lambda folder, **more: write(folder, **small, **more))
    assert run("demo", tmp_path / "demo", "--seed", 3) == 0
    out = capsys.readouterr().out
    assert "8 real images against 30 synthetic ones" in out
    assert "4 of 8 images were used" in out
    assert "used or not: AUC" in out
    ranking = fingerprint.rank(tmp_path / "demo" / "real", tmp_path / "demo" / "fake")
    assert (tmp_path / "demo" / "ranking.csv").read_text() == ranking.to_csv()
    assert run("demo", tmp_path / "demo") == 2
    assert "new or empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rank", "/no/such", "/no/fake"), "real: expected an existing folder or file, got '/no/such'"),
        (("rank", "{real}", "{fake}", "--method", "magic"), "method: expected one of"),
        (("rank", "{real}", "{fake}", "--threads", "0"), "threads: expected an integer of at least 1"),
        (("rank", "{real}", "{fake}", "--groups", "/no/groups.json"), "No such file"),
        (("rank", "{real}", "{fake}", "--groups", "{real}/real_0.png"), "real_0.png: expected text in UTF-8"),
        (("rank", "{real}", "{fake}", "--groups", "{list}"), "list.json: expected a JSON object"),
        (
            ("rank", "{real}", "{fake}", "--out", "/no/such/r.csv"),
            "r.csv: expected a file in an existing folder",
        ),
        (("rank", "{real}", "{fake}", "--json", "{real}"), "expected the name of a file to write, found a folder"),
        (("rank", "{real}", "{fake}", "--group-pattern", "("), "--group-pattern: expected a regular expression"),
        (("rank", "{real}", "{fake}", "--group-pattern", "x(.)"), "to match every name, found none in 'real_0.png'"),
        (("rank", "{nested}", "{fake}"), "got 1 other file; pass --recursive to read"),
        (("rank", "{real}", "{small}"), "pass --size 16 to resample"),
        (
            ("rank", "{real}", "{fake}", "--out", "-", "--json", "-"),
            "--out, --json: expected one of them to be '-', got 2",
        ),
        (("rank", "{real}", "{fake}", "--report", "-"), "--report: expected the name of a file, got '-'"),
        (("distances", "{real}", "{fake}", "--out", "d.txt"), "--out: expected a file name ending in .npy or .csv"),
        (("distances", "{real}", "{fake}", "--metric", "magic", "--out", "d.npy"), "metric: expected one of"),
    ],
)
def test_what_a_user_can_do_wrong_is_one_line_and_exit_status_2(folders, capsys, arguments, message) -> None:
    (folders / "list.json").write_text("[1]")
    (folders / "small").mkdir()
    Image.fromarray(REAL[0, :8, :8]).save(folders / "small" / "small.png")
    places = {"real": folders / "real", "fake": folders / "fake", "list": folders / "list.json"}
    places |= {"small": folders / "small", "nested": folders}
    assert run(*(argument.format(**places) for argument in arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fingerprint: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["rank"], 2)])
def test_help_version_and_missing_arguments(arguments, status, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == status
    out, err = capsys.readouterr()
    if arguments == ["--help"]:
        assert "fingerprint rank real/ fake/" in out
    elif arguments == ["--version"]:
        assert out == f"fingerprint {fingerprint.__version__}\n"
    else:
        assert "usage: fingerprint" in err


def test_a_reader_that_has_seen_enough_is_no_error(folders, capsys, monkeypatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe:  # noqa: PTH123  (a descriptor, no path)
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("rank", folders / "real", folders / "fake", "--method", "ssim") == 0
    assert capsys.readouterr().err == ""


def test_python_m_fingerprint_and_the_console_script_are_the_same(monkeypatch, capsys) -> None:
    (script,) = entry_points(group="console_scripts", name="fingerprint")
    assert script.value == "fingerprint._cli.main:program"
    assert script.load() is program
    monkeypatch.setattr(sys, "argv", ["fingerprint", "--version"])
    monkeypatch.setattr("fingerprint._cli.main._end_at_once", lambda: None)  # what a process of its own needs
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fingerprint", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fingerprint {fingerprint.__version__}\n"


def test_tables_and_json_go_to_stdout_and_the_rest_to_stderr(folders, capsys) -> None:
    expected = fingerprint.rank(folders / "real", folders / "fake")
    for option, content in (("--json", expected.to_json()), ("--out", expected.to_csv())):
        assert run("rank", folders / "real", folders / "fake", option, "-") == 0
        out, err = capsys.readouterr()
        assert out == content
        assert err.startswith(str(expected))
        assert run("rank", folders / "real", folders / "fake", option, "-", "--quiet") == 0
        assert capsys.readouterr() == (content, "")
    assert not (folders / "-").exists()


def test_what_was_found_is_printed_even_if_a_file_cannot_be_written(folders, capsys, monkeypatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    expected = str(fingerprint.rank(folders / "real", folders / "fake"))
    monkeypatch.setattr(fingerprint.Ranking, "to_csv", full)
    assert run("rank", folders / "real", folders / "fake", "--out", folders / "r.csv") == 2
    out, err = capsys.readouterr()
    assert out.startswith(expected)
    assert err == f"fingerprint: {folders / 'r.csv'}: No space left on device\n"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_names_that_the_console_cannot_show_are_escaped(folders, encoding) -> None:
    (folders / "real" / "real_0.png").rename(folders / "real" / "\u753b\u50cf.png")
    command = [sys.executable, "-m", "fingerprint", "rank", folders / "real", folders / "fake"]
    shown = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, check=True)
    assert b"\\u753b\\u50cf.png" in shown.stdout
    assert shown.stderr == b""


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_ends_the_program_at_once_with_one_line(number, word) -> None:
    busy = "import time; main._end_at_once(); print('ready', flush=True); time.sleep(60)"  # a call that does not return
    command = [sys.executable, "-c", f"from fingerprint._cli import main; {busy}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (128 + number, f"fingerprint: {word}\n".encode())


def test_groups_by_folder_pattern_and_table(folders, capsys) -> None:
    for i in range(4):
        (folders / "real" / f"p{i // 2}").mkdir(exist_ok=True)
        (folders / "real" / f"real_{i}.png").rename(folders / "real" / f"p{i // 2}" / f"{i}.png")
    (folders / "groups.csv").write_text("name,patient\n" + "".join(f"p{i // 2}/{i}.png,p{i // 2}\n" for i in range(4)))
    tables = []
    for way in (("--group-by", "folder"), ("--group-pattern", r"(p\d)/"), ("--groups", folders / "groups.csv")):
        out = folders / "r.csv"
        assert run("rank", folders / "real", folders / "fake", "--recursive", "--out", out, *way) == 0
        tables.append(out.read_text())
    capsys.readouterr()
    assert tables[0] == tables[1] == tables[2]
    assert ",p1," in tables[0]


def test_groups_by_patient_id(folders, capsys) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (13, 16, 16), dtype=np.uint8)
    (folders / "dicom").mkdir()
    for i in range(12):
        dicom(folders / "dicom" / f"IM{i}", pixels[i], PatientID=f"p{i // 3}")
    arguments = "rank", folders / "dicom", folders / "fake", "--out", folders / "r.csv"
    tables = []
    for way in ((), ("--group-by", "PatientID")):
        assert run(*arguments, *way, "--json", folders / "r.json") == 0
        tables.append((folders / "r.csv").read_text())
    assert tables[0] == tables[1]
    assert ",p3," in tables[1]
    assert json.loads((folders / "r.json").read_text())["settings"]["groups"] == "PatientID"
    dicom(folders / "dicom" / "IM12", pixels[12])
    assert run(*arguments) == 0
    assert ",p3," not in (folders / "r.csv").read_text()
    capsys.readouterr()
    assert run(*arguments, "--group-by", "PatientID") == 2
    assert "groups: expected files that all name their patient" in capsys.readouterr().err


def test_a_gate_has_an_exit_status_of_its_own(folders, capsys, monkeypatch) -> None:
    audit = fingerprint.audit
    sides = folders / "unused", folders / "real", folders / "fake"
    assert run("audit", *sides, "--fail-above", 1) == 3  # too few to tell: a gate that cannot tell stays shut
    assert "exit status 3, --fail-above 1: too few images to tell" in capsys.readouterr().err
    more = fingerprint.phantoms.thorax(80, size=32)
    sides = [fingerprint.Slices(part, tuple(map(str, range(40)))) for part in (more[:40], more[40:])]
    blurred = ((more[:30].astype(int) + np.roll(more[:30], 1, axis=2)) // 2).astype(np.uint8)
    monkeypatch.setattr(fingerprint, "audit", lambda *_, **__: audit(*sides, blurred))
    assert run("audit", "a", "b", "c", "--fail-above", 0.05) == 3
    assert "exit status 3, --fail-above 0.05: at least" in capsys.readouterr().err
    assert run("audit", "a", "b", "c", "--fail-above", 0.99) == 0
    monkeypatch.setattr(fingerprint, "audit", lambda *_, **__: audit(*sides, more[:30]))
    assert run("audit", "a", "b", "c", "--fail-above", 0.99) == 3  # copies
    assert "exit status 3, --fail-above: used images that have a copy: 30" in capsys.readouterr().err
    assert run("audit", "a", "b", "c") == 0
    assert run("rank", folders / "real", folders / "fake", "--fail-if-called") == 3  # a copy
    assert "exit status 3, --fail-if-called: 1 called used" in capsys.readouterr().err
    assert run("rank", folders / "unused", folders / "fake", "--fail-if-called") == 0
    capsys.readouterr()


def test_decide_compare_and_attribute_print_what_the_functions_find(folders, capsys) -> None:
    real, unused, fake = (folders / name for name in ("real", "unused", "fake"))
    assert run("decide", real, fake, "--rate", 0.2, "--group-pattern", r"(\d)") == 0
    ranking = fingerprint.rank(real, fake, groups=lambda name: name[5])
    decided, (few,) = ranking.decide(false_discovery_rate=0.2), ranking.notes
    assert capsys.readouterr().out == f"{decided}\n  real_2.png\n  patient 2\nNote: {few}\n"  # it has a copy
    assert run("compare", real, fake, unused) == 0
    assert capsys.readouterr().out == f"{fingerprint.compare(real, fake, unused)}\n"
    assert run("attribute", real, unused, fake) == 0
    assert capsys.readouterr().out == f"{fingerprint.attribute({str(real): real, str(unused): unused}, fake)}\n"
