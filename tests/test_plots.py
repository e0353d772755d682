"""Pictures hold the numbers that the results hold."""

import subprocess
import sys

import numpy as np
import pytest

import fingerprint
from fingerprint import InputError, phantoms

matplotlib = pytest.importorskip("matplotlib")
DEMO = phantoms.demo(n_used=8, n_unused=8, n_fake=60, size=32)
TRUTH = dict(zip(DEMO.real.names, DEMO.used.tolist(), strict=True))


def ranking(**options):
    return fingerprint.rank(DEMO.real, DEMO.fake, **options)


def test_scores_stand_in_their_order() -> None:
    ax = ranking().plot()
    (points,) = ax.lines
    assert points.get_ydata().tolist() == ranking().scores.tolist()
    assert points.get_xdata().tolist() == list(range(1, 17))
    assert [text.get_text() for text in ax.texts] == [ranking().names[0]]
    assert ax.get_legend() is None


def test_the_reference_is_a_band() -> None:
    used, unused = DEMO.real.pixels[DEMO.used], DEMO.real.pixels[~DEMO.used]
    found = fingerprint.rank(used, DEMO.fake, reference=unused)
    (band,) = found.plot().patches
    edges = band.get_y(), band.get_y() + band.get_height()
    assert edges == pytest.approx(np.quantile(found.null, (0.05, 0.95)).tolist())


@pytest.mark.parametrize("method", ["default", "votes"])
def test_the_roc_curve_has_the_area_that_its_legend_says(method) -> None:
    found = ranking(method=method)
    ax = found.plot_roc(TRUTH)
    chance, curve, _ = ax.lines
    assert [*chance.get_xdata()] == [*chance.get_ydata()] == [0, 1]
    measured = fingerprint.evaluate([TRUTH[name] for name in found.names], found.scores)
    auc = measured.roc_auc
    x, y = curve.get_xdata(), curve.get_ydata()
    assert (np.diff(x) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(auc.value)
    tpr = measured.tpr_at_1_percent_fpr
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "chance",
        f"AUC {auc.value:.2f} (95 %: {auc.low:.2f} to {auc.high:.2f})",
        f"TPR at 1 % FPR {tpr.value:.2f} (95 %: {tpr.low:.2f} to {tpr.high:.2f})",
    ]
    in_order = found.plot_roc([TRUTH[name] for name in found.names])
    assert in_order.lines[1].get_ydata().tolist() == curve.get_ydata().tolist()


@pytest.mark.parametrize("answers", [[0.9, 0.4, 0.5, 0.1], [1, 0, 1, 0]], ids=["scores", "decisions"])
def test_measures_that_are_defined_stand_with_their_intervals(answers) -> None:
    found = fingerprint.evaluate([1, 1, 0, 0], answers, confidence=0.9)
    shown = [name for name in (*fingerprint.Measures.__annotations__,) if not np.isnan(getattr(found, name).value)]
    ax = found.plot()
    (points,) = ax.lines
    coin, spread = ax.collections
    assert points.get_xdata().tolist() == [getattr(found, name).value for name in shown]
    assert len(ax.get_yticklabels()) == len(shown) in (4, 7)
    assert [x for ((x, _), _) in spread.get_segments()] == [getattr(found, name).low for name in shown]
    assert [x for (_, (x, _)) in spread.get_segments()] == [getattr(found, name).high for name in shown]
    assert [x for (_, (x, _)) in coin.get_segments()] == [getattr(found.coin, name).high for name in shown]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["coin", "90 % interval"]


def test_where_no_measure_is_defined_none_is_drawn() -> None:
    assert fingerprint.evaluate([0, 0], [0.5, 0.1]).plot().get_yticklabels() == []


def test_axes_that_are_given_are_drawn_on() -> None:
    ax = matplotlib.figure.Figure().subplots()
    assert ranking().plot(ax) is ax
    assert ranking().plot_roc(TRUTH, ax) is ax
    assert fingerprint.evaluate([1, 0], [1, 0]).plot(ax) is ax


def test_what_is_wrong_is_said(monkeypatch) -> None:
    with pytest.raises(InputError, match="truth: expected an entry for every image, found none for 'real_"):
        ranking().plot_roc({})
    for truth in ([True] * 16, [True, False]):
        with pytest.raises(InputError, match="truth: expected one entry for each of 16 images, of used and of unused"):
            ranking().plot_roc(truth)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r'plot: needs matplotlib; pip install "synthetic-fingerprint\[report\]"'):
        ranking().plot()


def test_a_plot_touches_no_state_of_pyplot() -> None:
    code = (
        "import fingerprint, sys; d = fingerprint.phantoms.demo(n_used=3, n_unused=3, n_fake=9, size=32);"
        "fingerprint.rank(d.real, d.fake).plot(); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
