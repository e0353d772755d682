"""Run files: what is written is right and read back, and every fault of a file is found on its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint._base.checks import InputError
from fingerprint.challenge import RunError, check_run, read_run, run_id, write_run

DATA = Path(__file__).parent / "data"
IDS = [f"real_unknown_{i:04d}" for i in range(1, 5)]
PNGS = [f"{name}.png" for name in IDS]
RIGHT = {name: i % 2 for i, name in enumerate(IDS, 1)}

FAULTS = {
    "empty.csv": [(None, "the file is empty")],
    "empty_line.csv": [(3, "empty line")],
    "empty_line_at_end.csv": [(5, "empty line")],
    "one_column.csv": [(2, "1 columns")],
    "three_columns.csv": [(2, "3 columns")],
    "semicolon.csv": [(i, "columns parted by ';'") for i in range(1, 5)],
    "tab.csv": [(i, r"columns parted by '\t'") for i in range(1, 5)],
    "unknown_id.csv": [(5, "unknown id 'real_unknown_0009'")],
    "duplicate.csv": [(5, "id 'real_unknown_0002' stands on line 2 already")],
    "label.csv": [(1, "label '1.0'"), (2, "label 'used'"), (3, "label ''"), (4, "label '2'")],
    "missing.csv": [(None, "id 'real_unknown_0002' is missing"), (None, "id 'real_unknown_0004' is missing")],
    "header.csv": [(1, "header")],
    "quoted.csv": [(3, "quotes")],
    "quoted_header.csv": [(1, "quotes"), (1, "header")],
    "windows.csv": [(1, "the line end of Windows (CR LF)")],
    "byte_order_mark.csv": [(1, "a byte order mark stands before the first id")],
    "space.csv": [(2, "space around id or label")],
    "no_id.csv": [(2, "no id")],
    "right_2025.csv": [(i, f"id '{name}' carries an extension") for i, name in enumerate(PNGS, 1)],
    "mixed.csv": [
        (1, "a byte order mark stands before the first id"),
        (1, "the line end of Windows (CR LF)"),
        (1, "header"),
        (2, "quotes"),
        (3, "id 'real_unknown_0001' stands on line 2 already"),
        (4, "empty line"),
        (5, "id 'real_unknown_0002.png' carries an extension"),
        (5, "label 'yes'"),
        (None, "id 'real_unknown_0003' is missing"),
        (None, "id 'real_unknown_0004' is missing"),
    ],
}
# what only the list of ids can tell
NEED_IDS = {"unknown_id.csv", "missing.csv"}


def found(errors):
    return [(error.line, error.problem) for error in errors]


@pytest.mark.parametrize("name", ["right_2023.csv", "right_2023_no_final_newline.csv"])
@pytest.mark.parametrize("ids", [None, IDS, PNGS])
def test_right_files_have_no_fault(name, ids):
    assert check_run(DATA / name, ids) == ()
    assert read_run(DATA / name, ids) == RIGHT


def test_right_file_of_2025():
    assert check_run(DATA / "right_2025.csv", PNGS, edition=2025) == ()
    assert read_run(DATA / "right_2025.csv", edition=2025) == {f"{name}.png": label for name, label in RIGHT.items()}


def test_every_file_in_data_is_tested():
    assert {path.name for path in DATA.glob("*.csv")} == {*FAULTS, "right_2023.csv", "right_2023_no_final_newline.csv"}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found_on_its_line(name):
    errors = check_run(DATA / name, IDS)
    assert found(errors) == FAULTS[name]
    assert all(error.remedy for error in errors)
    with pytest.raises(InputError, match=f"{name}: expected a run file of 2023, got {len(errors)} fault"):
        read_run(DATA / name, IDS)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in NEED_IDS])
def test_faults_found_without_ids(name):
    expected = [fault for fault in FAULTS[name] if "is missing" not in fault[1]]
    assert found(check_run(DATA / name)) == expected


@pytest.mark.parametrize("name", sorted(NEED_IDS))
def test_faults_that_need_the_ids(name):
    assert check_run(DATA / name) == ()


def test_ids_without_extension_are_faults_in_2025_and_not_missing_too():
    errors = check_run(DATA / "right_2023.csv", PNGS, edition=2025)
    assert found(errors) == [(i, f"id '{name}' has no extension") for i, name in enumerate(IDS, 1)]
    assert errors[0].remedy == "write 'real_unknown_0001.png'; ids of 2025 carry it"
    assert found(check_run(DATA / "right_2023.csv", edition=2025)) == found(errors)


def test_ids_of_2024_may_have_an_extension(tmp_path):
    for name in ("right_2023.csv", "right_2025.csv"):
        assert check_run(DATA / name, PNGS, edition=2024) == ()
        assert read_run(DATA / name, IDS, edition=2024) == RIGHT
    path = tmp_path / "run.csv"
    path.write_text("a_1.png,1\na_1,0\n")
    assert found(check_run(path, ["a_1", "a_2"], edition=2024)) == [
        (2, "id 'a_1' stands on line 1 already"),
        (None, "id 'a_2' is missing"),
    ]


def test_errors_read_as_line_problem_remedy():
    assert str(RunError(3, "empty line", "remove it")) == "line 3: empty line; remove it"
    assert str(RunError(None, "id 'a' is missing", "add a line for it")) == "id 'a' is missing; add a line for it"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("real_unknown_0001,1\n".encode("utf-16"), [(1, "the file is UTF-16 or no text")]),
        (b"real_unknown_0001\x00,1\n", [(1, "the file is UTF-16 or no text")]),
        (b"real_unknown_0001,1\nr\xe9al,0\n", [(2, "bytes that are not UTF-8")]),
        (b"real_unknown_0001,1\rreal_unknown_0002,0\r", [(1, "the line end of Windows (CR LF)")]),
        (b"real_unknown_0001,1\nreal_unknown_0002,0\r\n", [(2, "the line end of Windows (CR LF)")]),
        (b"\n \n", [(None, "the file is empty")]),
        (b"real_unknown_0001,1\n  \nreal_unknown_0002,1\n", [(2, "empty line")]),
        (b"real_unknown_0001,used\n", [(1, "label 'used'")]),
        (b"real_unknown_0001,1,\nreal_unknown_0001,1\n", [(1, "3 columns")]),
    ],
)
def test_other_bytes(tmp_path, data, expected):
    path = tmp_path / "run.csv"
    path.write_bytes(data)
    assert found(check_run(path)) == expected


def test_a_known_id_with_a_wrong_label_is_no_header(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("first,used\nsecond,1\n")
    assert found(check_run(path, ["first.png", "second.png"])) == [(1, "label 'used'")]
    assert found(check_run(path)) == [(1, "header")]


def test_a_header_with_a_digit_is_found_by_the_ids(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("image2023,label\nreal_unknown_0001,1\n")
    assert found(check_run(path, IDS[:1])) == [(1, "header")]


def test_read_run_quotes_five_faults_and_counts_the_rest():
    with pytest.raises(InputError) as caught:
        read_run(DATA / "mixed.csv", IDS)
    assert len(str(caught.value).splitlines()) == 7
    assert str(caught.value).endswith("and 5 more")


NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters=",;\"'|/\\"), min_size=1).filter(
    lambda name: name.strip() == name and Path(name).name == name and not Path(name).suffix
)


@given(st.lists(st.tuples(NAMES, st.booleans()), min_size=1, max_size=8, unique_by=lambda row: row[0]))
@pytest.mark.parametrize("edition", [2023, 2024, 2025])
def test_what_is_written_is_right_and_read_back(tmp_path_factory, edition, rows):
    path = tmp_path_factory.mktemp("run") / "run.csv"
    names = [f"{name}.png" for name, _ in rows]
    write_run(path, names, [used for _, used in rows], edition=edition)
    assert check_run(path, names, edition=edition) == ()
    expected = {run_id(name, edition): int(used) for name, (_, used) in zip(names, rows, strict=True)}
    assert list(read_run(path, edition=edition).items()) == list(expected.items())


def test_bytes_written(tmp_path):
    path = tmp_path / "run.csv"
    write_run(path, ["a/real_unknown_0001.png", "a/real_unknown_0002.PNG", "x.5"], [True, False, True])
    assert path.read_bytes() == b"real_unknown_0001,1\nreal_unknown_0002,0\nx.5,1\n"


@pytest.mark.parametrize(
    ("ids", "decisions", "edition", "message"),
    [
        (["a"], [1], 2026, r"edition: expected 2023, 2024 or 2025, got 2026 \(int\)"),
        ("a", [1], 2023, r"ids: expected a list of names, got 'a' \(str\)"),
        (5, [1], 2023, r"ids: expected a list of names, got 5"),
        ([5], [1], 2023, r"ids: expected the name of an image, got 5"),
        ([], [], 2023, r"ids: expected at least one name, got none"),
        (["a,b"], [1], 2023, r"ids: expected names without comma.* got 'a,b'; rename"),
        ([" a"], [1], 2023, r"ids: expected names without comma.* got ' a'"),
        (["a.png", "a"], [1, 0], 2023, r"ids: expected every id once, got 'a' more than once"),
        (["a"], [1], 2025, r"ids: expected a name with its extension for 2025, got 'a'; add it"),
        (["a"], [0.7], 2023, r"decisions: expected booleans or the integers 0 \(not used\) and 1 \(used\)"),
        (["a"], [2], 2023, r"decisions: expected booleans or the integers"),
        (["a"], [[1], [1, 0]], 2023, r"decisions: expected booleans or the integers"),
        (["a"], [1, 0], 2023, r"decisions: expected one for each of the 1 ids, got 2"),
    ],
)
def test_write_run_refuses(tmp_path, ids, decisions, edition, message):
    with pytest.raises(InputError, match=message):
        write_run(tmp_path / "run.csv", ids, decisions, edition=edition)
    assert not list(tmp_path.iterdir())


def test_messages_quote_five_ids_and_count_the_rest(tmp_path):
    twice = [f"id_{i}" for i in range(7)] * 2
    with pytest.raises(InputError, match="'id_3', 'id_4' and 2 more more than once"):
        write_run(tmp_path / "run.csv", twice, [1] * 14)


def test_paths_are_checked(tmp_path):
    with pytest.raises(InputError, match=r"path: expected a file in an existing folder, got .*; create .*none"):
        write_run(tmp_path / "none" / "run.csv", ["a"], [1])
    with pytest.raises(InputError, match=r"path: expected a path, got 5 \(int\)"):
        write_run(5, ["a"], [1])
    with pytest.raises(InputError, match=r"path: expected an existing run file, got .*none.csv"):
        check_run(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"edition: expected 2023, 2024 or 2025"):
        read_run(DATA / "right_2023.csv", edition="2023")


def test_run_id_checks_its_name():
    assert run_id("a.b.tif") == "a.b"
    with pytest.raises(InputError, match="name: expected the name of an image, got None"):
        run_id(None)
