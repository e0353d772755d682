"""p- and q-values: against what they count, and valid where nothing leaks, by image and by patient."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, false_discovery_control

from fingerprint import InputError
from fingerprint._statistics.p_values import group_means, group_p_values, p_values, q_values

small = arrays(np.float64, st.integers(1, 12), elements=st.integers(-3, 3))


def slices_of_patients(rng, patients, most=10, between=0.9):
    """Return scores of unused images, those of a patient much alike, and their patients, who differ in number."""
    sizes = rng.integers(1, most + 1, patients)
    groups = np.repeat(np.arange(patients), sizes)
    noise = rng.normal(size=len(groups))
    scores = np.sqrt(between) * rng.normal(size=patients)[groups] + np.sqrt(1 - between) * noise
    return scores, [f"p{number}" for number in groups]


def few(alarms, runs, level):
    """Whether so many alarms pass for a probability of at most the level."""
    return alarms <= binom.ppf(0.999, runs, level)


@given(small, small)
def test_p_values_count_the_null(found, null) -> None:
    expected = [(1 + sum(null >= score)) / (1 + len(null)) for score in found]
    assert p_values(found, null).tolist() == expected
    assert p_values(found, null, [str(i) for i in range(len(null))]).tolist() == expected


@given(small, st.lists(st.tuples(st.integers(-3, 3), st.sampled_from("abcd")), min_size=1, max_size=12))
def test_p_values_of_groups_count_shares_of_patients(found, reference) -> None:
    people = {name for _, name in reference}

    def share(name, score):
        own = [value for value, whose in reference if whose == name]
        return Fraction(sum(value >= score for value in own), len(own))

    null, groups = np.array([value for value, _ in reference], np.float64), [name for _, name in reference]
    expected = [float((1 + sum(share(name, score) for name in people)) / (1 + len(people))) for score in found]
    np.testing.assert_allclose(p_values(found, null, groups), expected, rtol=1e-11)


def test_a_reference_of_six_patients_is_six_witnesses() -> None:
    null, groups = np.arange(60.0), [f"p{i // 10}" for i in range(60)]
    assert p_values(np.array([100.0]), null).tolist() == [1 / 61]
    assert p_values(np.array([100.0]), null, groups).tolist() == [1 / 7]
    assert p_values(np.array([-1.0]), null, groups).tolist() == [1.0]
    with pytest.raises(InputError, match="groups: expected one patient for each of the 60 images, got 59"):
        p_values(np.array([0.0]), null, groups[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("patients", [6, 40])
def test_p_values_by_patient_are_valid_where_those_by_image_are_not(patients) -> None:
    rng = np.random.default_rng(patients)
    runs, levels = 4000, (1 / 7, 0.2, 0.5)
    by_image, by_patient, whole = [], [], []
    for _ in range(runs):
        null, null_groups = slices_of_patients(rng, patients)
        found, groups = slices_of_patients(rng, 1)
        chosen = found[rng.integers(len(found))][None]
        by_image.append(p_values(chosen, null)[0])
        by_patient.append(p_values(chosen, null, null_groups)[0])
        whole.append(group_p_values(found, groups, null, null_groups)["p0"])
    for level in levels:
        assert few((np.array(by_patient) <= level + 1e-9).sum(), runs, level)
        assert few((np.array(whole) <= level + 1e-9).sum(), runs, level)
    if patients == 6:
        assert not few((np.array(by_image) <= 0.05).sum(), runs, 0.05)
        # exact, not merely on the safe side: means of patients take each rank equally often
        assert not few((np.array(whole) <= 1 / 7).sum(), runs, 0.8 / 7)


def test_false_discoveries_among_images_of_few_patients_stay_below_the_rate() -> None:
    rng = np.random.default_rng(3)
    shares, shares_of_patients, calls = [], [], 0
    for _ in range(400):
        null, null_groups = slices_of_patients(rng, 60)
        found, groups = slices_of_patients(rng, 30)
        used = np.array([int(name[1:]) < 12 for name in groups])
        found = found + 4.0 * used
        called = q_values(p_values(found, null, null_groups)) <= 0.2
        shares.append((called & ~used).sum() / max(called.sum(), 1))
        p = group_p_values(found, groups, null, null_groups)
        names = np.array([int(name[1:]) for name in p])[q_values(np.array(list(p.values()))) <= 0.2]
        shares_of_patients.append((names >= 12).sum() / max(len(names), 1))
        calls += called.sum()
    assert calls > 0
    for found_share in (shares, shares_of_patients):
        assert np.mean(found_share) <= 0.2 + 3 * np.std(found_share) / 20


def test_patients_are_compared_by_their_means() -> None:
    found, null = np.array([1.0, 5.0, 2.0]), np.array([0.0, 2.0, 3.0, 3.0])
    assert group_means(found, ["a", "a", "b"]) == {"a": 3.0, "b": 2.0}
    assert group_p_values(found, ["a", "a", "b"], null, ["c", "c", "d", "e"]) == {"a": 3 / 4, "b": 3 / 4}


@given(arrays(np.float64, st.integers(1, 20), elements=st.integers(1, 30).map(lambda i: i / 30)))
def test_q_values_are_those_of_benjamini_and_hochberg(p) -> None:
    np.testing.assert_allclose(q_values(p), false_discovery_control(p), rtol=1e-14)
