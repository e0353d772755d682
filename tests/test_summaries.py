"""Machines that share nothing summarise parts, and what is merged is what one pass over all would have found."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fingerprint
from fingerprint import Summary
from fingerprint._base import sealed
from fingerprint._cli.main import main
from fingerprint._images import checkpoint

RNG = np.random.default_rng(5)
REAL = RNG.integers(0, 256, (6, 16, 16), dtype=np.uint8)
FAKE = RNG.integers(0, 256, (7, 16, 16), dtype=np.uint8)[[*range(7), 3, 3, 0, 5, 6, 1]]  # many are equally near
PATIENTS = {f"{i}.png": f"patient {i // 2}" for i in range(6)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Folders of real, unused and synthetic images; one synthetic file cannot be read."""
    root = tmp_path_factory.mktemp("images")
    for name, images in (("real", REAL), ("unused", REAL[:4] ^ 3), ("fake", FAKE)):
        (root / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{name[0]}{i}.png")
    (root / "fake" / "f4b.png").write_bytes(b"no image")
    return root


def parts_of(folders, count, **more) -> list[Summary]:
    return [
        fingerprint.summarise(folders / "real", folders / "fake", part=(i, count), threads=1, **more)
        for i in range(1, count + 1)
    ]


@pytest.mark.parametrize("more", [{}, {"method": "ssim"}, {"k": 2, "size": 12}, {"method": "nearness"}])
def test_parts_in_any_order_rank_as_the_whole(folders, tmp_path, more) -> None:
    more |= {"reference": folders / "unused"}
    expected = fingerprint.rank(folders / "real", folders / "fake", **more)
    for count in (1, 3, 14):
        parts = parts_of(folders, count, **more)
        for i, part in enumerate(parts):
            part.save(tmp_path / f"{i}")
        for given_ in (parts, parts[::-1], [tmp_path / f"{i}" for i in range(count)][::-1]):
            whole = fingerprint.merge(given_)
            assert (whole.n_real, whole.n_fake, len(whole.failed)) == (10, len(FAKE), 1)
            found = fingerprint.rank(folders / "real", whole, **more)
            assert found.to_json() == expected.to_json()
    here, there = (each.evidence(0) for each in (found, expected))  # its images are found again
    assert here.fake.tobytes() == there.fake.tobytes()


@settings(max_examples=12)
@given(st.lists(st.integers(0, len(FAKE)), max_size=5))
def test_shards_rank_as_their_list(places) -> None:
    fake = fingerprint.load(FAKE)
    edges = [0, *sorted(places), len(FAKE)]
    shards = [fake[start:stop] for start, stop in pairwise(edges) if start < stop]
    parts = [fingerprint.summarise(REAL, shard, threads=1) for shard in shards]
    found = fingerprint.rank(REAL, fingerprint.merge(parts), threads=1)
    assert replace(found, provenance=None) == replace(fingerprint.rank(REAL, shards, threads=1), provenance=None)
    assert found.to_csv() == fingerprint.rank(REAL, fake).to_csv()
    step_by_step = parts[0]
    for part in parts[1:]:  # as images come, one after the other
        step_by_step = fingerprint.merge([step_by_step, part])
    assert replace(step_by_step, provenance=None) == replace(fingerprint.merge(parts), provenance=None)


def test_a_summary_comes_back_as_it_was(folders, tmp_path) -> None:
    found = fingerprint.summarise(
        folders / "real", folders / "fake", groups=lambda name: name[:1], population=[folders / "unused"], part=(2, 3)
    )
    found.save(tmp_path / "part")
    again = Summary.load(tmp_path / "part")
    assert again == found
    assert again.provenance.sources == {
        "real": str(folders / "real"),
        "fake": str(folders / "fake"),
        "reference": None,
        "population": (str(folders / "unused"),),
    }
    assert again.patients["r3.png"] == "r"
    assert repr(again) == "<Summary: 10 real images, 4 synthetic ones, part 2 of 3>"
    assert str(again).splitlines()[1].startswith("failed, fake: f4b.png: ")
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "part").read_bytes()


def test_a_part_goes_on_where_it_stopped(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(checkpoint, "_SECONDS", 0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)
    kept = tmp_path / "kept"
    expected = fingerprint.summarise(REAL, FAKE)

    def stopping():
        yield FAKE[:5]
        raise MemoryError("stopped")

    with pytest.raises(MemoryError):
        fingerprint.summarise(REAL, stopping(), checkpoint=kept, block=2, threads=1)
    partial = Summary.load(kept)
    assert (partial.complete, partial.n_fake, expected.complete) == (False, 4, True)
    for use in (lambda: fingerprint.merge([partial]), lambda: fingerprint.rank(REAL, partial)):
        with pytest.raises(fingerprint.InputError, match="expected a Summary of all images"):
            use()
    whole = fingerprint.summarise(REAL, iter([FAKE[:5], FAKE[5:]]), checkpoint=kept)
    assert fingerprint.rank(REAL, whole).to_csv() == fingerprint.rank(REAL, expected).to_csv()


def test_a_merged_summary_goes_on_as_a_checkpoint(folders, tmp_path) -> None:
    fingerprint.merge(parts_of(folders, 3)).save(tmp_path / "whole")
    expected = fingerprint.rank(folders / "real", folders / "fake")
    assert fingerprint.rank(folders / "real", folders / "fake", checkpoint=tmp_path / "whole") == expected


def test_what_does_not_go_together_is_refused(folders, tmp_path) -> None:
    one, two, three = parts_of(folders, 3)
    other = parts_of(folders, 2)
    whole = fingerprint.summarise(folders / "real", folders / "fake")
    merging = [
        ([], "at least one"),
        ("parts", "expected a list of Summaries or paths, got 'parts'"),
        (one, "expected a list of Summaries or paths"),
        ([one, three], "expected all 3 parts, found no part 2"),
        ([one, two, three, two], "expected each part once, found part 2 twice"),
        ([one, other[1]], "of how many 3, now 2"),
        ([one, whole], "the list of synthetic images; of how many 3, now None|of how many 3, now None; the list"),
        ([whole, whole], "expected different images, got those of number 2 twice"),
        ([whole, fingerprint.summarise(REAL[:5], FAKE)], "the real images; number of real images 6, now 5"),
        ([whole, fingerprint.summarise(folders / "real", FAKE, k=6)], "k 5, now 6"),
        ([tmp_path / "missing"], "No such file"),
    ]
    for parts, why in merging:
        with pytest.raises(fingerprint.InputError, match=why):
            fingerprint.merge(parts)
    for summary, why in (
        (one, "expected a Summary of all parts, got Summary: 6 real images.* part 1 of 3"),
        (fingerprint.summarise(folders / "real", folders / "fake", k=6), "made of something else: k 6, now 5"),
        (fingerprint.summarise(REAL, FAKE), "made of something else: the real images; pass the same"),
    ):
        with pytest.raises(fingerprint.InputError, match=why):
            fingerprint.rank(folders / "real", summary)
    for part, why in (((4, 3), "from 1 to 3, got 4"), ((1, 99), "as many parts as files, 14, got 99"), (3, "such as")):
        with pytest.raises(fingerprint.InputError, match=why):
            fingerprint.summarise(folders / "real", folders / "fake", part=part)
    with pytest.raises(fingerprint.InputError, match="expected files of which to take a part"):
        fingerprint.summarise(REAL, FAKE, part=(1, 2))
    with pytest.raises(fingerprint.InputError, match="checkpoint: expected none with a Summary"):
        fingerprint.rank(folders / "real", whole, checkpoint=tmp_path / "kept")
    none = fingerprint.summarise(folders / "real", folders / "fake" / "f4b.png")
    assert none.n_fake == 0
    with pytest.raises(fingerprint.InputError, match="fake: expected at least one usable image, got none; 1 failed"):
        fingerprint.rank(folders / "real", none)


def run(*arguments) -> int:
    return main([str(each) for each in arguments])


def test_commands_summarise_and_merge_as_rank_does(folders, tmp_path, capsys) -> None:
    real, fake = folders / "real", folders / "fake"
    more = ["--reference", folders / "unused", "--group-pattern", "[ru][01]?", "--neighbours", 3]
    assert run("rank", real, fake, *more, "--json", tmp_path / "a.json", "--out", tmp_path / "a.csv") == 1
    expected = capsys.readouterr().out
    parts = [tmp_path / f"part-{i}" for i in (1, 2, 10)]
    for i, part in enumerate(parts, 1):
        status = run("summarise", real, fake, *more, "--part", f"{i}/3", "--out", part)
        found = capsys.readouterr().out
        assert found.startswith("Summary: 10 real images, ")
        assert status == ("failed" in found)
    assert run("merge", *sorted(map(str, parts)), "--json", tmp_path / "b.json", "--out", tmp_path / "b.csv") == 1
    assert capsys.readouterr().out == expected.replace("a.json", "b.json").replace("a.csv", "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    one, other = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert one["settings"].pop("groups") == "<function groups.<locals>.found>"
    assert other["settings"].pop("groups")["r3.png"] == "r"
    assert one == other
    assert run("merge", *parts, "--memory", "9MB") == 2
    assert "memory: expected at least" in capsys.readouterr().err
    assert run("merge", *parts[:2]) == 2
    assert "found no part 3" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("summarise", real, fake, "--part", "3", "--out", tmp_path / "x")


def test_the_command_goes_on_and_writes_a_merged_summary(folders, tmp_path, capsys) -> None:
    part, whole = tmp_path / "part", tmp_path / "whole"
    assert run("summarise", folders / "real", folders / "fake", "--out", part) == 1
    assert run("summarise", folders / "real", folders / "fake", "--out", part) == 1
    assert run("summarise", folders / "real", folders / "fake", "--neighbours", 9, "--out", part) == 2
    assert "k 5, now 9" in capsys.readouterr().err
    assert run("merge", part, "--real", folders / "real", "--summary", whole) == 1
    assert Summary.load(whole) == Summary.load(part)
    assert run("rank", folders / "real", folders / "fake", "--checkpoint", tmp_path / "other") == 1
    assert run("merge", tmp_path / "other") == 2
    assert "expected what summarise wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "value"),
    [("sources", None), ("sources", {}), ("settings", []), ("settings", {"threads": 2}), ("date", 3), ("version", {})],
)
def test_a_forged_provenance_is_refused(tmp_path, where, value) -> None:
    fingerprint.summarise(REAL, FAKE[:5]).save(tmp_path / "part")
    header, arrays = sealed.read(tmp_path / "part", argument="path")
    header["call"]["provenance"][where] = value
    sealed.write(tmp_path / "part", header, arrays)
    with pytest.raises(fingerprint.InputError, match="expected a Summary, got other contents in"):
        Summary.load(tmp_path / "part")


def test_counts_that_are_none_or_of_other_images_are_refused(tmp_path) -> None:
    made = fingerprint.summarise(REAL, FAKE[:5])
    made.save(tmp_path / "part")
    header, arrays = sealed.read(tmp_path / "part", argument="path")
    counts = [name for name, array in arrays.items() if array.dtype.kind == "u" and array.ndim > 1]
    assert len(counts) == 2  # of whole images and of patches
    for name in counts:
        for wrong in (arrays[name].astype(float), arrays[name] * 2, arrays[name][..., :-1], np.uint8(0)):
            sealed.write(tmp_path / "part", header, arrays | {name: np.asarray(wrong)})
            with pytest.raises(fingerprint.InputError, match=r"expected a Summary, got other contents \("):
                Summary.load(tmp_path / "part")
    sealed.write(tmp_path / "part", header, arrays)
    assert Summary.load(tmp_path / "part") == made


@settings(max_examples=25)
@given(st.data())
def test_forged_parts_end_in_one_line(folders, tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "part"
    if not path.exists():
        fingerprint.summarise(REAL, FAKE[:5], groups=lambda name: name).save(path.with_name("first"))
        fingerprint.summarise(REAL, FAKE[5:], groups=lambda name: name).save(path)
    header, arrays = sealed.read(path, argument="path")
    where, key = data.draw(st.sampled_from(list(_places(header))))
    where[key] = data.draw(st.sampled_from([None, -1, 2**70, "x", [], {}, {"array": "3"}, {"array": "0"}, True]))
    sealed.write(path.with_name("forged"), header, arrays)
    message = ""
    try:
        whole = fingerprint.merge([path.with_name("first"), path.with_name("forged")])
        fingerprint.rank(REAL, whole, groups=lambda name: name)
    except fingerprint.InputError as error:
        message = str(error)
    assert "\n" not in message


def _places(tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
