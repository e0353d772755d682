"""No work twice: every question reads each file once, lists each folder once and prepares real images once."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from leaks import LEAKS, SAFE, UNUSED, USED
from PIL import Image

import fingerprint
from fingerprint._answers import one_pass
from fingerprint._images import formats
from fingerprint._statistics import methods

QUESTIONS = {
    "rank": lambda **o: fingerprint.rank("used", "fake_a", reference="unused", **o),
    "fit": lambda **o: fingerprint.fit("used", "unused", "fake_a", **o),
    "audit": lambda **o: fingerprint.audit("used", "unused", "fake_a", n_permutations=99, **o),
    "compare": lambda **o: fingerprint.compare("used", "fake_a", "fake_b", unused="unused", n_bootstrap=100, **o),
    "attribute": lambda **o: fingerprint.attribute({"used": "used", "unused": "unused"}, "fake_a", **o),
}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name, images in {"used": USED, "unused": UNUSED, "fake_a": LEAKS[:20], "fake_b": SAFE[:20]}.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{name}_{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("question", QUESTIONS)
def test_files_are_read_and_folders_listed_once(question, folders, monkeypatch) -> None:
    read, listed = Counter(), Counter()
    decoded, scandir = formats.decoded, os.scandir
    monkeypatch.setattr(formats, "decoded", lambda path, *a: (read.update([path]), decoded(path, *a))[1])
    monkeypatch.setattr(os, "scandir", lambda path: (listed.update([str(path)]), scandir(path))[1])
    QUESTIONS[question](progress=True, threads=1)
    sides = {"used", "unused", "fake_a"} | ({"fake_b"} if question == "compare" else set())
    assert {Path(path).parts[0] for path in read} == sides
    assert set(read.values()) == {1}
    assert {folder: listed[folder] for folder in sides} == dict.fromkeys(sides, 1)


@pytest.mark.parametrize("question", ["rank", "fit", "audit", "compare"])
def test_real_images_are_prepared_and_kinds_of_evidence_worked_out_once(question, folders, monkeypatch) -> None:
    calls = Counter()

    def counted(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **o: (calls.update([name]), function(*a, **o))[1])

    counted(one_pass, "prepare_reals")
    counted(methods, "kinds")
    counted(methods, "tail_scores")
    QUESTIONS[question]()
    assert calls["prepare_reals"] == 1
    assert calls["kinds"] <= 1
    assert calls["tail_scores"] <= 1


def test_a_pass_leaves_the_real_side_as_it_was() -> None:
    options = one_pass.ReadingOptions(block=64)
    side = one_pass.RealSide.of(USED, options, reference=UNUSED, called=("used", "unused"))
    first, other, again = (side.compare(fake, k=3) for fake in (LEAKS, SAFE, LEAKS))
    np.testing.assert_array_equal(again.summary.distances, first.summary.distances)
    assert not np.array_equal(other.summary.distances, first.summary.distances)
