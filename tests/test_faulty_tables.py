"""Detector, groups, truth and run files that are damaged or hostile: each is refused in one line, none is believed."""

import contextlib
import functools
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fingerprint
from fingerprint import InputError, challenge
from fingerprint._answers.detector import MEASURES, Detector
from fingerprint._base import checks, texts
from fingerprint._cli import tables
from fingerprint._cli.main import main
from fingerprint._statistics.intervals import Estimate

DEEP = "[" * 200_000 + "]" * 200_000
LONG = "9" * 400


@functools.cache
def whole() -> str:
    return Detector(
        inputs=("nearness 8", "prominence"),
        weights=(0.5, 0.0),
        centres=(1.5, -0.25),
        spreads=(0.5, 2.0),
        intercept=-0.5,
        n_fake=10,
        n_used=10,
        n_unused=10,
        n_population=0,
        penalty=10.0,
        expected=dict.fromkeys(MEASURES, Estimate(0.5, 0.25, 0.75)),
    ).to_json()


def refused(text: str) -> str:
    """Return the one line that refuses a detector."""
    with pytest.raises(InputError) as caught:
        fingerprint.load_detector(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


def changed(**fields: object) -> str:
    return json.dumps(json.loads(whole()) | fields)


def measured(value: object, low: float, high: float) -> str:
    return changed(expected={name: {"value": value, "low": low, "high": high} for name in MEASURES})


def test_the_detector_itself_is_read() -> None:
    assert fingerprint.load_detector(whole()).to_json() == whole()


DETECTORS = {
    "nan": changed(weights=[0.5, float("nan")]),
    "infinity": changed(centres=[float("-inf"), 0.0]),
    "a number beyond float64": whole().replace("1.5", "1.5e400"),
    "400 digits": whole().replace("1.5", LONG),
    "400 digits of a count": whole().replace('"n_fake": 10', f'"n_fake": {LONG}'),
    "5,000 digits": whole().replace("1.5", LONG * 13),
    "400 digits behind the point": whole().replace("1.5", f"1.{LONG}e{LONG}"),
    "a huge weight": changed(weights=[1e300, 0.0]),
    "a negative weight": changed(weights=[-0.5, 0.0]),
    "a spread of zero": changed(spreads=[0.0, 2.0]),
    "a negative spread": changed(spreads=[-0.5, 2.0]),
    "a spread that is hardly one": changed(spreads=[1e-300, 2.0]),
    "no synthetic images": changed(n_fake=0),
    "a negative count": changed(n_used=-10),
    "a negative population": changed(n_population=-1),
    "a count with a fraction": changed(n_unused=10.5),
    "a count as text": changed(n_fake="10"),
    "a count as a boolean": changed(n_population=False),
    "a weight as text": changed(weights=["0.5", 0.0]),
    "a weight as a boolean": changed(weights=[True, 0.0]),
    "a weight that is null": changed(weights=[None, 0.0]),
    "weights as text": changed(weights="01"),
    "weights as an object": changed(weights={"0": 1, "1": 1}),
    "one weight too many": changed(weights=[0.5, 0.0, 0.0]),
    "no statistic": changed(inputs=[], weights=[], centres=[], spreads=[]),
    "inputs as text": changed(inputs="ab"),
    "inputs that are lists": changed(inputs=[["nearness 8"], ["prominence"]]),
    "a negative penalty": changed(penalty=-1),
    "an intercept in a list": changed(intercept=[0.5]),
    "a measure beyond one": measured(1.5, 0, 1),
    "an interval the wrong way round": measured(0, 1, 0),
    "a measure as text": measured("1", 0, 1),
    "a measure too many": changed(expected=json.loads(whole())["expected"] | {"luck": None}),
    "a measure missing": changed(expected={}),
    "a field too many": changed(luck=7),
    "a field missing": json.dumps({k: v for k, v in json.loads(whole()).items() if k != "penalty"}),
    "a field twice": whole().replace('"penalty"', '"penalty": 1.0,\n "penalty"'),
    "nested 200,000 deep": changed(luck=0).replace('"luck": 0', f'"luck": {DEEP}'),
    "settings that are no object": changed(version="0", date="0", sources=[], settings=5),
    "another schema": changed(schema=3),
    "a schema as a boolean": changed(schema=True),
    "another format": changed(format="fingerprint Ranking"),
    "cut": whole()[:-40],
    "a second value behind it": whole() + "{}",
}


@pytest.mark.parametrize("fault", DETECTORS)
def test_a_detector_file_is_checked_as_a_whole(fault: str) -> None:
    assert DETECTORS[fault] != whole()
    assert refused(DETECTORS[fault]).startswith("path: expected ")


@given(st.randoms(use_true_random=False))
def test_a_damaged_detector_is_refused_or_the_same_numbers(rng: random.Random) -> None:
    data = bytearray(whole().encode())
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data[at : at + rng.choice((0, 1, 1, 20))] = rng.choice(
            (b"", b"0", b"-", b"e9", b'"', b"]", bytes([data[at] ^ 1]))
        )
    text = "{" + data.decode("utf-8", "replace")[1:]
    try:
        found = fingerprint.load_detector(text)
    except InputError:
        pass
    else:
        assert np.isfinite([*found.weights, *found.centres, *found.spreads, found.intercept]).all()
        assert min(found.weights) >= 0 < min(found.spreads)
        assert json.loads(found.to_json()) == json.loads(text)


def test_a_ranking_file_is_checked_as_a_whole() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    content = json.loads(fingerprint.rank(images[:2], images[2:], method="gan-leaks").to_json())
    row = content["rows"][0]
    for change in (
        {"rows": []},
        {"rows": [row | {"score": "1.5"}]},
        {"rows": [row | {"luck": 1}]},
        {"order": [0, "1"]},
        {"notes": "abc"},
        {"n_fake": 2.5},
        {"luck": 1},
    ):
        with pytest.raises(InputError, match=r"^path: expected a complete Ranking, got "):
            fingerprint.Ranking.from_json(json.dumps(content | change))
    assert len(fingerprint.Ranking.from_json(json.dumps(content))) == 2


# --- Groups and truth ---------------------------------------------------------------------------------------------


GROUPS = {
    "nested 200,000 deep": f'{{"a": {DEEP}}}',
    "a name twice": '{"a": 1, "b": 2, "a": 3}',
    "no patient": '{"a": null}',
    "a patient that is a list": '{"a": [1]}',
    "a patient that is a boolean": '{"a": true}',
    "a patient that is no number": '{"a": NaN}',
    "400 digits": f'{{"a": {LONG}}}',
    "a list": '["a"]',
    "text": '"a"',
    "nothing": "",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"é": 1}'.encode("latin-1"),
    "a name of 200 kB twice": f'{{"{"a" * 200_000}": 1, "{"a" * 200_000}": 2}}',
}


@pytest.mark.parametrize("fault", GROUPS)
def test_a_groups_file_is_refused_in_one_line(tmp_path, capsys, fault) -> None:
    text = GROUPS[fault]
    (tmp_path / "groups.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "truth.csv").write_text("a,1\nb,0\n")
    status = main(["evaluate", *[str(tmp_path / "truth.csv")] * 2, "--groups", str(tmp_path / "groups.json")])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"fingerprint: {tmp_path / 'groups.json'}: expected ")
    assert len(err) < 400


TRUTH = {
    "a name twice": b"a,1\nb,0\na,1\n",
    "a column twice": b"name,used,used\na,1,0\nb,0,1\n",
    "a column of names twice": b"name,name,used\na,b,0\nb,a,1\n",
    "no value": b"a,\nb,0\n",
    "None": b"a,None\nb,0\n",
    "no name": b",1\nb,0\n",
    "a field of 200 kB": b"a,1\nb," + b"0" * 200_000 + b"\n",
    "a name of 200 kB": b"a,1\n" + b"b" * 200_000 + b",0\n",
    "400 digits": f"a,{LONG}\nb,0\n".encode(),
    "digits of another script": "a,\u0661\nb,0\n".encode(),
    "digits with underscores": b"a,1_0\nb,0\n",
    "a label that is no label": b"a,2\nb,0\n",
    "nan": b"a,nan\nb,0\n",
    "one column": b"a\nb\n",
    "an open quote": b'a,1\n"b,0\n',
    "UTF-16": "a,1\nb,0\n".encode("utf-16"),
    "Latin-1": "é,1\nb,0\n".encode("latin-1"),
    "zeros": bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("fault", TRUTH)
def test_a_truth_file_is_refused_in_one_line(tmp_path, capsys, fault) -> None:
    (tmp_path / "truth.csv").write_bytes(TRUTH[fault])
    (tmp_path / "run.csv").write_text("name,score\na,2\nb,1\n")
    status = main(["evaluate", str(tmp_path / "truth.csv"), str(tmp_path / "run.csv")])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert len(err) < 400


def test_no_more_than_a_bound_is_read_of_a_text(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(texts, "_BYTES", 1000)
    (tmp_path / "x.json").write_bytes(b'{"a": 1}'.ljust(1000))
    assert tables.read_groups(str(tmp_path / "x.json")) == {"a": 1}
    (tmp_path / "x.json").write_bytes(b'{"a": 1}'.ljust(1001))
    with pytest.raises(InputError, match=r"x\.json: expected a table, got more than 1000 bytes$"):
        tables.read_groups(str(tmp_path / "x.json"))
    with pytest.raises(InputError, match=r"got more than 1000 bytes$"):
        tables.read_groups("/dev/zero")
    with pytest.raises(InputError, match=r"^path: expected .* more than 1000 bytes$"):
        fingerprint.load_detector("/dev/zero")


@given(st.binary(max_size=200), st.sampled_from([".csv", ".json"]))
def test_noise_is_groups_numbers_or_an_input_error(tmp_path_factory, data, suffix) -> None:
    path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
    path.write_bytes(data)
    for read in (tables.read_groups, lambda path: tables.read_numbers(path, ("used",))):
        with contextlib.suppress(InputError):
            assert isinstance(read(str(path)), dict)


# --- Run files ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_noise_is_a_run_file_with_faults(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(data)
    faults = challenge.check_run(path, ["a", "b"])
    assert faults or sorted(challenge.read_run(path)) == ["a", "b"]


def test_values_are_quoted_short() -> None:
    assert checks.shortened("a" * 200_000) == "'" + "a" * 76 + "..."
    assert checks.shortened(10**5000) == "a number of thousands of digits"
    for huge in (10**400, 10**5000):
        with pytest.raises(InputError, match=r"^share: expected a number from 0 to 1, got .{,80}$"):
            checks.number("share", huge, minimum=0, maximum=1)
        with pytest.raises(InputError, match=r"^k: expected an integer from 1 to 9, got .{,80}$"):
            checks.integer("k", huge, minimum=1, maximum=9)
