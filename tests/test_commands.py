"""The commands that learn, decide and measure: what they print, write and return."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import challenge
from fingerprint._base.output import write_csv
from fingerprint._cli import tables
from fingerprint._cli.main import main

RNG = np.random.default_rng(0)
DATA = Path(__file__).parent / "data"


def images(n: int) -> np.ndarray:
    return np.kron(RNG.uniform(0, 255, (n, 4, 4)), np.ones((1, 4, 4))).round().astype(np.uint8)


USED, UNUSED = images(16), images(16)
FAKE = np.concatenate([images(20), USED[RNG.integers(16, size=20)] ^ 5])


def write(folder: Path, stack: np.ndarray, prefix: str) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(stack):
        Image.fromarray(image).save(folder / f"{prefix}_{i:04d}.png")


@pytest.fixture
def parts(tmp_path):
    for folder, stack in (
        ("dev/used", USED[:12]),
        ("dev/not_used", UNUSED[:12]),
        ("dev/generated", FAKE[::2]),
        ("test/real_unknown_1", np.concatenate([USED[12:], UNUSED[12:]])),
        ("test/generated_1", FAKE),
    ):
        write(tmp_path / folder, stack, folder.split("/")[1].removesuffix("_1"))
    return tmp_path


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_fit_then_predict_then_evaluate(parts, capsys) -> None:
    dev, test = parts / "dev", parts / "test"
    sides = dev / "used", dev / "not_used", dev / "generated"
    assert run("fit", *sides, "--n-fake", 15, "--out", parts / "d.json", "--threads", 1) == 0
    detector = fingerprint.fit(*sides, n_fake=15)
    assert capsys.readouterr().out == f"{detector}\nWrote {parts / 'd.json'}\n"
    assert fingerprint.load_detector(parts / "d.json") == detector

    unknown, fake = test / "real_unknown_1", test / "generated_1"
    assert run("predict", parts / "d.json", unknown, fake, "--share", 0.5, "--out", parts / "p.csv") == 0
    predictions = detector.predict(unknown, fake, share=0.5)
    called = "".join(f"  {one.name}  {one.probability:.3f}\n" for one in predictions if one.used)
    assert called
    assert capsys.readouterr().out == f"{predictions}\n{called}Wrote {parts / 'p.csv'}\n"
    assert (parts / "p.csv").read_text() == predictions.to_csv()

    assert run("predict", parts / "d.json", unknown, fake) == 0
    assert capsys.readouterr().out.startswith(f"{detector.predict(unknown, fake)}\n")

    (parts / "truth.csv").write_text(
        "name,used,patient\n" + "".join(f"real_unknown_{i:04d}.png,{int(i < 4)},p{i}\n" for i in range(8))
    )
    (parts / "groups.json").write_text(json.dumps({f"real_unknown_{i:04d}.png": i // 2 for i in range(8)}))
    groups = "--groups", parts / "groups.json"
    assert run("evaluate", parts / "truth.csv", parts / "p.csv", "--threshold", 0.5, *groups) == 0
    expected = fingerprint.evaluate(
        [1] * 4 + [0] * 4, predictions.probabilities, threshold=0.5, groups=[str(i // 2) for i in range(8)]
    )
    assert capsys.readouterr().out == f"{expected}\n"


def test_evaluate_takes_run_files(tmp_path, capsys) -> None:
    challenge.write_run(tmp_path / "truth.csv", ["a", "b", "c", "d"], [1, 1, 0, 0])
    challenge.write_run(tmp_path / "run.csv", ["d", "c", "b", "a"], [0, 1, 1, 1])
    assert run("evaluate", tmp_path / "truth.csv", tmp_path / "run.csv", "--json", tmp_path / "e.json") == 0
    expected = fingerprint.evaluate([1, 1, 0, 0], [1, 1, 1, 0])
    assert capsys.readouterr().out == f"{expected}\nWrote {tmp_path / 'e.json'}\n"
    assert json.loads((tmp_path / "e.json").read_text())["f1"]["value"] == expected.f1.value


@pytest.mark.parametrize(
    ("predicted", "groups", "message"),
    [
        ("a,1\n", None, r"run.csv: expected a line for each of the 2 images of .*, found none for 'b' (1 missing)"),
        ("a,1\nb,x\n", None, "run.csv: expected a number for 'b', got 'x'"),
        ("a\n", None, "expected a name and a value in row 1, got ['a']"),
        ("name,rank\na,1\n", None, "run.csv: expected a column score or probability or used, got ['name', 'rank']"),
        (
            "a,1\nb,0\n",
            '{"a": 1}',
            "groups.json: expected a line for each of the 2 images of the truth, found none for 'b'",
        ),
        ("a,1\nb,0\n", "[]", "groups.json: expected a JSON object from file name to patient, got a list"),
        ("a,1\nb,0\n", "{", "groups.json: expected JSON"),
    ],
)
def test_evaluate_says_what_is_wrong(tmp_path, capsys, predicted, groups, message) -> None:
    challenge.write_run(tmp_path / "truth.csv", ["a", "b"], [1, 0])
    (tmp_path / "run.csv").write_text(predicted)
    options = []
    if groups is not None:
        (tmp_path / "groups.json").write_text(groups)
        options = ["--groups", tmp_path / "groups.json"]
    assert run("evaluate", tmp_path / "truth.csv", tmp_path / "run.csv", *options) == 2
    shown = capsys.readouterr().err
    assert all(part in shown for part in message.split(".*"))


def test_names_that_tables_escape_for_spreadsheets_come_back(tmp_path) -> None:
    names = ["=1+1", "-a", "'", "'b", "c'", "d"]
    write_csv(["name", "score"], [[name, number] for number, name in enumerate(names)], tmp_path / "r.csv")
    assert list(tables.read_numbers(str(tmp_path / "r.csv"), ("score",))) == names


def test_evaluate_merges_no_images_of_two_folders(tmp_path, capsys) -> None:
    names = [f"p{p}/s{i}.png" for p in range(4) for i in range(5)]
    (tmp_path / "truth.csv").write_text("name,used\n" + "".join(f"{name},{int(name[1] < '2')}\n" for name in names))
    (tmp_path / "r.csv").write_text("name,score\n" + "".join(f"{name},{-i}\n" for i, name in enumerate(names)))
    assert run("evaluate", tmp_path / "truth.csv", tmp_path / "r.csv") == 0
    assert capsys.readouterr().out.startswith("20 images, 10 used")
    (tmp_path / "r.csv").write_text("name,score\n" + "".join(f"x/{name},{-i}\n" for i, name in enumerate(names)))
    assert run("evaluate", tmp_path / "truth.csv", tmp_path / "r.csv") == 2
    assert "'s0' without folder and extension stands for several images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\xef\xbb\xbfname,used\na,1\nb,0\n", 0),
        (b"name;used\r\na;1\r\nb;0\r\n", 0),
        (b"name\tused\na\t1\nb\t0\n", 0),
        (b"used,file\n1,a.png\n0,b.png\n", 0),
        ("name,used\na,1\nb,0\n".encode("utf-16"), 2),
        (b"name,used\n\xe9,1\nb,0\n", 2),
        (b"name,used\na,1\nb,0\na,0\n", 2),
        (b"name,used\n,1\nb,0\n", 2),
        (b'name,used\n"a,1\nb,0\n', 2),
        (b"", 2),
    ],
)
def test_evaluate_reads_tables_of_spreadsheets_or_says_why_not(tmp_path, capsys, content, status) -> None:
    (tmp_path / "truth.csv").write_bytes(content)
    (tmp_path / "r.csv").write_text("name,score\na,2\nb,1\n")
    assert run("evaluate", tmp_path / "truth.csv", tmp_path / "r.csv") == status
    out, err = capsys.readouterr()
    assert out.startswith("2 images, 1 used") if status == 0 else err.startswith("fingerprint: ")
    assert err.count("\n") == (status == 2)


def test_audit_prints_the_verdict_and_lists_what_failed(parts, capsys) -> None:
    dev = parts / "dev"
    sides = dev / "used", dev / "not_used", dev / "generated"
    assert run("audit", *sides, "--method", "gan-leaks") == 0
    assert capsys.readouterr().out == f"{fingerprint.audit(*sides, method='gan-leaks')}\n"
    (dev / "generated" / "broken.png").write_bytes(b"")
    assert run("audit", *sides, "--method", "gan-leaks", "--seed", 1, "--json", parts / "a.json") == 1
    found = fingerprint.audit(*sides, method="gan-leaks", seed=1)
    assert capsys.readouterr().out == f"{found}\nWrote {parts / 'a.json'}\n"
    assert (parts / "a.json").read_text() == found.to_json()


@pytest.mark.slow
def test_warm_up_leaves_nothing_to_compile(capsys, caplog) -> None:
    assert run("warm-up") == 0
    assert capsys.readouterr().out.startswith("Compiled for this processor")
    with caplog.at_level("INFO", logger="fingerprint"):
        demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=20, size=96)
        fingerprint.rank(demo.real, demo.fake)
    assert not [record for record in caplog.records if "compiling" in record.message]
    assert [record.message.split()[0] for record in caplog.records] == ["read", "prepared", "compared"]


def test_challenge_run_does_the_whole_task(parts, capsys) -> None:
    assert run("challenge", "run", parts / "dev", parts / "test", "--out", parts / "run.csv", "--threads", 1) == 0
    assert f"Run file of 2023: {parts / 'run.csv'}" in capsys.readouterr().out
    found = challenge.read_run(parts / "run.csv", [f"real_unknown_{i:04d}" for i in range(8)])
    assert sum(list(found.values())[:4]) > sum(list(found.values())[4:])
    assert run("challenge", "check", parts / "run.csv", parts / "test") == 0
    assert "run.csv: no fault" in capsys.readouterr().out
    assert run("challenge", "run", parts / "dev", parts / "test", "--out", parts / "run.csv", "--memory", "9MB") == 2
    assert "memory: expected at least" in capsys.readouterr().err


def test_challenge_run_knows_patients_and_writes_probabilities(parts, capsys) -> None:
    folders = [parts / "dev" / "used", parts / "dev" / "not_used", parts / "test" / "real_unknown_1"]
    patients = {
        path.name: f"{folder.name}{i // 2}" for folder in folders for i, path in enumerate(sorted(folder.iterdir()))
    }
    (parts / "groups.json").write_text(json.dumps(patients))
    files = "--out", parts / "run.csv", "--probabilities", parts / "p.csv", "--groups", parts / "groups.json"
    assert run("challenge", "run", parts / "dev", parts / "test", *files, "--threads", 1) == 0
    assert f"Wrote {parts / 'p.csv'}" in capsys.readouterr().out
    answer = challenge.answer(parts / "dev", parts / "test", parts / "other.csv", groups=patients, threads=1)
    assert (parts / "p.csv").read_text() == answer.to_csv()
    assert (parts / "run.csv").read_text() == (parts / "other.csv").read_text()
    assert answer.predictions != challenge.answer(parts / "dev", parts / "test", parts / "other.csv").predictions


def test_challenge_check_names_every_fault(parts, capsys) -> None:
    (parts / "run.csv").write_text("real_unknown_0000,1\n\nreal_unknown_0001,2\n")
    assert run("challenge", "check", parts / "run.csv", parts / "test") == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["line 2: empty line; remove it", "line 3: label '2'; write 0 (not used) or 1 (used)"]
    assert len(shown) == 2 + 6  # six ids are missing
    assert run("challenge", "check", DATA / "right_2025.csv", "--edition", 2025) == 0
    assert run("challenge", "check", parts / "run.csv", parts / "dev") == 2
    assert "TEST_DIR: expected the test part, got the development part" in capsys.readouterr().err


def test_answer_takes_no_more_synthetic_images_than_the_test_has(parts) -> None:
    for path in sorted((parts / "test" / "generated_1").iterdir())[15:]:
        path.unlink()
    answer = challenge.answer(parts / "dev", parts / "test", parts / "run.csv", share=0.5)
    assert answer.detector.n_fake == 15
    assert answer.predictions.share == 0.5
    assert str(answer) == f"{answer.detector}\n{answer.predictions}"
    known = [parts / "dev" / name for name in ("used", "not_used")]
    unknown, generated = parts / "test" / "real_unknown_1", parts / "test" / "generated_1"
    detector = fingerprint.fit(*known, parts / "dev" / "generated", population=unknown, n_fake=15)
    assert answer.detector == detector
    np.testing.assert_array_equal(
        answer.predictions.probabilities,
        detector.predict(unknown, generated, population=known, share=0.5).probabilities,
    )


def test_answer_writes_the_run_file_of_2025(parts) -> None:
    for old, new in (("dev/used", "dev/real_used"), ("dev/not_used", "dev/real_not_used")):
        (parts / old).rename(parts / new)
    (parts / "test" / "generated_1").rename(parts / "test" / "generated")
    (parts / "test" / "real_unknown_1").rename(parts / "test" / "real_unknown")
    assert challenge.answer(parts / "dev", parts / "test", parts / "run.csv").edition == 2025
    assert next(iter(challenge.read_run(parts / "run.csv", edition=2025))) == "real_unknown_0000.png"


def test_answer_takes_one_generator_of_2024(parts, capsys) -> None:
    for name in ("generated", "used", "not_used"):
        (parts / "dev" / name).rename(parts / "dev" / f"{name}_1")
    shutil.copytree(parts / "test" / "generated_1", parts / "test" / "generated_2")
    shutil.copytree(parts / "test" / "real_unknown_1", parts / "test" / "real_unknown_2")
    command = "challenge", "run", parts / "dev", parts / "test", "--out", parts / "run.csv"
    assert run(*command, "--edition", 2024) == 2
    assert "got the folders of two; say --generator 1 or --generator 2\n" in capsys.readouterr().err
    assert run(*command, "--edition", 2024, "--generator", 1) == 0
    assert f"Run file of 2024: {parts / 'run.csv'}" in capsys.readouterr().out
    assert run("challenge", "check", parts / "run.csv", parts / "test", "--generator", 2) == 0
    shutil.rmtree(parts / "test" / "generated_1")
    assert run(*command, "--edition", 2024) == 2
    assert "expected images of the generator of the development part, 1, got those of 2" in capsys.readouterr().err
    (parts / "test" / "generated_2").rename(parts / "test" / "generated_1")
    assert run(*command) == 2
    assert "development part, 2024, got 2023; take both from one edition, or say --edition 2024" in (
        capsys.readouterr().err
    )


def test_answer_says_what_is_wrong(parts) -> None:
    dev, test, out = parts / "dev", parts / "test", parts / "run.csv"
    for arguments, message in (
        ((test, test, out), r"development: expected the development part of the challenge, got the test part in "),
        ((dev, dev, out), r"test: expected the test part of the challenge, got the development part in "),
        ((dev, test, parts / "none" / "run.csv"), r"path: expected a file in an existing folder"),
    ):
        with pytest.raises(fingerprint.InputError, match=message):
            challenge.answer(*arguments)
    shutil.copytree(test, parts / "other")
    (parts / "other" / "generated_1").rename(parts / "other" / "generated")
    (parts / "other" / "real_unknown_1").rename(parts / "other" / "real_unknown")
    with pytest.raises(
        fingerprint.InputError, match="test: expected the edition of the development part, 2023, got 2025"
    ):
        challenge.answer(dev, parts / "other", out)
    (test / "real_unknown_1" / "real_unknown_0003.png").write_bytes(b"")
    with pytest.raises(
        fingerprint.InputError, match=r"test: expected every real image to be readable.* got 1 that are"
    ):
        challenge.answer(dev, test, out)
    assert not out.exists()
