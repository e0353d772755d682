"""The synthetic images to withhold: every copy, and all evidence of what is called used."""

import numpy as np

import fingerprint
from fingerprint import phantoms
from fingerprint._answers.rows import Match, Row
from fingerprint._answers.withheld import withheld
from fingerprint._cli.main import main
from fingerprint._statistics.copies import Copy
from fingerprint._statistics.decisions import Decision, Decisions

DEMO = phantoms.demo(n_used=12, n_unused=12, n_fake=60, size=64)


def row(rank: int, *evidence: Match, group: str | None = None) -> Row:
    return Row(rank, f"real{rank}", 9.0 - rank, None, None, group, evidence)


def decisions(used: list[bool], **more) -> Decisions:
    names = tuple(f"real{i + 1}" for i in range(len(used)))
    return Decisions(names, np.array(used), np.full(len(used), 0.5), 0.1, None, "a rule", **more)


A, B, C, D = (Match(name, 1.0, 2.0, i) for i, name in enumerate("abcd"))


def test_all_evidence_of_what_is_called_is_withheld_the_strongest_first() -> None:
    found = withheld([row(1, A, B), row(2, A, C), row(3, D)], decisions([True, True, False]), 9)
    assert found.names == ("a", "b", "c")
    assert [[(real.name, real.match) for real in image.gives_away] for image in found] == [
        [("real1", 1), ("real2", 1)],
        [("real1", 2)],
        [("real2", 2)],
    ]
    assert (found.n_real, found.n_fake, found.n_strongest) == (2, 9, 1)
    assert "Withhold 3 of 9 synthetic images, which give 2 real images away: 1 as strongest evidence, 2 as" in str(
        found
    )
    assert "a: real1 (called used) and 1 more" in str(found)


def test_a_copy_is_the_strongest_evidence_whether_or_not_it_was_kept() -> None:
    rows = [row(1, A, B), row(2, A, B)]
    for copy, kept in ((Copy("real2", "b", 0.0, 1, 1), [2, 1]), (Copy("real2", "x", 1.5, 1, 7), [1, 3, 2])):
        found = withheld(rows, decisions([False, True], copies=(copy,)), 9)
        assert found[0].name == copy.fake
        assert found[0].position == copy.fake_position
        assert found[0].gives_away[0].reason == ("near copy" if copy.difference else "identical")
        assert [one.match for image in found for one in image.gives_away] == list(range(1, len(kept) + 1))
        assert {one.reason for image in found[1:] for one in image.gives_away} == {"called used"}


def test_all_images_of_a_patient_who_is_called_count() -> None:
    rows = [row(1, A, group="p"), row(2, B, group="q"), row(3, C, group="q")]
    people = (Decision("q", True, 0.01), Decision("p", False, 0.9))
    found = withheld(rows, decisions([False, True, False], by_group=people), 9)
    assert [(image.name, image.gives_away[0].reason) for image in found] == [
        ("b", "called used"),
        ("c", "patient called used"),
    ]
    assert {one.group for image in found for one in image.gives_away} == {"q"}


def test_images_of_one_name_are_told_apart_by_position_where_it_is_known() -> None:
    twins = [row(1, A), row(2, A._replace(position=5))]
    assert len(withheld(twins, decisions([True, True]), 9)) == 2
    unknown = [row(1, A._replace(position=None)), row(2, A._replace(position=None))]
    assert len(withheld(unknown, decisions([True, True]), 9)) == 1


def test_nothing_called_means_nothing_withheld_and_no_promise() -> None:
    found = withheld([row(1, A)], decisions([False]), 9)
    assert len(found) == 0
    assert str(found).endswith("no real image is called used. That does not prove that none was.")


def test_what_is_left_is_ranked_without_what_was_withheld() -> None:
    fake = fingerprint.load([DEMO.fake.pixels, DEMO.real.pixels[:3], DEMO.real.pixels[:1]])
    ranking = fingerprint.rank(DEMO.real, fake)
    found = ranking.withhold()
    assert len(ranking.copies) == 3
    assert {60, 61, 62, 63} <= set(found.positions)
    assert found.provenance.settings["false_discovery_rate"] == 0.1
    kept = [i for i in range(len(fake)) if i not in found.positions]
    assert fingerprint.rank(DEMO.real, fake[kept]).copies == ()
    assert len(str(found).splitlines()) == min(len(found), 10) + 1 + (len(found) > 10)


def test_the_command_writes_a_row_for_each_pair(tmp_path, capsys) -> None:
    from PIL import Image

    phantoms.write_demo(tmp_path / "demo", n_used=6, n_unused=6, n_fake=40, size=32)
    real, fake = tmp_path / "demo" / "real", tmp_path / "demo" / "fake"
    Image.open(real / "real_003.png").save(fake / "stolen.png")
    assert main(["rank", str(real), str(fake), "--withhold", str(tmp_path / "w.csv"), "--neighbours", "2"]) == 0
    header, *lines = (tmp_path / "w.csv").read_text().splitlines()
    assert header == "name,position,real,rank,group,match,reason,distance,gain"
    assert [line.split(",")[2] for line in lines] == ["real_003.png"] * 2
    assert lines[0].startswith("stolen.png,40,real_003.png,1,,1,identical,0.0,")
    capsys.readouterr()
    assert main(["rank", str(real), str(fake), "--withhold", "-", "--neighbours", "2", "--rate", "0.5"]) == 0
    assert capsys.readouterr().out.startswith(header)
