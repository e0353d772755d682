"""A ranking as a page for people: one HTML file without scripts or network, for screens and paper."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._answers.pictures import data_uri
from fingerprint._base.checks import InputError
from fingerprint._base.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL.Image import Image

    from fingerprint._answers.evidence import Evidence
    from fingerprint._answers.rows import Group, Row
    from fingerprint._base.failures import Failure
    from fingerprint._base.types import Array
    from fingerprint._statistics.decisions import Decisions

_WIDTH = 1600  # of a picture in pixels, at most
_QUALITY = 80  # of WebP: rectangles stay sharp at a quarter of the size of a PNG
_BINS = 40
_TICKS = (0, 0.5, *(step * 10**power for power in range(6) for step in (1, 2, 5)))
_INK = "#010203"  # stands for the colour of the text, which light and dark pages choose
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "fingerprint",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_FORMATS = {"score": ".3f", "p_value": ".4f", "q_value": ".4f", "distance": ".3g", "gain": ".3g"}


def require() -> None:
    """Raise an error that names the remedy where a library that a report needs is missing.

    Raises
    ------
    InputError
        Without the extra ``report``.
    """
    try:
        for library in ("jinja2", "matplotlib"):
            import_module(library)
    except ModuleNotFoundError as error:
        raise InputError(f'report: needs {error.name}; pip install "synthetic-fingerprint[report]"') from None


def page(
    *,
    table: tuple[Sequence[str], Iterable[Sequence[object]]],
    scores: Array,
    null: Array | None,
    params: Mapping[str, object],
    n_fake: int,
    failed: Mapping[str, Sequence[Failure]],
    groups: Sequence[Group],
    decided: Decisions,
    notes: Sequence[str],
    shown: Sequence[tuple[Row, Evidence]],
    missing: str,
) -> str:
    """Return a ranking as HTML.

    Parameters
    ----------
    table : (sequence of str, iterable of sequence)
        Columns and rows of the ranking, most likely used first.
    scores : ndarray
        (n,) float64, descending.
    null : ndarray or None
        (m,) float64 scores of the reference, where there is one.
    params, n_fake, failed
        As in `fingerprint.Ranking`.
    groups : sequence of Group
        Patients, where they are known.
    decided : Decisions
        Which images to call used.
    notes : sequence of str
        What to know before believing the order.
    shown : sequence of (Row, Evidence)
        The first images of the ranking, to be shown with a picture.
    missing : str
        Why there are no pictures, where there are none.

    Returns
    -------
    str
        The same for the same ranking. Everything that comes from outside is escaped.

    Raises
    ------
    InputError
        Without the extra ``report``.
    """
    require()
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    columns, rows = table
    template = files("fingerprint._answers").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(
        version=__version__,
        scores=scores,
        params=params,
        n_fake=n_fake,
        decided=decided,
        columns=columns,
        rows=([_cell(*pair) for pair in zip(columns, row, strict=True)] for row in rows),
        # drawn from numbers alone, so that nothing in it needs escaping
        histogram=Markup(histogram(scores, null, decided.threshold, stretched=params["method"] == "default")),
        pictures=((row, found, data_uri(_small(found.image()), "WEBP", quality=_QUALITY)) for row, found in shown),
        n_pictures=len(shown),
        missing=missing,
        notes=notes,
        groups=groups,
        failed=failed,
    )


def histogram(scores: Array, null: Array | None, threshold: float | None, *, stretched: bool) -> str:
    """Draw how the scores are distributed.

    Parameters
    ----------
    scores, null
        As for `page`.
    threshold : float or None
        Scores from here upwards are called used.
    stretched : bool
        Whether the scores are sums of tail scores, in powers of ten: the axis is then stretched near 0.

    Returns
    -------
    str
        An ``svg`` element in the colour of the text around it.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    # sums of tail scores reach from near 0 to a hundred; others are on scales of their own
    place = np.arcsinh if stretched else np.asarray
    reference = np.empty(0) if null is None else null
    edges = np.histogram_bin_edges(place(np.concatenate([scores, reference, [0.0] * stretched])), _BINS)
    file = io.StringIO()
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(5.4, 2.5), layout="constrained")
        axes = figure.add_subplot()
        axes.stairs(_shares(place(scores), edges), edges, fill=True, color="#4a8ac9", label="ranked images")
        if null is not None:
            heights = _shares(place(null), edges)
            axes.stairs(heights, edges, color="#d2751d", linewidth=1.8, label="reference, known to be unused")
        if threshold is not None:
            axes.axvline(float(place(threshold)), color=_INK, linestyle="--", label="called used from here")
        if stretched:
            ticks = [tick for tick in _TICKS if tick <= np.sinh(edges[-1])]
            axes.set_xticks(np.arcsinh(ticks), [f"{tick:g}" for tick in ticks])
        axes.set(xlabel="score", ylabel="% of images")
        axes.legend()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def _shares(values: Array, edges: Array) -> Array:
    return np.asarray(100 / len(values) * np.histogram(values, edges)[0])


def _cell(column: str, value: object) -> str:
    return "" if value is None else format(value, _FORMATS.get(column, "")) if isinstance(value, float) else str(value)


def _small(picture: Image) -> Image:
    picture.thumbnail((_WIDTH, _WIDTH))
    return picture
