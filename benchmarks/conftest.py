"""Images for the benchmarks, drawn once and kept where FINGERPRINT_BENCHMARK_DATA says, or for the session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fingerprint import phantoms


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 200 real and 10,000 synthetic slices of 256x256 as PNG, in real/ and fake/."""
    kept = os.environ.get("FINGERPRINT_BENCHMARK_DATA")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("benchmark") / "collection"
    if not (folder / "truth.csv").exists():
        phantoms.write_demo(folder, n_used=100, n_unused=100, n_fake=10_000)
    return folder
