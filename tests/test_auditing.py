"""The audit, of scores and of images: shown where there is a leak, silent where there is none."""

import csv
import dataclasses
import io
import itertools
import json
import math

import numpy as np
import pytest
from leaks import LEAKS, SAFE, UNUSED, USED, blurred, images
from PIL import Image
from scipy import stats

import fingerprint
from fingerprint import Audit, InputError, audit_scores, data_copying
from fingerprint._answers import planted
from fingerprint._statistics import flagged, roc

NAN = math.nan


# --- Scores -----------------------------------------------------------------------------------------------------------


def patients(rng, n_patients, size, shift=0.0, within=0.5):
    """Return scores in which images of one patient resemble each other, and the patients."""
    group = np.repeat(np.arange(n_patients), size)
    scores = np.sqrt(1 - within) * rng.normal(size=n_patients)[group] + np.sqrt(within) * rng.normal(size=len(group))
    return scores + shift, group


def simulated(n, *, share=0.0, groups=False, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n):
        if groups:
            (a, first), (b, second) = patients(rng, 12, 4), patients(rng, 14, 3)
            yield audit_scores(a, b, groups=(first, 100 + second), n_permutations=199, seed=i)
        else:
            a, b = rng.normal(size=40), rng.normal(size=40)
            a[rng.random(40) < share] += 100
            yield audit_scores(a, b, n_permutations=199, seed=i)


@pytest.mark.parametrize("groups", [False, True])
def test_p_values_are_uniform_without_a_leak(groups):
    audits = list(simulated(400, groups=groups))
    p = np.array([audit.p_value for audit in audits])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    low, high = stats.binom.ppf([0.005, 0.995], 400, 0.05)
    assert low <= (p <= 0.05).sum() <= high
    covered = sum(audit.auc.low <= 0.5 <= audit.auc.high for audit in audits)
    assert covered >= stats.binom.ppf(0.005, 400, 0.95)


def test_ignored_patients_give_false_alarms():
    # the simulation above must be able to fail
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        alarms += audit_scores(patients(rng, 12, 8)[0], patients(rng, 12, 8)[0], n_permutations=199).leaks
    assert alarms > stats.binom.ppf(0.999, 200, 0.05)


def test_flags_are_as_rare_as_stated_without_a_leak():
    rates = [audit.leak_rate.value for audit in simulated(400)]
    assert np.mean(rates) == pytest.approx(2 / 41, abs=0.008)  # 2 of 41 is the largest possible rate up to 5 %


def test_detectable_leak_is_detected_with_the_stated_power():
    share = next(simulated(1)).detectable_share
    found = sum(audit.leaks for audit in simulated(400, share=share, seed=1))
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_more_power_needs_a_larger_leak_and_more_images_show_a_smaller_one():
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(2, 30)), rng.normal(size=(2, 300))
    base, strong, large = audit_scores(*few), audit_scores(*few, power=0.95), audit_scores(*many)
    assert large.detectable_auc < base.detectable_auc < strong.detectable_auc < 1
    assert large.detectable_share < base.detectable_share < strong.detectable_share < 1
    a, b = patients(rng, 10, 5), patients(rng, 10, 5)
    grouped = audit_scores(a[0], b[0], groups=(a[1], b[1] + 10))
    assert grouped.detectable_auc > audit_scores(a[0], b[0]).detectable_auc


def test_interval_covers_a_true_effect():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        (a, first), (b, second) = patients(rng, 15, 3, shift=1.5), patients(rng, 15, 3)
        interval = audit_scores(a, b, groups=(first, second + 15), n_permutations=99).auc
        covered += interval.low <= stats.norm.cdf(1.5 / math.sqrt(2)) <= interval.high
    assert covered >= stats.binom.ppf(0.005, 300, 0.95)


def test_p_value_counts_the_permutations():
    # 3 + 3 images, all used above all unused: 1 of 20 labellings reaches that
    audit = audit_scores([4, 5, 6], [1, 2, 3], n_permutations=9999)
    assert audit.p_value == pytest.approx(1 / 20, abs=0.008)
    assert audit.auc.value == 1
    assert 0 < audit.auc.low < 0.9
    assert audit_scores([1, 2, 3], [4, 5, 6]).p_value == 1


def test_patients_move_as_a_whole():
    # 2 + 2 patients of 10 images: 1 of 6 labellings is as extreme, however many images there are
    used, unused = np.arange(20) + 20.0, np.arange(20.0)
    pair = (np.repeat(["a", "b"], 10), np.repeat(["c", "d"], 10))
    audit = audit_scores(used, unused, groups=pair)
    assert audit.p_value == pytest.approx(1 / 6, abs=0.015)
    assert (audit.n_used_groups, audit.n_unused_groups) == (2, 2)
    assert math.isnan(audit.detectable_auc)
    assert "of 2 and 2 patients no leak could have been shown; use more." in audit.verdict
    assert "patients, each with all of its images," in audit.null
    plain = audit_scores(used, unused)
    assert plain.p_value == 1e-4
    assert audit.auc.low < plain.auc.low < 1
    assert audit.leak_rate.low < plain.leak_rate.low < 1


def test_groups_of_one_image_leave_the_audit_as_it_is():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=25) + 0.5, rng.normal(size=25)
    plain, grouped = audit_scores(a, b), audit_scores(a, b, groups=(range(25), range(25, 50)))
    assert grouped.auc_by_group == plain.auc
    assert dataclasses.replace(grouped, n_used_groups=None, n_unused_groups=None, auc_by_group=None) == plain


def test_leak_rate_is_the_share_above_the_threshold():
    unused = np.arange(99.0)
    audit = audit_scores([98.5, 97.5, 98.0, 50.0], unused, false_positive_rate=0.01, n_permutations=99)
    assert audit.leak_threshold == 98
    assert audit.leak_rate.value == 0.25
    expected = stats.binomtest(1, 4).proportion_ci(0.95, "exact")
    assert audit.leak_rate[1:] == pytest.approx((expected.low, expected.high))
    every = audit_scores([99.0, 100.0], unused, n_permutations=99)
    assert every.leak_rate == pytest.approx((1, 0.025**0.5, 1))
    few = audit_scores([99.0, 100.0], unused[:-1], false_positive_rate=0.01, n_permutations=99)
    assert np.isnan(few.leak_rate).all()
    assert math.isnan(few.leak_threshold)
    assert "Flagged" not in str(few)


def test_equal_scores_show_nothing():
    audit = audit_scores([1, 1, 1, 1], [1] * 20, n_permutations=99)
    assert (audit.auc.value, audit.p_value, audit.leak_rate.value) == (0.5, 1, 0)
    assert np.isnan([audit.detectable_auc, audit.detectable_share]).all()
    assert not audit.leaks


def test_nothing_is_detectable_where_chance_reaches_the_top():
    # 4 + 3 images: 1 of 35 labellings is the most extreme, more than the allowed 2.9 % at most once in the permutations
    audit = audit_scores([4, 5, 6, 7], [1, 2, 3], level=0.03)
    assert audit.p_value < 0.04
    assert math.isnan(audit.detectable_auc)


def test_verdicts():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    leak, none, reverse = audit_scores(a + 2, b), audit_scores(a, b), audit_scores(a - 2, b)
    assert (leak.leaks, none.leaks, reverse.leaks) == (True, False, False)
    assert leak.verdict.startswith("Leak shown: used images score higher than unused ones (AUC 0.9")
    assert leak.verdict.endswith("p = 0.0001).")
    assert none.verdict.startswith("No leak shown (AUC ")
    assert "does not prove that there is none: 50 used and 50 unused images show, in 80 % of cases" in none.verdict
    assert "check their origin" in reverse.verdict
    assert "check their origin" not in none.verdict
    assert none.null.startswith("Null: it is random which images were used")
    lines = str(leak).splitlines()
    assert lines[0] == leak.verdict
    assert lines[1].startswith("Flagged at a false positive rate of 5 %: ")
    assert lines[2].startswith("Upper bound: at a false positive rate of 5 %, this score tells no more than ")
    assert lines[3].startswith("Split control: two random halves of the used images have an AUC of 0.")
    assert lines[4] == leak.null


def test_audit_is_written(tmp_path):
    audit = audit_scores([3.0, np.inf, 5.0], [1.0, 2.0, 4.0], n_permutations=99)
    assert isinstance(audit, Audit)
    assert "copying" not in audit.to_csv()
    audit = dataclasses.replace(audit, copying=data_copying([3.0, 4.0], [1.0, 2.0], minimum=1))
    text = audit.to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == text
    rows = {row["quantity"]: row for row in csv.DictReader(io.StringIO(text))}
    assert float(rows["auc"]["value"]) == audit.auc.value
    assert float(rows["auc"]["low"]) == audit.auc.low
    assert rows["n_used"] == {"quantity": "n_used", "value": "3", "low": "", "high": ""}
    assert float(rows["copying_z"]["value"]) == audit.copying.z
    assert "n_used_groups" not in rows
    found = json.loads(audit.to_json(tmp_path / "a.json"))
    assert json.loads((tmp_path / "a.json").read_text()) == found
    assert (found["verdict"], found["null"], found["leaks"]) == (audit.verdict, audit.null, audit.leaks)
    assert found["copying"]["cells"] == [
        {"name": "all", "z": audit.copying.z, "n_unused": 2, "n_fake": 2, "counted": True}
    ]
    assert found["leak_rate"] == {"value": None, "low": None, "high": None}
    assert str(audit.copying) in str(audit)


def test_names_of_cells_become_plain():
    audit = audit_scores([3.0, 5.0], [1.0, 2.0], n_permutations=99)
    copying = data_copying([2.0], [1.0], cells=([(0, np.int64(1))], [(0, np.int64(1))]), minimum=1)
    found = json.loads(dataclasses.replace(audit, copying=copying).to_json())
    assert found["copying"]["cells"][0]["name"] == [0, 1]


@pytest.mark.parametrize(
    ("used", "unused", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, r"used_scores: expected at least two scores, got \[1.0\]"),
        ([1.0, 2.0], [True, False], {}, r"unused_scores: expected at least two scores"),
        ([1.0, NAN], [1.0, 2.0], {}, r"used_scores: expected scores without nan, got 1 nan"),
        ([1.0, 2.0], [1.0, 2.0], {"level": 0}, r"level: expected a number from 0.0001 to 0.5, got 0"),
        ([1.0, 2.0], [1.0, 2.0], {"false_positive_rate": 1}, r"false_positive_rate: expected a number from 0.0001"),
        ([1.0, 2.0], [1.0, 2.0], {"power": 0.3}, r"power: expected a number from 0.5 to 0.99, got 0.3"),
        ([1.0, 2.0], [1.0, 2.0], {"confidence": 1}, r"confidence: expected a number from 0.5 to 0.999, got 1"),
        ([1.0, 2.0], [1.0, 2.0], {"n_permutations": 18}, r"n_permutations: expected an integer of at least 19, got 18"),
        ([1.0, 2.0], [1.0, 2.0], {"seed": 1.5}, r"seed: expected an integer of at least 0"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": ["a", "b", "c", "d"]}, r"groups: expected a pair of sequences"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": (["a"], ["c", "d"])}, r"groups: expected 2 and 2 values, one per image"),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"groups": (["a", "b"], ["b", "c"])},
            r"groups: expected every patient on one side, got 1 both used and unused \(first: 'b'\); leave",
        ),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"groups": (["a", "a"], ["b", "c"])},
            r"groups: expected at least two patients on each",
        ),
    ],
)
def test_audit_refuses(used, unused, options, message):
    with pytest.raises(InputError, match=message):
        audit_scores(used, unused, **options)


# --- Images -----------------------------------------------------------------------------------------------------------


def test_a_leak_is_shown() -> None:
    found = fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=999)
    assert found.leaks
    assert found.auc.low > 0.6
    assert found.copying.z < -3
    assert "Leak shown" in found.verdict


def test_no_leak_is_no_proof() -> None:
    found = fingerprint.audit(USED, UNUSED, SAFE, n_permutations=999)
    assert not found.leaks
    assert abs(found.copying.z) < 3
    assert "does not prove that there is none" in found.verdict
    assert 0.5 < found.detectable_auc < 0.8


def test_the_audit_is_that_of_the_scores_of_the_ranking() -> None:
    found = fingerprint.audit(USED, UNUSED, LEAKS, method="gan-leaks", n_permutations=199, seed=3)
    ranking = fingerprint.rank(np.concatenate([USED, UNUSED]), LEAKS, method="gan-leaks")
    score = dict(zip(map(int, ranking.names), ranking.scores, strict=True))
    by_place = [score[i] for i in range(60)]
    expected = audit_scores(by_place[:30], by_place[30:], n_permutations=199, seed=3)
    assert (found.auc, found.p_value, found.leak_rate) == (expected.auc, expected.p_value, expected.leak_rate)


def test_the_copying_statistic_is_that_of_the_distances() -> None:
    near = fingerprint.distances(LEAKS, USED).min(axis=1)
    held_out = fingerprint.distances(UNUSED, USED).min(axis=1)
    expected = data_copying(held_out, near)
    for method in ("default", "gan-leaks", "ssim"):
        assert fingerprint.audit(USED, UNUSED, LEAKS, method=method, n_permutations=99, block=40).copying == expected


def test_a_stream_is_read_once_and_audited_like_a_collection() -> None:
    whole = fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=99)
    assert fingerprint.audit(USED, UNUSED, iter([LEAKS[:50], LEAKS[50:]]), n_permutations=99) == whole


MANY = images(100, 77)  # 50 used and 50 unused; the generators of SAFE and LEAKS saw none of them


def test_planted_copies_are_found_as_if_they_were_synthetic_images() -> None:
    found = fingerprint.audit(MANY[:50], MANY[50:], SAFE, opacities=(1, 0.5, 0.05), n_permutations=99, seed=4)
    copied, rest = planted._halves(np.arange(50), rng := np.random.default_rng(4), 100)
    rms = np.sqrt(((MANY[50:, None].astype(float) - SAFE) ** 2).mean(axis=(2, 3)))
    hosts = SAFE[rms[rng.permutation(copied)].argmin(axis=1)]
    for one in found.planted:
        mixed = np.rint(one.opacity * MANY[50:][copied] + (1 - one.opacity) * hosts).astype(np.uint8)
        ranking = fingerprint.rank(MANY, np.concatenate([SAFE, mixed]))
        score = dict(zip(map(int, ranking.names), ranking.scores, strict=True))
        by_place = np.array([score[i] for i in range(50, 100)])
        threshold = np.sort(by_place[rest])[-1]  # 5 % of 25 and the one at hand
        assert one == (one.opacity, (by_place[copied] > threshold).sum(), 25)
    assert found.planted[0].found == 25
    assert found.planted[-1].found < 10
    said = (
        "Of 25 unused images mixed into synthetic ones, this score would find, by the opacity of the copy: 25 at 100 %"
    )
    assert said in str(found)
    assert "found_at_0.5," in found.to_csv()
    assert json.loads(found.to_json())["planted"][0] == {"opacity": 1.0, "found": 25, "planted": 25}


def test_whole_patients_are_planted_at_most_a_hundred_images() -> None:
    unit = np.repeat(np.arange(9), 50)
    copied, rest = planted._halves(unit, np.random.default_rng(0), 100)
    assert len(copied) == 100
    assert len(rest) == 250
    assert not set(unit[copied]) & set(unit[rest])


def test_nothing_is_planted_where_that_cannot_be_done() -> None:
    sides = MANY[:50], MANY[50:]
    assert fingerprint.audit(*sides, iter([SAFE]), n_permutations=99).planted == ()
    assert fingerprint.audit(*sides, [SAFE[:50], iter([SAFE[50:]])], n_permutations=99).planted == ()
    assert fingerprint.audit(*sides, SAFE, opacities=(), n_permutations=99).planted == ()
    assert fingerprint.audit(USED, UNUSED, SAFE, n_permutations=99).planted == ()  # too few for a threshold


def test_a_control_generator_tells_a_difference_from_a_leak() -> None:
    found = fingerprint.audit(USED, UNUSED, LEAKS, control=images(90, 5), n_permutations=99)
    alone = fingerprint.audit(USED, UNUSED, images(90, 5), n_permutations=99)
    assert found.control == alone.auc
    assert found.auc == fingerprint.audit(USED, UNUSED, LEAKS, n_permutations=99).auc
    assert "Control generator: Used and unused images look alike to a generator that saw none of them" in str(found)
    assert found.failed["control"] == ()
    leaks = fingerprint.audit(USED, UNUSED, LEAKS, control=blurred(USED, 90, 6), n_permutations=99)
    assert "compare the AUC with this one, not with 0.5" in str(leaks)
    with pytest.raises(InputError, match="control: expected synthetic images of another generator, got those of fake"):
        fingerprint.audit(USED, UNUSED, LEAKS, control=LEAKS[::-1], n_permutations=99)
    assert alone.control is None
    assert "Control generator" not in str(alone)


def test_patients_stay_whole() -> None:
    patients = [f"u{i // 10}" for i in range(30)] + [f"n{i // 10}" for i in range(30)]
    found = fingerprint.audit(USED, UNUSED, LEAKS, groups=patients, n_permutations=199)
    assert (found.n_used_groups, found.n_unused_groups) == (3, 3)
    assert found.p_value >= 0.02  # there are but 20 ways to choose three of six patients
    with pytest.raises(InputError, match="expected every patient on one side"):
        fingerprint.audit(USED, UNUSED, LEAKS, groups=["a", "b"] * 30)


def test_labels_drawn_at_random_give_uniform_p_values() -> None:
    pool, rng, p_values = images(40, 5), np.random.default_rng(6), []
    for i in range(40):
        order = rng.permutation(40)
        found = fingerprint.audit(
            pool[order[:20]], pool[order[20:]], SAFE[:20], method="gan-leaks", n_permutations=99, seed=i
        )
        p_values.append(found.p_value)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.05) < 0.15


def test_failed_files_are_listed_and_sizes_brought_together(tmp_path) -> None:
    for name, stack in (("used", USED), ("unused", UNUSED)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(stack):
            Image.fromarray(image).resize((20 + i % 2, 20)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "used" / "x.png").write_bytes(b"")
    found = fingerprint.audit(tmp_path / "used", tmp_path / "unused", LEAKS, size=16, n_permutations=99)
    assert [failure.name for failure in found.failed["used"]] == ["x.png"]
    assert found.failed["fake"] == found.failed["unused"] == ()
    assert "failed, used: x.png: " in str(found)
    assert json.loads(found.to_json())["failed"]["used"][0]["name"] == "x.png"
    assert found.n_used == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "x"}, r"method: expected one of 'default'"),
        ({"opacities": 0.5}, r"opacities: expected a sequence of numbers from 0.01 to 1, got 0.5"),
        ({"opacities": (0.5, 2)}, r"opacities: expected a number from 0.01 to 1, got 2"),
        ({"control": "nowhere"}, r"control: "),
        ({"level": 2}, r"level: expected a number from 0.0001 to 0.5, got 2"),
        ({"used": "nowhere"}, r"used: "),
        ({"unused": "nowhere"}, r"unused: "),
        ({"fake": "nowhere"}, r"fake: "),
        ({"unused": images(4, 0, 8)}, r"unused: "),
        ({"used": USED[:1]}, r"used_scores: expected at least two scores"),
    ],
)
def test_audit_says_what_is_wrong(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        fingerprint.audit(**({"used": USED, "unused": UNUSED, "fake": SAFE, "n_permutations": 99} | arguments))


@pytest.mark.parametrize(("m", "n", "shift", "patients"), [(60, 60, 0, None), (60, 40, 1.0, None), (80, 80, 0.8, 16)])
def test_no_more_used_images_can_be_told_than_the_upper_bound_says(m, n, shift, patients) -> None:
    rng, true = np.random.default_rng(m + n), stats.norm.sf(stats.norm.isf(0.05) - shift)
    runs, exceeded, bounds = 300, 0, []
    first, second = (np.arange(size) if patients is None else np.arange(size) * patients // size for size in (m, n))
    for _ in range(runs):
        a, b = (
            np.sqrt(0.6) * rng.normal(size=unit.max() + 1)[unit] + np.sqrt(0.4) * rng.normal(size=len(unit))
            for unit in (first, second)
        )
        bounds.append(flagged.upper_bound(a + shift, b, first, second, 0.05, 0.95))
        exceeded += true > bounds[-1]
    assert exceeded <= stats.binom.ppf(0.999, runs, 0.05)
    assert true < np.median(bounds) < 1


def test_the_upper_bound_of_few_images_or_of_all_told_is_1() -> None:
    one = np.arange(2)
    assert flagged.upper_bound(np.array([1.0, 2.0]), np.array([0.0, 0.5]), one, one, 0.4, 0.95) == 1
    assert flagged.upper_bound(np.full(50, 9.0), np.zeros(50), np.arange(50), np.arange(50), 0.05, 0.95) == 1


def test_the_split_control_is_what_random_halves_of_patients_reach() -> None:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(6), 5)
    scores = rng.normal(size=6)[unit] + 0.1 * rng.normal(size=30)
    exact = []
    for half in itertools.combinations(range(6), 3):
        inside = np.isin(unit, half)
        exact.append(stats.mannwhitneyu(scores[inside], scores[~inside]).statistic / 225)
    found = roc.split_control(scores, unit, 4000, 0, 0.9)
    assert found.value == pytest.approx(np.mean(exact), abs=0.02)
    # 20 ways to part six patients: the ends are among the outermost ones
    assert sorted(exact)[0] <= found.low <= sorted(exact)[2]
    assert sorted(exact)[-3] <= found.high <= sorted(exact)[-1]
    assert math.isnan(roc.split_control(scores[:15], unit[:15], 99, 0, 0.9).value)


def test_an_audit_reports_its_controls_and_the_auc_by_patient() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(12), 4)
    used, unused = rng.normal(size=48) + rng.normal(size=12)[unit] + 1, rng.normal(size=48)
    found = audit_scores(used, unused, groups=(unit, unit + 12), n_permutations=199)
    means = audit_scores(used[::4], unused[::4], n_permutations=199)
    a, b = (side.reshape(12, 4).mean(axis=1) for side in (used, unused))
    assert found.auc_by_group.value == pytest.approx(stats.mannwhitneyu(a, b).statistic / 144)
    assert means.auc_by_group is None
    assert found.leak_rate.value <= found.most_told <= 1
    text = str(found)
    assert f"tells no more than {100 * found.most_told:.0f} % of the used images (95 % confidence)" in text
    assert f"of the used images have an AUC of {found.split_used.low:.3f} to {found.split_used.high:.3f}" in text
    assert f"By patient, from mean scores: AUC {found.auc_by_group}." in text
    assert "an unknown size" in str(audit_scores([1.0, 2.0], [0.0, 3.0], n_permutations=99))
