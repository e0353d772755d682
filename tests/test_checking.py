"""`check` says what is wrong with collections, what to do about it, and nothing where nothing is wrong."""

import json

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, Slices, phantoms
from fingerprint._answers.census import Census
from fingerprint._cli.main import main
from fingerprint._images import loading

REAL = phantoms.thorax(60, seed=5, size=64)
FAKE = phantoms.generate(REAL[:30], 500, seed=5, leak=0)[0]
NAMES = tuple(f"r{i:02d}" for i in range(60))


def enlarged(images):
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 32)).resize((64, 64))) for image in images])


def seen(real=REAL, fake=FAKE, **more):
    return {one.name: one for one in fingerprint.check(real, fake, **more)}


def test_nothing_is_said_of_ordinary_collections() -> None:
    found = fingerprint.check(REAL[:40], FAKE, reference=REAL[40:])
    assert found.names == ("counts", "patients")
    assert found.verdict == "Nothing was found that stands in the way."
    assert (found.errors, found.warnings) == ((), ())
    assert (found.n_real, found.n_fake, found.n_reference) == (40, 500, 20)
    said = [f"note: {one.found} {one.remedy}".rstrip() for one in found]
    assert str(found).splitlines() == [found.verdict, *said]
    assert said[0] == "note: Images: 40 in real, 500 in fake, 20 in reference; all 64x64 8-bit."
    groups = [f"p{i}" for i in range(60)]
    assert list(seen(groups=groups)) == ["counts"]


def test_sizes_and_depths_are_told_at_once_for_all_collections() -> None:
    found = seen([REAL[:30], REAL[30:, :48]], [FAKE, FAKE.astype(np.uint16) * 256])
    assert found["sizes"].severity == found["depths"].severity == "error"
    shown = "30 of 64x64 8-bit in real (first: 0), 30 of 48x64 8-bit in real (first: 30), 500 of 64x64 8-bit in fake"
    assert shown in found["sizes"].found
    assert found["sizes"].remedy == "Pass size=(64, 64) to resample all."
    assert "500 of 64x64 16-bit in fake (first: 500)" in found["depths"].found
    assert not {"sizes", "depths"} & set(seen([REAL[:30], REAL[30:, :48]], FAKE, size=64))


def test_files_that_fail_and_files_that_are_none_are_counted(tmp_path) -> None:
    for i, image in enumerate(REAL[:20]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "20.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("none")
    found = fingerprint.check(tmp_path, FAKE)
    rows = {one.name: one for one in found}
    assert rows["unreadable_real"].severity == "warning"
    assert rows["unreadable_real"].found.startswith("Files of real that cannot be used: 1 (first: 20.png: ")
    assert "20 in real (and 1 other files), 500 in fake" in rows["counts"].found
    assert [failure.name for failure in found.failed["real"]] == ["20.png"]
    with pytest.raises(InputError, match=r"real: 20\.png: "):
        fingerprint.check(tmp_path, FAKE, on_error="raise")
    with pytest.raises(InputError, match="real: expected at least one usable image"):
        fingerprint.check([tmp_path / "20.png"], FAKE)


def test_images_that_occur_twice_are_found_on_each_side() -> None:
    real, fake = REAL.copy(), FAKE.copy()
    real[7], fake[[3, 4]] = real[2], fake[0]
    found = seen(real[:40], fake, reference=REAL[40:])
    assert found["duplicates_real"].found == "Images of real that repeat another one: 1 of 40 (first: 7 is 2)."
    assert found["duplicates_fake"].found == "Images of fake that repeat another one: 2 of 500 (first: 3 is 0)."
    assert "duplicates_reference" not in found


def test_copies_and_collections_that_are_the_same_are_told_apart() -> None:
    fake = FAKE.copy()
    fake[5] = REAL[9]
    assert seen(fake=fake)["copies_real"].found == (
        "Synthetic images that are identical to one of real: 1 of 500 (first: 5 is 9)."
    )
    assert seen(REAL[10:], fake, reference=REAL[:10])["copies_reference"].severity == "error"
    for other in (REAL, [REAL[30:], FAKE[:20]]):
        assert seen(fake=other)["same_real"].severity == "error"
    confused = seen(FAKE[:60], REAL, reference=REAL)["same_reference"]
    assert confused.remedy == "Make sure that fake and reference are not the same collection."


def test_groups_that_name_the_synthetic_images_say_that_sides_are_swapped() -> None:
    found = seen(
        Slices(FAKE, tuple(f"f{i}" for i in range(500))), Slices(REAL, NAMES), groups=dict.fromkeys(NAMES, "p")
    )
    assert found["swapped"].severity == "error"
    assert found["groups"].severity == "error"
    assert found["groups"].found.startswith("groups: expected an entry for every real image")
    assert found["groups"].remedy == "Add them, keyed by the name or the file name."


def test_an_image_or_a_patient_on_both_sides_is_an_error() -> None:
    groups = [f"p{i % 40}" for i in range(60)]
    found = seen(REAL[:40], FAKE, reference=np.concatenate([REAL[3:5], REAL[42:]]), groups=groups)
    assert found["overlap"].found == "Images of reference that are also in real: 2 of 20 (first: 0 is 3)."
    assert found["patients_on_both_sides"].found == "Patients in real and in reference: 20 (first: p0)."
    assert found["patients_with_one_image"].found.endswith("another patient too: 2 of 60.")


def test_before_an_audit_findings_say_used_and_unused(tmp_path) -> None:
    real, fake = REAL.copy(), FAKE[:400].copy()
    real[7], real[50], fake[5], fake[9], real[3] = real[2], real[2], real[9], real[55], 0
    groups = [f"p{i % 40}" for i in range(60)]
    plain, words = (seen(real[:18], fake, groups=groups[:36], **{name: real[42:]}) for name in ("reference", "unused"))

    def as_audit(text: str) -> str:
        return text.replace("reference", "unused").replace("real", "used").replace("Real images:", "Used images:")

    assert list(words) == [as_audit(name) for name in plain]
    assert [one.found for one in words.values()] == [as_audit(one.found) for one in plain.values()]
    assert {"few_used", "few_unused", "copies_used", "copies_unused", "overlap", "duplicates_used"} <= set(words)
    Image.fromarray(real[0]).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    assert set(fingerprint.check(tmp_path, fake, unused=real[42:]).failed) == {"used", "fake", "unused"}
    with pytest.raises(InputError, match=r"real: 2\.png: "):
        fingerprint.check(tmp_path, fake, unused=real[42:], on_error="raise")
    with pytest.raises(InputError, match="unused: expected none beside a reference, got both"):
        fingerprint.check(real, fake, reference=real, unused=real)


def test_flat_images_are_named_and_are_no_copies() -> None:
    real, fake = REAL.copy(), FAKE.copy()
    real[[1, 2, 50]], fake[:3] = 0, 0
    found = seen(real[:40], fake, reference=real[40:])
    assert found["flat_real"].found == "Flat images of real, which show nothing: 2 of 40 (first: 1)."
    assert found["flat_fake"].found.endswith("3 of 500 (first: 0).")
    assert found["flat_reference"].found.endswith("1 of 20 (first: 10).")
    assert not {"duplicates_real", "duplicates_fake", "copies_real", "copies_reference", "overlap"} & set(found)


def test_too_few_images_or_patients_are_said() -> None:
    found = seen(REAL[:19], FAKE[:499], reference=REAL[19:37])
    assert found["few_real"].found == "Real images: 19, too few to see which stands out."
    assert found["few_fake"].severity == "warning"
    assert found["few_reference"].found == "Images of reference: 18, so that no p-value can be below 0.053."
    assert found["few_reference"].remedy == "Give at least 19 that were not used."
    found = seen(REAL[:40], FAKE, reference=REAL[40:], groups=[f"p{i // 4}" for i in range(60)])
    assert found["few_patients"].found == "Patients: 15, too few for an answer by patient."
    assert found["few_reference"].found.startswith("Patients of reference: 5, ")
    assert "one_patient" in seen(groups=["p"] * 60)


def test_images_that_were_processed_like_the_synthetic_ones_are_recognised() -> None:
    mixed = np.concatenate([enlarged(REAL[:30]), REAL[30:]])
    assert seen(mixed, enlarged(FAKE))["processing"].found.startswith("Scores follow the processing: 3")
    found = seen(REAL[:30], FAKE, reference=enlarged(REAL[30:]))
    assert "the former have more fine detail" in found["processing_reference"].found
    assert "processing" not in seen(enlarged(REAL), enlarged(FAKE))


@pytest.mark.parametrize("threads", [1, 3])
def test_iterators_and_threads_give_the_same(threads) -> None:
    parts = (image[None] for image in FAKE)
    assert fingerprint.check(iter([REAL]), parts, threads=threads) == fingerprint.check(REAL, FAKE)


def test_the_pixels_of_a_sample_alone_are_kept() -> None:
    images = np.random.default_rng(0).integers(0, 255, (1500, 8, 8), dtype=np.uint8)
    plan = loading.listing(images).plan(100)
    census = Census.of(plan, images, threads=1, advance=lambda _: None, argument="real")
    assert len(census) == 1500
    assert list(census.sample) == list(range(0, 1500, 4))
    assert all((census.sample[i] == images[i]).all() for i in census.sample)


def test_the_command_prints_a_line_each_and_tells_by_its_exit_status(tmp_path, capsys) -> None:
    for name, images in {"real": REAL[:20], "fake": FAKE[:30], "small": FAKE[:30, :32, :32]}.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    real, fake, small = (str(tmp_path / name) for name in ("real", "fake", "small"))
    assert main(["check", real, fake]) == 0
    assert capsys.readouterr().out == f"{fingerprint.check(real, fake)}\n".replace("groups=", "--groups")
    assert main(["check", real, small, "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")
    assert main(["check", real, small, "--reference", fake, "--json", "-"]) == 1
    shown = capsys.readouterr()
    assert "Pass --size 32 to resample all." in shown.err
    rows = {row["name"]: row for row in json.loads(shown.out)["rows"]}
    assert rows["sizes"]["severity"] == "error"
    assert rows["sizes"]["remedy"] == "Pass size=(32, 32) to resample all."
