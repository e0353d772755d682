"""The fuzzer of all readers: it finds what is wrong, and some of its inputs."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nibabel")
pytest.importorskip("pydicom")
pytest.importorskip("resource")

SPEC = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[1] / "benchmarks" / "fuzz.py")
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


@pytest.fixture(scope="module")
def kinds():
    return fuzz.kinds()


@pytest.mark.slow
def test_no_input_escapes_as_an_exception(kinds, tmp_path) -> None:
    faults = {
        (name, number): fuzz.attempt(kind, number, tmp_path / f"x{kind.suffix}")
        for name, kind in kinds.items()
        for number in range(400)
    }
    assert {at: fault for at, fault in faults.items() if fault} == {}


def test_faults_are_found_and_told_from_input_errors(tmp_path) -> None:
    def reader(error):
        def read(path):
            raise error

        return fuzz.Kind(".x", [b"seed"], fuzz.as_is, read)

    assert fuzz.attempt(reader(fuzz.InputError("expected")), 0, tmp_path / "x") == ""
    assert fuzz.attempt(reader(KeyError("name")), 0, tmp_path / "x").startswith("KeyError")
    assert fuzz.attempt(reader(MemoryError()), 0, tmp_path / "x").startswith("MemoryError")
