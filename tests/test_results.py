"""What all results have in common, on one of each kind."""

import base64
import copy
import csv
import inspect
import io
import json
import math
import pickle
import sys
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from PIL import Image

import fingerprint
from fingerprint import InputError, challenge, phantoms
from fingerprint._base.output import from_cell
from fingerprint._base.results import ListResult, Result

PUBLIC = [getattr(module, name) for module in (fingerprint, challenge, phantoms) for name in dir(module)]
KINDS = sorted({thing for thing in PUBLIC if inspect.isclass(thing) and issubclass(thing, Result)}, key=str)
LISTS = [kind for kind in KINDS if issubclass(kind, ListResult)]
ROWS = sorted({thing for thing in PUBLIC if inspect.isclass(thing) and issubclass(thing, tuple)}, key=str)
LONG = "a_name_that_is_rather_long_" * 6


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[type, Result]:
    """Return one result of each kind, with a file that failed and long names wherever there can be some."""
    folder = tmp_path_factory.mktemp("results")
    broken = folder / f"{LONG}.png"
    broken.write_bytes(b"")
    demo = phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    real = fingerprint.Slices(demo.real.pixels, tuple(f"{LONG}{name}" for name in demo.real.names))
    used, unused, fake = real.pixels[demo.used], real.pixels[~demo.used], [demo.fake, *[broken] * 40]
    others = phantoms.demo(n_used=6, n_unused=6, n_fake=0, size=64, seed=1).real.pixels
    ranking = fingerprint.rank([real, broken], fake, groups=lambda name: name[-6:], reference=others)
    detector = fingerprint.fit(used, unused, fake)
    predictions = detector.predict(real, fake)
    evaluation = fingerprint.evaluate([0, 1, 1], [0.2, 0.1, 0.7], n_bootstrap=100)
    audit = fingerprint.audit(used, unused, fake, n_permutations=99)
    found = [
        *(ranking, ranking.decide(), ranking.evidence(0), detector, predictions, evaluation, evaluation.coin, audit),
        *(audit.copying, demo, challenge.Answer(detector, predictions, 2023)),
        fingerprint.rank(real, [fake, real.pixels[:4]], groups=lambda name: name[-6:]).withhold(),
        fingerprint.compare(used, fake, demo.fake, unused=unused, n_bootstrap=100),
        fingerprint.attribute({"a": used, "=b": unused}, fake, least_margin=0.2),
        fingerprint.check(real, fake, reference=others),
        fingerprint.nearest(real, fake),
        fingerprint.nearest_patches(real[:2], demo.fake.pixels[:2]),
    ]
    return {type(one): one for one in found}


@pytest.fixture
def result(request, results) -> Result:
    return results[request.param]


every = pytest.mark.parametrize("result", KINDS, indirect=True, ids=lambda kind: kind.__name__)
lists = pytest.mark.parametrize("result", LISTS, indirect=True, ids=lambda kind: kind.__name__)


def test_every_kind_of_result_is_tested(results) -> None:
    assert set(results) == set(KINDS)
    assert len(LISTS) == 8


@every
def test_a_result_shows_itself_in_a_few_lines(result) -> None:
    text = repr(result)
    assert text.startswith(f"{type(result).__name__}: ")
    assert len(text) < 1500
    assert len(text.splitlines()) <= 25
    assert str(result)
    page = result._repr_html_()
    assert "<table>" in page or 'src="data:image/png' in page
    assert page.count("<tr>") <= 12


def test_a_notebook_shows_whatever_is_no_row(results, tmp_path) -> None:
    demo = phantoms.demo(n_used=6, n_unused=6, n_fake=20, size=64)
    ranking = results[fingerprint.Ranking]
    deep = fingerprint.Slices(demo.real.pixels.astype(np.uint16) * 9, ("<b>", *demo.real.names[1:]))
    stream = fingerprint.Stream(demo.real)
    stream.update(demo.fake)
    for name in ("generated_1", "real_unknown_1"):
        (tmp_path / name).mkdir()
    shown = [
        *(demo.real, deep, ranking.evidence(0).where, ranking.provenance, fingerprint.summarise(demo.real, demo.fake)),
        *(stream, fingerprint.PatchSearch(8, 4, 2, "rmse", 1.0), challenge.layout(tmp_path)),
        fingerprint.DetectorClassifier(seed=3),
    ]
    others = {thing for thing in PUBLIC if inspect.isclass(thing)} - {*KINDS, *ROWS, InputError}
    assert {type(one) for one in shown} == others
    for one in shown:
        page = one._repr_html_()
        assert page.startswith("<p>")
        assert page.count("<tr>") <= 20
        assert page.count("<img") == (6 if isinstance(one, fingerprint.Slices) else 0)
    assert "&lt;b&gt;" in deep._repr_html_()
    assert "<td>method</td><td>default</td>" in ranking.provenance._repr_html_()
    assert "<td>mask</td>" not in ranking.provenance._repr_html_()
    picture = Image.open(io.BytesIO(base64.b64decode(deep._repr_html_().split("base64,")[1].partition('"')[0])))
    assert (picture.mode, picture.size, picture.getextrema()) == ("L", (64, 64), (0, 255))
    assert "<td>synthetic images</td><td>20</td>" in stream._repr_html_()
    assert fingerprint.Slices(np.zeros((0, 0, 0), np.uint8), ())._repr_html_().startswith("<p>Slices: 0 images")


@every
def test_a_result_is_equal_to_its_copies_and_to_nothing_else(result, results) -> None:
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result), replace(result)):
        assert other == result
        assert hash(other) == hash(result)
        assert other.to_json() == result.to_json()
        assert len({other, result}) == 1
    assert [one == result for one in results.values()].count(True) == 1
    assert result not in (None, 1, "a", np.arange(3).tolist())
    assert replace(result, provenance=None) == result


@every
def test_what_a_result_holds_is_short_and_equal_to_its_copy_too(result) -> None:
    for field in fields(result):
        value = getattr(result, field.name)
        if not isinstance(value, np.ndarray | float | tuple) and field.name != "origin":
            assert len(repr(value)) < 1500 or field.name == "failed"
            if not isinstance(value, fingerprint.Slices):
                assert getattr(copy.deepcopy(result), field.name) == value


@every
def test_a_result_with_another_content_is_another(result) -> None:
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray) and value.size:
            changed = value.copy()
            changed.flat[0] = not changed.flat[0] if value.dtype == bool else 0 if changed.flat[0] else 1
            assert replace(result, **{field.name: changed}) != result
        elif isinstance(value, float):
            assert replace(result, **{field.name: value + 1 if math.isfinite(value) else 0.0}) != result


@every
def test_a_result_cannot_be_changed(result) -> None:
    for one in (result, pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        for field in fields(one):
            value = getattr(one, field.name)
            with pytest.raises(FrozenInstanceError):
                setattr(one, field.name, value)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable
            elif hasattr(value, "keys"):
                with pytest.raises(TypeError):
                    value["new"] = 1


@every
def test_json_is_strict_and_says_what_made_it(result, tmp_path) -> None:
    def refuse(constant):
        raise AssertionError(constant)

    text = result.to_json(tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text(encoding="utf-8") == text
    content = json.loads(text, parse_constant=refuse)
    assert content == result.to_dict()
    assert list(content)[:6] == ["format", "schema", "version", "date", "sources", "settings"]
    assert (content["format"], content["schema"]) == (f"fingerprint {type(result).__name__}", type(result).schema)
    if result.provenance is not None:
        assert content["version"] == fingerprint.__version__
        assert content["date"] == "2023-11-14T22:13:20+00:00"  # of conftest.py


@every
def test_csv_and_frame_hold_the_same_table(result, tmp_path) -> None:
    pd = pytest.importorskip("pandas")
    text = result.to_csv(tmp_path / "result.csv")
    assert (tmp_path / "result.csv").read_bytes().decode() == text
    header, *lines = csv.reader(io.StringIO(text))
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [from_cell(cell) for cell in header]
    assert len(frame) == len(lines)
    assert len(lines) > 0
    _, rows = result.table()
    for line, row in zip(lines, rows, strict=True):
        for cell, value in zip(line, row, strict=True):
            if isinstance(value, float) and not isinstance(value, bool):
                assert float(cell) == value or math.isnan(value)
            else:
                expected = "" if value is None else str(int(value) if isinstance(value, bool) else value)
                assert from_cell(cell) == expected


def test_a_frame_without_pandas_says_what_to_do(results, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="to_frame: needs pandas; pip install pandas"):
        results[fingerprint.Ranking].to_frame()


@lists
def test_a_list_is_a_list_of_rows(result) -> None:
    rows = list(result)
    assert len(rows) == len(result) == len(result.names)
    assert {type(row) for row in rows} <= set(ROWS)
    assert [row.name for row in rows] == list(result.names)
    assert result[0] == rows[0]
    assert result[-1] == rows[-1]
    assert result[:5] == rows[:5]
    assert result[::-2] == rows[::-2]
    assert result[np.int64(1)] == rows[1]
    assert rows[0].name in result
    assert "nobody" not in result
    assert list(reversed(result)) == rows[::-1]
    assert {hash(row) for row in rows}
    with pytest.raises(IndexError):
        _ = result[len(rows)]
    with pytest.raises(IndexError):
        _ = result[-len(rows) - 1]


@lists
def test_a_list_stands_in_json_row_by_row(result) -> None:
    content = result.to_dict()
    assert [row["name"] for row in content["rows"]] == list(result.names)
    assert set(type(result)._by_row) & set(content) <= {"n_real", "rows"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_files_that_failed_are_kept_by_the_name_of_their_argument(kind, results) -> None:
    found = results[kind]
    if "failed" in {field.name for field in fields(kind)}:
        documented = kind.__doc__.partition("failed : mapping of str to tuple of Failure")[2]
        for side, failures in found.failed.items():
            assert isinstance(failures, tuple)
            assert all(isinstance(failure, fingerprint.Failure) for failure in failures)
            assert kind is fingerprint.Attribution or f'``"{side}"``' in documented
        assert sum(map(len, found.failed.values())) >= (0 if kind is fingerprint.NearestPatches else 40)
        assert "broken" not in repr(found)


def write_others(folder):
    """Write images of other people than the demo has, and return the folder."""
    phantoms.write_demo(folder / "others", n_used=12, n_unused=12, n_fake=0, size=32, seed=1)
    for path in sorted((folder / "others" / "real").iterdir()):
        path.rename(path.with_name(path.name.replace("real", "other")))
    return folder / "others" / "real"


@pytest.mark.parametrize(
    ("question", "sources", "options"),
    [
        (fingerprint.rank, "real fake", {"k": 3, "method": "nearness", "size": (48, 32)}),
        (
            fingerprint.rank,
            "real fake reference",
            {
                "groups": {
                    f"{side}_{i + 1:03d}.png": f"{side} {i // 2}" for side in ("real", "other") for i in range(24)
                }
            },
        ),
        (fingerprint.check, "real fake reference", {"size": (48, 32)}),
        (fingerprint.fit, "used unused fake population", {"n_fake": 30, "seed": 1}),
        (fingerprint.audit, "used unused fake", {"n_permutations": 99, "level": 0.1}),
        (fingerprint.compare, "used fake_a fake_b", {"n_bootstrap": 100}),
        (fingerprint.attribute, "training_sets fake", {"least_margin": 0.1}),
        (fingerprint.nearest, "real fake", {"k": 2, "metric": "ssim"}),
        (fingerprint.nearest_patches, "real fake", {"mirror": True}),
    ],
)
def test_a_run_can_be_repeated_from_its_file(question, sources, options, tmp_path) -> None:
    folders = dict.fromkeys(("real", "population", "used"), tmp_path / "demo" / "real")
    folders |= dict.fromkeys(("unused", "reference"), write_others(tmp_path))
    folders |= dict.fromkeys(("fake", "fake_a", "fake_b"), tmp_path / "demo" / "fake")
    folders["training_sets"] = {"a": tmp_path / "demo" / "real", "b": [tmp_path / "demo" / "fake"]}
    phantoms.write_demo(tmp_path / "demo", n_used=12, n_unused=12, n_fake=40, size=32)
    given = {name: folders[name] for name in sources.split()}
    result = question(**given, **options, threads=1)
    content = json.loads(result.to_json(tmp_path / "result.json"))
    assert {name for name, source in content["sources"].items() if source is not None} == set(given)
    assert set(options) <= set(content["settings"])
    assert not {"threads", "block", "progress", "executor"} & set(content["settings"])
    again = question(**content["sources"], **content["settings"])
    assert again == result
    assert again.to_json() == result.to_json()


def test_a_prediction_can_be_repeated_from_its_file(tmp_path) -> None:
    phantoms.write_demo(tmp_path / "demo", n_used=12, n_unused=12, n_fake=40, size=32)
    real, fake = tmp_path / "demo" / "real", tmp_path / "demo" / "fake"
    predictions = fingerprint.fit(real, write_others(tmp_path), fake).predict(real, fake, share=0.4)
    content = predictions.to_dict()
    detector = fingerprint.load_detector(json.dumps(content["settings"].pop("detector")))
    assert detector.predict(**content["sources"], **content["settings"]) == predictions


def test_a_ranking_comes_back_from_its_file_with_all_but_the_pixels(tmp_path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "demo"
    phantoms.write_demo(folder, n_used=6, n_unused=6, n_fake=40, size=32)
    phantoms.write_demo(tmp_path / "more", n_used=5, n_unused=5, n_fake=0, size=32, seed=1)
    (folder / "real" / "real_004.png").write_bytes(b"no picture")
    plain = fingerprint.rank(folder / "real", [folder / "fake"])
    tested = fingerprint.rank(folder / "real", folder / "fake", reference=tmp_path / "more" / "real", method="patches")
    both = {"population": tmp_path / "more" / "real", "groups": lambda name: name[-5:]}
    for ranking in (plain, tested, fingerprint.rank(folder / "real", folder / "fake", **both)):
        ranking.to_json(tmp_path / "ranking.json")
        again = fingerprint.Ranking.from_json(tmp_path / "ranking.json")
        assert again == ranking == fingerprint.Ranking.from_json(ranking.to_json())
        assert again.origin is None
        assert again.to_json() == ranking.to_json()
        assert again.to_csv() == ranking.to_csv()
        assert again.decide() == ranking.decide()
        for i, match in ((0, 0), (10, 4)):
            assert again.evidence(i, match=match) == ranking.evidence(i, match=match)
    again.report(tmp_path / "again.html", top=2)
    ranking.report(tmp_path / "ranking.html", top=2)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "ranking.html").read_bytes()
    (folder / "real" / "real_001.png").unlink()
    with pytest.raises(InputError, match="real: expected the images that were ranked, found others; rank them again"):
        fingerprint.Ranking.from_json(tmp_path / "ranking.json").evidence(0)


def test_a_ranking_of_arrays_from_its_file_says_that_the_images_are_missing(tmp_path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    images = phantoms.thorax(6, size=32)
    again = fingerprint.Ranking.from_json(fingerprint.rank(images, images).to_json())
    with pytest.raises(InputError, match="nor were they given as paths from which to read them again; make it by rank"):
        again.evidence(0)
    with pytest.raises(InputError, match="evidence: this ranking has no images; make it by rank"):
        replace(again, provenance=None).evidence(0)
    again.report(tmp_path / "ranking.html")
    assert "No pictures: evidence: this ranking has no images" in (tmp_path / "ranking.html").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.json", r"path: expected what Ranking.to_json wrote, got nowhere.json"),
        ("{", r"path: expected what Ranking.to_json wrote"),
        ("{}", r"path: expected format 'fingerprint Ranking' of schema 1, got {} of format None and schema None"),
        ('{"format": "fingerprint Ranking", "schema": 1}', r"path: expected a complete Ranking, .*KeyError 'version'"),
    ],
)
def test_what_is_no_ranking_is_refused(text, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.Ranking.from_json(text)


def test_sources_are_paths_or_numbers_of_images(tmp_path) -> None:
    images = phantoms.thorax(5, size=32)
    (tmp_path / "empty.png").write_bytes(b"")
    listed = [images[:2], tmp_path / "empty.png", str(tmp_path / "empty.png"), images[4:]]
    found = fingerprint.nearest(images, listed).provenance.sources
    assert found["real"] == 5
    assert found["fake"] == (2, str(tmp_path / "empty.png"), str(tmp_path / "empty.png"), 1)
    assert fingerprint.nearest(images, iter([images])).provenance.sources["fake"] is None


def test_the_date_is_that_of_the_run(monkeypatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    first, second = (fingerprint.evaluate([0, 1], [0, 1], n_bootstrap=100) for _ in range(2))
    assert first.provenance.date[:4] >= "2026"
    assert first.provenance.date.endswith("+00:00")
    assert first == second
    assert first.to_dict()["date"] == first.provenance.date
    for wrong in ("tomorrow", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(InputError, match=f"SOURCE_DATE_EPOCH: expected seconds since 1970, got '{wrong}'"):
            fingerprint.evaluate([0, 1], [0, 1], n_bootstrap=100)


def test_groups_of_any_type_are_written_as_text() -> None:
    images = phantoms.thorax(3, size=32)
    for groups in ([7, 7, 8], np.array([7, 7, 8]), (7, 7, 8)):
        assert fingerprint.rank(images, images, groups=groups).provenance.settings["groups"] == ("7", "7", "8")
    found = fingerprint.rank(images, images, groups={"0": 7, "1": 1.5, "2": "x"})
    assert dict(found.provenance.settings["groups"]) == {"0": "7", "1": "1.5", "2": "x"}
    assert hash(found.provenance) == hash(pickle.loads(pickle.dumps(found.provenance)))


def test_a_ranking_of_a_stream_can_be_pickled() -> None:
    images = phantoms.thorax(6, size=32)
    ranking = fingerprint.rank(images, (part[None] for part in images))
    again = pickle.loads(pickle.dumps(ranking))
    assert again == copy.deepcopy(ranking) == ranking
    with pytest.raises(InputError, match="fake: an iterator cannot be read a second time"):
        again.evidence(0)


def test_a_pickled_ranking_still_shows_its_evidence(results) -> None:
    ranking = results[fingerprint.Ranking]
    assert pickle.loads(pickle.dumps(ranking)).evidence(0) == ranking.evidence(0)


def test_no_name_acts_in_a_terminal_or_a_notebook() -> None:
    images = phantoms.thorax(2, size=32)
    found = fingerprint.nearest(fingerprint.Slices(images, ("a\x1b[31m", "<script>b</script>")), images)
    assert "\x1b" not in repr(found)
    assert "a\\x1b[31m" in repr(found)
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;b" in found._repr_html_()


def test_names_of_slices() -> None:
    images = phantoms.demo(n_used=1, n_unused=1, n_fake=1, size=32).real
    assert images.names[0] in images
    assert "nobody" not in images
    assert len({images, copy.deepcopy(images)}) == 2
