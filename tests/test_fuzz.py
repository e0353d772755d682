"""The fuzzer of all readers: it finds what is wrong, and some of its inputs."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_input_escapes_as_an_exception(kinds, tmp_path, data) -> None:
    kind = kinds[data.draw(st.sampled_from(sorted(kinds)))]
    assert fuzz.attempt(kind, data.draw(st.integers(0, 2**40)), tmp_path / f"x{kind.suffix}") == ""


def test_faults_are_found_and_told_from_input_errors(tmp_path) -> None:
    def reader(error):
        def read(path):
            raise error

        return fuzz.Kind(".x", [b"seed"], fuzz.as_is, read)

    assert fuzz.attempt(reader(fuzz.InputError("expected")), 0, tmp_path / "x") == ""
    assert fuzz.attempt(reader(KeyError("name")), 0, tmp_path / "x").startswith("KeyError")
    assert fuzz.attempt(reader(MemoryError()), 0, tmp_path / "x").startswith("MemoryError")
