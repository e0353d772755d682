"""The challenge: the layouts of its folders, and the score of a run."""

from pathlib import Path

import pytest

from fingerprint import InputError
from fingerprint.challenge import Layout, layout, score_run, write_run

DATA = Path(__file__).parent / "data"
PNGS = [f"real_unknown_{i:04d}.png" for i in range(1, 5)]
RIGHT = {name.removesuffix(".png"): i % 2 for i, name in enumerate(PNGS, 1)}


def test_scores_do_not_depend_on_the_order_of_the_lines(tmp_path):
    truth = dict.fromkeys(reversed(PNGS), 0) | {PNGS[0]: 1, PNGS[1]: 1}
    result = score_run(DATA / "right_2023.csv", truth, n_bootstrap=200)
    assert (result.accuracy.value, result.f1.value, result.kappa.value, result.n) == (0.5, 0.5, 0.0, 4)
    truth_file = tmp_path / "truth.csv"
    write_run(truth_file, list(truth), list(truth.values()))
    assert str(score_run(DATA / "right_2023.csv", truth_file, n_bootstrap=200)) == str(result)


def test_scores_by_patient():
    patients = dict(zip(PNGS, "aabb", strict=True))
    result = score_run(DATA / "right_2023.csv", RIGHT, groups=patients, n_bootstrap=200, seed=3, confidence=0.9)
    assert (result.n_groups, result.seed, result.confidence, result.accuracy.value) == (2, 3, 0.9, 1.0)
    with pytest.raises(InputError, match="groups: expected a patient for every id, got none for 'real_unknown_0004'"):
        score_run(DATA / "right_2023.csv", RIGHT, groups=dict(list(patients.items())[:3]))
    with pytest.raises(InputError, match=r"got none for 'real_unknown_0001', .*, 'real_unknown_0004'$"):
        score_run(DATA / "right_2023.csv", RIGHT, groups={"other": "a"})
    with pytest.raises(InputError, match=r"groups: expected a mapping from the names of the images, got \['a'"):
        score_run(DATA / "right_2023.csv", RIGHT, groups=["a", "a", "b", "b"])


def test_a_faulty_run_is_not_scored(tmp_path):
    with pytest.raises(InputError, match="got 1 fault:\n  line 5: id 'real_unknown_0002' stands on line 2 already"):
        score_run(DATA / "duplicate.csv", RIGHT)
    with pytest.raises(InputError, match=r"truth: expected an existing run file, got .*none.csv"):
        score_run(DATA / "right_2023.csv", tmp_path / "none.csv")


def make(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("names", "edition", "part", "roles"),
    [
        (("generated", "used", "not_used"), 2023, "development", {"used": "used", "not_used": "not_used"}),
        (("generated_1", "real_unknown_1"), 2023, "test", {"unknown": "real_unknown_1"}),
        (
            ("generated", "real_used", "real_not_used"),
            2025,
            "development",
            {"used": "real_used", "not_used": "real_not_used"},
        ),
        (("generated", "real_unknown"), 2025, "test", {"unknown": "real_unknown"}),
    ],
)
def test_layouts(tmp_path, names, edition, part, roles):
    make(tmp_path, *names, "other")
    (tmp_path / "readme.txt").write_text("x")
    generated = tmp_path / names[0]
    expected = Layout(edition, part, generated, **{role: tmp_path / name for role, name in roles.items()})
    assert layout(tmp_path) == layout(str(tmp_path)) == expected


@pytest.mark.parametrize("number", ["", "_1", "_2"])
@pytest.mark.parametrize("used", ["", "real_"])
def test_layouts_of_2024(tmp_path, number, used):
    generator = int(number[1:]) if number else None
    make(tmp_path, *(f"dev/{name}{number}" for name in ("generated", f"{used}used", f"{used}not_used")))
    make(tmp_path, f"test/generated{number}", f"test/real_unknown{number}")
    dev, test = (layout(tmp_path / part, edition=2024) for part in ("dev", "test"))
    assert dev.used == tmp_path / "dev" / f"{used}used{number}"
    assert dev.not_used == tmp_path / "dev" / f"{used}not_used{number}"
    assert (dev.edition, dev.part, dev.generator) == (2024, "development", generator)
    assert test.unknown == tmp_path / "test" / f"real_unknown{number}"
    assert (test.edition, test.part, test.generator) == (2024, "test", generator)
    assert layout(tmp_path / "dev").edition == (2024 if number else 2025 if used else 2023)


def test_the_two_generators_of_2024_are_told_apart(tmp_path):
    make(tmp_path, "generated_1", "real_unknown_1", "generated_2", "real_unknown_2")
    with pytest.raises(InputError, match=r"one generator of 2024, got .* of two; say generator=1 or generator=2"):
        layout(tmp_path, edition=2024)
    with pytest.raises(InputError, match="got the folders of 2023 test and 2024 test"):
        layout(tmp_path)
    assert layout(tmp_path, edition=2024, generator=1).unknown.name == "real_unknown_1"
    assert layout(tmp_path, generator=2) == layout(tmp_path, edition=2024, generator=2)
    assert layout(tmp_path, edition=2023).edition == 2023
    with pytest.raises(InputError, match=r"generator: expected 1 or 2, got 3 \(int\)"):
        layout(tmp_path, generator=3)
    with pytest.raises(InputError, match="edition: expected 2023, 2024 or 2025, got 2022"):
        layout(tmp_path, edition=2022)


def test_layout_of_subsets(tmp_path):
    make(tmp_path, "generated/s2", "generated/s1", "real/s1", "real/s2", "generated_unknown")
    found = layout(tmp_path)
    assert (found.edition, found.part, found.subsets) == (2025, "subsets", ("s1", "s2"))
    assert (found.real, found.unknown) == (tmp_path / "real", tmp_path / "generated_unknown")
    make(tmp_path, "real/s3")
    with pytest.raises(InputError, match=r"the same subset folders .* got s1, s2 and s1, s2, s3"):
        layout(tmp_path)


def test_subsets_without_folders(tmp_path):
    make(tmp_path, "generated", "real", "generated_unknown")
    with pytest.raises(InputError, match=r"the same subset folders .* got none and none"):
        layout(tmp_path)


def test_unclear_layouts(tmp_path):
    with pytest.raises(InputError, match=r"folder: expected an existing folder, got '.*none'"):
        layout(tmp_path / "none")
    with pytest.raises(InputError, match=r"folder: expected a path, got 5 \(int\)"):
        layout(5)
    with pytest.raises(InputError, match=r"expected the folders generated, used, not_used \(2023 dev.* got no folder$"):
        layout(tmp_path)
    make(tmp_path, "unzipped/generated_1", "unzipped/real_unknown_1")
    with pytest.raises(InputError, match=r"got unzipped; give '.*unzipped'"):
        layout(tmp_path)
    make(tmp_path, "generated", "real_unknown", "real_used", "real_not_used")
    with pytest.raises(
        InputError, match="one part of the challenge, got the folders of 2025 development and 2025 test"
    ):
        layout(tmp_path)
