"""Images for the benchmarks, and the processor that they are restricted to.

The images are drawn once, and kept where FINGERPRINT_BENCHMARK_DATA says, or for the session. With ``--features avx2``
or ``--features baseline`` kernels are compiled for a lesser processor: one machine shows what others would do.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fingerprint import phantoms

FEATURES = {
    "native": None,
    "avx2": "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe",
    "baseline": "",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the processor that kernels are compiled for."""
    parser.addoption("--features", choices=FEATURES, default="native", help="processor that kernels are compiled for")


def pytest_configure(config: pytest.Config) -> None:
    """Restrict Numba before any kernel is loaded."""
    features = FEATURES[config.getoption("features")]
    if features is not None:
        os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}


def pytest_benchmark_update_machine_info(machine_info: dict) -> None:
    """Record which vector instructions the kernels have."""
    from fingerprint._kernels import compiler

    special = {"avx512vnni", "avxvnni", "avx2", "dotprod", "i8mm"} & compiler.features()
    machine_info["features"] = " ".join(sorted(special)) or "baseline"


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 200 real and 10,000 synthetic slices of 256x256 as PNG, in real/ and fake/."""
    kept = os.environ.get("FINGERPRINT_BENCHMARK_DATA")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("benchmark") / "collection"
    if not (folder / "truth.csv").exists():
        phantoms.write_demo(folder, n_used=100, n_unused=100, n_fake=10_000)
    return folder
