"""Phantoms look like chests, are reproducible image by image, and the generator leaks what it says and nothing else."""

import csv
import functools
import json

import numpy as np
import pytest
from PIL import Image

from fingerprint import InputError
from fingerprint.phantoms import CHANGES, demo, generate, thorax, write_demo

SIZE = 64


@functools.cache
def drawn():
    return thorax(12, size=SIZE)


def share(region, low, high):
    """Return the share of pixels with grey levels from low to high."""
    return ((region >= low) & (region <= high)).mean()


def separation(scores, used):
    """Return the area under the ROC curve, by counting pairs."""
    return (scores[used][:, None] > scores[~used]).mean()


def nearest(real, fake):
    """Return the smallest root mean squared difference of each real image."""
    flat = fake.reshape(len(fake), -1).astype(float)
    return np.array([np.sqrt(((flat - row.ravel()) ** 2).mean(axis=1)).min() for row in real])


@pytest.mark.parametrize("size", [32, 65, 256])
@pytest.mark.parametrize("bits", [8, 16])
def test_shape_and_depth(size, bits) -> None:
    pixels = thorax(2, size=size, bits=bits)
    assert pixels.shape == (2, size, size)
    assert pixels.dtype == f"uint{bits}"


def test_the_depths_show_the_same_picture() -> None:
    fine, coarse = thorax(2, size=SIZE, bits=16) / 257, thorax(2, size=SIZE)
    assert np.abs(fine - coarse).max() <= 0.5 + 1 / 257
    assert (fine != np.round(fine)).any()


def test_what_is_where() -> None:
    real = thorax(20, size=128)
    air, bone = real[:, :8, 58:70], (real >= 250).mean(axis=(1, 2))
    assert air.max() < 90  # nothing above the chest
    assert real.min() == 38  # outside the field of view
    lungs = real[:, 40:80, 24:104]
    assert all(share(image, 55, 130) > 0.2 for image in lungs)  # lung
    assert all(share(image, 190, 254) > 0.2 for image in lungs)  # heart and vessels
    assert np.median(bone) > 0.005  # some windows are dark
    heart = real[:, 44:64, 64:80].mean()  # on the patient's left, the right of the picture
    assert heart > real[:, 44:64, 34:50].mean() + 30


def test_an_image_does_not_depend_on_how_many_are_drawn() -> None:
    np.testing.assert_array_equal(thorax(3, size=SIZE), drawn()[:3])
    few, source, change = generate(drawn(), 4, leak=0.5)
    more = generate(drawn(), 9, leak=0.5)
    np.testing.assert_array_equal(few, more[0][:4])
    np.testing.assert_array_equal(source, more[1][:4])
    assert change == more[2][:4]


def test_seeds_and_patients_differ() -> None:
    images = [*drawn(), *thorax(3, size=SIZE, seed=1), *generate(drawn(), 3, leak=0)[0]]
    assert len({image.tobytes() for image in images}) == len(images)


def test_neighbouring_slices_show_the_same_patient() -> None:
    slices = thorax(9, size=SIZE, slices_per_patient=3).astype(float)
    between = np.sqrt(((slices[:, None] - slices) ** 2).mean(axis=(2, 3)))
    same = np.arange(9)[:, None] // 3 == np.arange(9) // 3
    apart = ~np.eye(9, dtype=bool)
    assert between[same & apart].max() < between[~same].min()
    assert between[same & apart].min() > 1  # yet not the same slice
    np.testing.assert_array_equal(slices[::3], drawn()[:3])  # the first slice is the patient's only one by default


def test_the_share_of_leaks_is_as_asked() -> None:
    used = thorax(5, size=32)
    _, source, change = generate(used, 300, leak=0.3)
    assert 60 <= (source >= 0).sum() <= 120
    assert set(source.tolist()) == {-1, 0, 1, 2, 3, 4}
    assert set(change) == {"novel", *CHANGES}
    assert [c != "novel" for c in change] == (source >= 0).tolist()


def test_all_or_nothing_leaks() -> None:
    assert (generate(drawn(), 10, leak=0)[1] == -1).all()
    assert (generate(drawn(), 10, leak=1)[1] >= 0).all()


def test_leaks_are_near_their_source_and_novel_images_are_not() -> None:
    pixels, source, _ = generate(drawn(), 60, leak=0.5)
    gap = np.sqrt(((pixels[:, None].astype(float) - drawn()) ** 2).mean(axis=(2, 3)))
    leaked = source >= 0
    assert (gap[leaked].argmin(axis=1) == source[leaked]).mean() > 0.8
    assert np.median(gap[leaked].min(axis=1)) < np.median(gap[~leaked].min(axis=1)) / 1.3


def test_without_a_leak_the_images_know_nothing_of_the_used_ones() -> None:
    np.testing.assert_array_equal(
        generate(drawn()[:6], 5, leak=0)[0], generate(thorax(3, seed=9, size=SIZE), 5, leak=0)[0]
    )


def test_novel_images_do_not_depend_on_the_used_ones() -> None:
    some, source, _ = generate(drawn()[:6], 20, leak=0.5)
    other = generate(drawn()[6:], 20, leak=0.5)[0]
    same = (some == other).all(axis=(1, 2))
    assert same.tolist() == (source < 0).tolist()


def test_generated_images_are_smoother() -> None:
    def roughness(images):
        return np.abs(np.diff(images.astype(float), axis=2)).mean()

    assert roughness(generate(drawn(), 12, leak=0)[0]) < 0.8 * roughness(drawn())


def test_sixteen_bits_leak_the_same() -> None:
    deep, source, change = generate(thorax(12, size=SIZE, bits=16), 6, leak=0.9)
    plain = generate(drawn(), 6, leak=0.9)
    assert deep.dtype == np.uint16
    assert source.tolist() == plain[1].tolist()
    assert change == plain[2]
    assert np.abs(deep / 257 - plain[0]).max() < 2


def test_used_images_and_options_are_not_changed() -> None:
    used = drawn().copy()
    used.flags.writeable = False
    generate(used, 5, leak=1)
    np.testing.assert_array_equal(used, drawn())


def test_demo_tells_the_truth() -> None:
    data = demo(n_used=7, n_unused=5, n_fake=40, leak=0.6, size=SIZE)
    assert len(data.real) == len(data.used) == len(data.groups) == len(set(data.groups)) == 12
    assert len(data.fake) == len(data.source) == len(data.change) == 40
    assert data.used.sum() == 7
    assert data.used[data.source[data.source >= 0]].all()
    assert data.used[:7].tolist() != [True] * 7  # in random order
    assert data.real.names[:2] == ("real_001.png", "real_002.png")
    copies = np.flatnonzero(data.source >= 0)
    gap = ((data.fake.pixels[copies, None].astype(float) - data.real.pixels) ** 2).mean(axis=(2, 3))
    assert (gap.argmin(axis=1) == data.source[copies]).mean() > 0.8


def test_demo_keeps_patients_on_one_side() -> None:
    data = demo(n_used=7, n_unused=6, n_fake=0, size=32, slices_per_patient=3)
    used = {g for g, u in zip(data.groups, data.used, strict=True) if u}
    unused = {g for g, u in zip(data.groups, data.used, strict=True) if not u}
    assert (len(used), len(unused)) == (3, 2)
    assert not used & unused
    assert data.used.sum() == 7
    assert used | unused == {f"patient_{i:03d}" for i in range(1, 6)}
    assert used != {"patient_001", "patient_002", "patient_003"}  # numbers do not tell


def test_demo_without_unused_or_synthetic_images() -> None:
    data = demo(n_used=2, n_unused=0, n_fake=0, size=32)
    assert data.used.all()
    assert len(data.fake) == 0


def test_demo_is_reproducible() -> None:
    options = {"n_used": 2, "n_unused": 2, "n_fake": 3, "size": 32}
    one, two, other = demo(**options), demo(**options), demo(seed=1, **options)
    assert one.real.pixels.tobytes() == two.real.pixels.tobytes() != other.real.pixels.tobytes()
    assert one.fake.pixels.tobytes() == two.fake.pixels.tobytes() != other.fake.pixels.tobytes()


@pytest.mark.slow
def test_used_images_stand_out_with_a_leak_and_not_without() -> None:
    options = {"n_used": 40, "n_unused": 40, "n_fake": 150, "size": SIZE, "seed": 1}
    leaky, tight = (demo(leak=leak, **options) for leak in (0.5, 0))
    assert separation(-nearest(leaky.real.pixels, leaky.fake.pixels), leaky.used) > 0.8
    # 40 exchangeable images against 40 separate by 0.5 with a standard deviation of 0.065
    assert 0.34 < separation(-nearest(tight.real.pixels, tight.fake.pixels), tight.used) < 0.66


def test_write_demo(tmp_path) -> None:
    folder = tmp_path / "new" / "demo"
    data = write_demo(folder, n_used=3, n_unused=2, n_fake=8, leak=0.5, size=32)
    assert sorted(path.name for path in folder.iterdir()) == ["fake", "groups.json", "leaks.csv", "real", "truth.csv"]
    for name, images in (("real", data.real), ("fake", data.fake)):
        assert sorted(path.name for path in (folder / name).iterdir()) == list(images.names)
        for pixels, file in zip(images.pixels, images.names, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(folder / name / file)), pixels)
    with (folder / "truth.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    assert [row["name"] for row in truth] == list(data.real.names)
    assert [row["used"] for row in truth] == [str(int(u)) for u in data.used]
    assert {row["name"]: row["patient"] for row in truth} == json.loads((folder / "groups.json").read_text())
    with (folder / "leaks.csv").open(newline="") as file:
        leaks = list(csv.DictReader(file))
    assert [row["name"] for row in leaks] == list(data.fake.names)
    assert [row["source"] for row in leaks] == ["" if s < 0 else data.real.names[s] for s in data.source]
    assert [row["change"] for row in leaks] == list(data.change)


def test_write_demo_takes_an_empty_folder_and_overwrites_nothing(tmp_path) -> None:
    write_demo(tmp_path, n_used=1, n_unused=0, n_fake=1, size=32)
    with pytest.raises(InputError, match=r"^folder: expected a new or empty folder, got .*; name another one$"):
        write_demo(tmp_path)
    with pytest.raises(InputError, match=r"^folder: expected a new or empty folder"):
        write_demo(tmp_path / "truth.csv")
    with pytest.raises(InputError, match="n_used"):
        write_demo(tmp_path / "wrong", n_used=0)
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("n", lambda: thorax(-1)),
        ("seed", lambda: thorax(1, seed=-1)),
        ("size", lambda: thorax(1, size=31)),
        ("size", lambda: thorax(1, size=2049)),
        ("slices_per_patient", lambda: thorax(1, slices_per_patient=17)),
        ("bits", lambda: thorax(1, bits=12)),
        ("bits", lambda: thorax(1, bits=32)),
        ("n", lambda: generate(drawn(), 1.5)),
        ("seed", lambda: generate(drawn(), 1, seed="a")),
        ("leak", lambda: generate(drawn(), 1, leak=1.1)),
        ("used", lambda: generate([1], 1)),
        ("used", lambda: generate(drawn()[0], 1)),
        ("used", lambda: generate(drawn()[:0], 1)),
        ("used", lambda: generate(drawn().astype(float), 1)),
        ("used", lambda: generate(drawn()[:, :40], 1)),
        ("used", lambda: generate(drawn()[:, :16, :16], 1)),
        ("n_used", lambda: demo(n_used=0)),
        ("n_unused", lambda: demo(n_unused=-1)),
        ("n_fake", lambda: demo(n_fake=-1)),
        ("leak", lambda: demo(n_used=1, n_unused=0, n_fake=0, size=32, leak=-1)),
        ("slices_per_patient", lambda: demo(slices_per_patient=0)),
    ],
)
def test_wrong_arguments_are_named(argument, call) -> None:
    with pytest.raises(InputError, match=f"^{argument}: expected "):
        call()
