"""The table of faults, docs/faults.md: every row names a test, and the test is there."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"
ROW = re.compile(
    r"\| (?P<happens>[^|]+) \| (?P<promised>[^|]+) \| `(?P<file>\w+\.py)::(?P<test>\w+)(\[(?P<case>.+)\])?` \|"
)
LINES = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
ROWS = [ROW.fullmatch(line) for line in LINES if not line.startswith("| what happens |")]


def test_the_table_has_rows_of_three_columns_each_once() -> None:
    assert all(ROWS)
    assert len(ROWS) >= 170
    assert max(Counter((row["happens"], row["test"]) for row in ROWS).values()) == 1


@pytest.mark.parametrize("name", sorted({row["file"] for row in ROWS if row}))
def test_every_row_has_a_test(name: str) -> None:
    tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    for row in (row for row in ROWS if row and row["file"] == name):
        assert row["test"] in functions, row[0]
        assert row["case"] is None or row["case"] in words, row[0]
