"""A ranking as a page for people: one HTML file without scripts or network, for screens and paper."""

from __future__ import annotations

import base64
import io
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from fingerprint._base.checks import InputError
from fingerprint._base.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from PIL.Image import Image

    from fingerprint._answers.evidence import Evidence
    from fingerprint._answers.ranking import Ranking
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
    ranking: Ranking,
    decided: Decisions,
    *,
    table: tuple[Sequence[str], Iterable[Sequence[object]]],
    reference: Array | None,
    pictures: Sequence[Evidence],
    missing: str,
) -> str:
    """Return a ranking as HTML.

    Parameters
    ----------
    ranking : Ranking
        What to show.
    decided : Decisions
        Which of its images to call used.
    table : (sequence of str, iterable of sequence)
        Columns and rows of the ranking.
    reference : ndarray or None
        (m,) float64 scores of the unused images, where they are known.
    pictures : sequence of Evidence
        Of the first images of the ranking.
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
        ranking=ranking,
        decided=decided,
        columns=columns,
        rows=([_cell(*pair) for pair in zip(columns, row, strict=True)] for row in rows),
        # drawn from numbers alone, so that nothing in it needs escaping
        histogram=Markup(histogram(ranking, reference, decided.threshold)),
        pictures=((row, found, _data_uri(found.image())) for row, found in zip(ranking, pictures, strict=False)),
        n_pictures=len(pictures),
        missing=missing,
        groups=() if ranking.groups is None else ranking.by_group(),
        failed=[(side, failure) for side, failures in ranking.failed.items() for failure in failures],
    )


def histogram(ranking: Ranking, reference: Array | None, threshold: float | None) -> str:
    """Draw how the scores are distributed.

    Parameters
    ----------
    ranking, reference
        As for `page`.
    threshold : float or None
        Scores from here upwards are called used.

    Returns
    -------
    str
        An ``svg`` element in the colour of the text around it.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    # sums of surprises reach from near 0 to hundreds; others are on scales of their own
    place = np.arcsinh if stretched(ranking) else np.asarray
    scores, null = ranking.scores, np.empty(0) if reference is None else reference
    edges = np.histogram_bin_edges(place(np.concatenate([scores, null, [0.0] * stretched(ranking)])), _BINS)
    file = io.StringIO()
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(5.4, 2.5), layout="constrained")
        axes = figure.add_subplot()
        axes.stairs(_shares(place(scores), edges), edges, fill=True, color="#4a8ac9", label="ranked images")
        if len(null):
            heights = _shares(place(null), edges)
            axes.stairs(heights, edges, color="#d2751d", linewidth=1.8, label="reference, known to be unused")
        if threshold is not None:
            axes.axvline(float(place(threshold)), color=_INK, linestyle="--", label="called used from here")
        if stretched(ranking):
            ticks = [tick for tick in _TICKS if tick <= np.sinh(edges[-1])]
            axes.set_xticks(np.arcsinh(ticks), [f"{tick:g}" for tick in ticks])
        axes.set(xlabel="score", ylabel="% of images")
        axes.legend()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def stretched(ranking: Ranking) -> bool:
    """Whether the scores are sums of surprises, in powers of ten, see `fingerprint._statistics.scores.surprises`."""
    return ranking.params["method"] == "default"


def _shares(values: Array, edges: Array) -> Array:
    return np.asarray(100 / len(values) * np.histogram(values, edges)[0])


def _cell(column: str, value: object) -> str:
    return format(value, _FORMATS.get(column, "")) if isinstance(value, float) else str(value)


def _data_uri(picture: Image) -> str:
    picture.thumbnail((_WIDTH, _WIDTH))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
