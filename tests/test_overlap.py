"""The same image or patient as used and unused, or in question and known to be unused, is an error that says so."""

import numpy as np
import pytest

import fingerprint
from fingerprint import InputError, phantoms

REAL = phantoms.thorax(24, seed=3, size=32)
FAKE = phantoms.generate(REAL[:12], 30, seed=3)[0]
SIDES = {
    "rank": ("real", "reference", lambda a, b, **more: fingerprint.rank(a, FAKE, reference=b, **more)),
    "audit": ("used", "unused", lambda a, b, **more: fingerprint.audit(a, b, FAKE, n_permutations=99, **more)),
    "fit": ("used", "unused", lambda a, b, **more: fingerprint.fit(a, b, FAKE, **more)),
    "compare": (
        "used",
        "unused",
        lambda a, b, **more: fingerprint.compare(a, FAKE, FAKE, unused=b, n_bootstrap=100, **more),
    ),
}
every = pytest.mark.parametrize(("first", "second", "ask"), SIDES.values(), ids=SIDES)


@every
def test_an_image_on_both_sides_is_refused(first, second, ask) -> None:
    others = REAL[12:].copy()
    others[[4, 7]] = REAL[[2, 2]]
    message = (
        rf"{first}, {second}: expected different images, got 2 of {second} .* \(first: '4' is '2'\); leave them out"
    )
    with pytest.raises(InputError, match=message):
        ask(REAL[:12], others)


@every
def test_a_patient_on_both_sides_is_refused(first, second, ask, tmp_path) -> None:
    used, unused = fingerprint.Slices(REAL[:12], names := tuple("abcdefghijkl")), fingerprint.Slices(REAL[12:], names)
    with pytest.raises(InputError, match=rf"groups: .* got 12 on both, {first} and {second} \(first: 'a'\)"):
        ask(used, unused, groups=dict(zip(names, names, strict=True)))


@every
def test_images_without_content_may_stand_on_both_sides(first, second, ask) -> None:
    real = REAL.copy()
    real[[3, 15]] = 0
    ask(real[:12], real[12:])


@pytest.mark.parametrize("unknown", [None, float("nan"), "", " ", np.datetime64("NaT")])
def test_patients_who_are_not_known_are_not_one_patient(unknown) -> None:
    groups = [f"p{i}" if i < 20 else unknown for i in range(24)]
    message = r"groups: expected the patient of every real image, got '.*' for '20' \(4 unknown\)"
    for given in (groups, dict(enumerate(groups)), lambda name: groups[int(name)]):
        mapping = {str(i): group for i, group in given.items()} if isinstance(given, dict) else given
        with pytest.raises(InputError, match=message):
            fingerprint.rank(REAL, FAKE, groups=mapping)
