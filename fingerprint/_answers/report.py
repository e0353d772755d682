"""The release report: one HTML file without scripts or network, for screens and paper, by which somebody decides."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from fingerprint._answers import again, chart
from fingerprint._answers.coded import code, coded_audit, coded_ranking
from fingerprint._base import checks, output
from fingerprint._base.checks import InputError
from fingerprint._base.display import data_uri
from fingerprint._base.version import __version__
from fingerprint._evidence.reals import NEAR_COPY
from fingerprint._images import symmetries
from fingerprint._statistics import methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from os import PathLike

    from PIL.Image import Image

    from fingerprint._answers.audit_scores import Audit
    from fingerprint._answers.evidence import Evidence
    from fingerprint._answers.origin import Content, Origin
    from fingerprint._answers.ranking import Ranking
    from fingerprint._answers.rows import Row
    from fingerprint._answers.withheld import Withheld
    from fingerprint._base.provenance import Provenance
    from fingerprint._statistics.copies import Copy
    from fingerprint._statistics.decisions import Decisions
    from fingerprint._statistics.intervals import Estimate

_SIDE = 512  # of a picture in pixels, at most
_QUALITY = 80  # of WebP: rectangles stay sharp at a quarter of the size of a PNG
_FORMATS = {"score": ".3f", "p_value": ".4f", "q_value": ".4f", "distance": ".3g", "gain": ".3g"}
_TITLE = "Release report of synthetic images"
_KINDS = {
    "real": "Real images, in question",
    "used": "Real images, used for training",
    "reference": "Reference, known to be unused",
    "unused": "Real images, not used for training",
    "population": "Population, used or not",
    "fake": "Synthetic images",
}


@dataclass(frozen=True)
class Wanted:
    """What a report is to show.

    Parameters
    ----------
    title, notes, rate, top, images, salt, check
        As in `fingerprint.Ranking.report`, where `rate` is called `false_discovery_rate`.
    """

    title: str | None
    notes: str
    rate: float
    top: int
    images: bool
    salt: str | None
    check: Sequence[tuple[str, str, str, str]]


class Line(NamedTuple):
    """A quantity in words."""

    label: str
    text: str


class Collection(NamedTuple):
    """One collection that was compared.

    Parameters
    ----------
    kind, place : str
        What it is, and where it came from.
    used, failed, ignored : int or None
        Images that could be used, files that could not, files that are no images; None where it is not known.
    content : str
        Hash of its pixels, or why there is none.
    """

    kind: str
    place: str
    used: int | None
    failed: int | None
    ignored: int | None
    content: str


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


def write(
    path: str | PathLike[str],
    ranking: Ranking | None,
    audit: Audit | None,
    made: Provenance | None,
    wanted: Wanted,
    origin: Callable[[], Origin | None],
) -> str | None:
    """Write the report of a ranking, of an audit, or of an audit with its ranking.

    Parameters
    ----------
    path : path
        File to write.
    ranking, audit
        At least one.
    made : Provenance or None
        Of the question that was asked.
    wanted : Wanted
        What to show.
    origin : callable
        Returns where the images are, None where there are none, or raises InputError.

    Returns
    -------
    str or None
        The salt of the hashed names; None with images.

    Raises
    ------
    InputError
        Without the extra ``report``, or if an argument breaks its rule.
    """
    top = checks.integer("top", wanted.top, minimum=0)
    require()
    salt = None if wanted.images else wanted.salt or secrets.token_hex(16)
    contents: dict[str, Content] = {}
    shown: list[tuple[Row, Evidence]] = []
    missing = "none were asked for"
    try:
        found = origin()
        if ranking is not None and found is not None:
            contents = found.contents(len(ranking))
            if top and salt is None:
                pairs = [
                    (int(place), row.evidence[0]) for place, row in zip(ranking.order, ranking[:top], strict=False)
                ]
                shown = list(zip(ranking, found.evidence(pairs), strict=False))
    except InputError as error:
        missing = str(error)
    if salt is not None:
        missing = "the page is meant to be passed on"
        contents = {name: one._replace(sha256=f"{code(one.sha256, salt)}, salted") for name, one in contents.items()}
        ranking = None if ranking is None else coded_ranking(ranking, salt)
        audit = None if audit is None else coded_audit(audit, salt)
    output.write(_page(ranking, audit, made, wanted, contents=contents, shown=shown, missing=missing), path)
    return salt


def _page(
    ranking: Ranking | None,
    audit: Audit | None,
    made: Provenance | None,
    wanted: Wanted,
    *,
    contents: Mapping[str, Content],
    shown: Sequence[tuple[Row, Evidence]],
    missing: str,
) -> str:
    """Return the page; everything that comes from outside is escaped."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("fingerprint._answers")
    template, style = (folder.joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("html.jinja", "css"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    question = "rank" if audit is None else "audit"
    content: dict[str, Any] = {
        "title": wanted.title or _TITLE,
        "style": Markup(style),  # a file of this library
        "date": "on an unknown date" if made is None else made.date.replace("T", ", ").replace("+00:00", " UTC"),
        "maker": __version__ if made is None else made.version,
        "audit": audit,
        "control": [] if audit is None else list(_control(audit)),
        "ranking": ranking,
        "sources": list(_sources(ranking, audit, made, contents, shown=wanted.images)),
        "failed": (audit or ranking).failed,  # type: ignore[union-attr]  # there is one
        "again": None
        if made is None or question not in _asked(made)
        else again.again(question, made, shown=wanted.images),
        "versions": again.versions(),
        "notes": wanted.notes.strip().splitlines(),
        "warnings": _warnings(ranking, audit),
        "images": wanted.images,
        "rate": wanted.rate,
        "forms": "" if ranking is None else symmetries.in_words(ranking.params.get("forms", ())),
        "checked": list(_checked(wanted)),
    }
    decided = None if ranking is None else ranking.decide(false_discovery_rate=wanted.rate)
    content |= {"decided": decided, "verdict": _verdict(ranking, audit, decided), "headline": _headline(audit, decided)}
    if ranking is not None and decided is not None:
        found = ranking.withhold(false_discovery_rate=wanted.rate)
        columns, rows = ranking.table()
        content |= {
            "withheld": found,
            "to_withhold": _to_withhold(found, audit),
            "leads": _leads(found),
            "columns": columns,
            "rows": ([_cell(*pair) for pair in zip(columns, row, strict=True)] for row in rows),
            # drawn from numbers alone, so that nothing in it needs escaping
            "histogram": Markup(
                chart.histogram(
                    ranking.scores, ranking.null, decided.threshold, stretched=ranking.params["method"] == "default"
                )
            ),
            "groups": () if ranking.groups is None else ranking.by_group(),
            "called": {one.name: one for one in decided.by_group or ()},
            "method": methods.METHODS[ranking.params["method"]].description,
            "pictures": ((row, one, [_uri(panel) for panel in one.panels()]) for row, one in shown),
            "n_pictures": len(shown),
            "missing": missing,
        }
    return environment.from_string(template).render(content, contents=_chapters(content))


def _chapters(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headings of the page by the names of their places."""
    ranking, audit = content["ranking"], content["audit"]
    called = "used" if audit else "real"
    known = {
        "checked": ("What the images are like", content["checked"]),
        "compared": ("What was compared", True),
        "control": ("Control and power", audit),
        "method": ("Method and limits", True),
        "again": ("To run it again", True),
        "cite": ("How to cite", True),
        "notes": ("Notes and signature", True),
        "withhold": ("Synthetic images to withhold", ranking),
        "patients": ("Patients", ranking and ranking.params["grouped"]),
        "scores": ("Scores", ranking),
        "evidence": ("Evidence", ranking),
        "failed": ("Files that could not be used", any(content["failed"].values())),
        "images": (f"All {called} images", ranking),
    }
    return [(place, name) for place, (name, there) in known.items() if there]


# --- What the page says -----------------------------------------------------------------------------------------------


def _headline(audit: Audit | None, decided: Decisions | None) -> str:
    """Return the verdict in one sentence."""
    copies = (*(audit.copies if audit else ()), *(decided.copies if decided else ()))
    if copies:
        return "Do not release as it is: synthetic images are copies of real ones."
    if audit is not None:
        if audit.leaks:
            return "A leak is shown: the generator comes nearer to the images it was trained on than to others."
        return "No leak is shown. That does not prove that there is none."
    if decided is not None and (decided.used.any() or any(one.used for one in decided.by_group or ())):
        return "Real images are given away: the evidence is enough to call them used."
    return "No evidence that a real image was used. That does not prove that none was."


def _verdict(ranking: Ranking | None, audit: Audit | None, decided: Decisions | None) -> list[Line]:
    """Return the verdict in its order: copies, what the statistics say, what could have been seen."""
    copies = audit.copies if audit is not None else decided.copies if decided is not None else ()
    lines = [
        Line("Identical copies", _copied([copy for copy in copies if copy.difference == 0], "identical to")),
        Line("Near copies", _copied([copy for copy in copies if copy.difference], "nearly identical to")),
    ]
    if audit is not None and audit.unused_copies:
        held = "So it was used, or the synthetic images hold real ones."
        lines.append(
            Line("Copies of unused images", f"{_copied(audit.unused_copies, 'identical, or nearly so, to')} {held}")
        )
    if audit is not None:
        lines.append(Line("What the statistics say", audit.scores_verdict))
    if decided is not None:
        label = "What the statistics say" if audit is None else "Image by image"
        lines.append(Line(label, replace(decided, copies=()).verdict if audit is None else _singly(decided)))
    if audit is not None:
        power = audit.sensitivity[0].upper() + audit.sensitivity[1:]
        lines.append(Line("What could have been seen", f"{power} {audit.planted_verdict}".rstrip()))
    elif ranking is not None and decided is not None:
        lines.append(Line("What could have been seen", _reach(ranking, decided)))
    return lines


def _singly(decided: Decisions) -> str:
    """Return in words how many of the used images of an audit are given away each by itself."""
    if decided.used.any() or any(patient.used for patient in decided.by_group or ()):
        return replace(decided, copies=()).verdict
    units = "used image" if decided.by_group is None else "used image, and no patient,"
    return f"No single {units} is given away, at a false discovery rate of {100 * decided.false_discovery_rate:g} %."


def _to_withhold(found: Withheld, audit: Audit | None) -> str:
    """Return in words what to withhold; where an audit leaks without single images, what that means."""
    if found or audit is None:
        return found.verdict
    spread = " The leak is spread over many images: leaving some out does not mend it." if audit.leaks else ""
    return f"No synthetic image to withhold: no single used image is given away.{spread}"


def _copied(copies: Sequence[Copy], how: str) -> str:
    """Return in words which images have a copy of one kind."""
    apart = f", at most {NEAR_COPY:g} of 255 grey levels apart" if any(copy.difference for copy in copies) else ""
    if not copies:
        return "None."
    number = "1 real image is" if len(copies) == 1 else f"{len(copies):,} real images are"
    return f"{number} {how} a synthetic one{apart} (first: {copies[0].name} and {copies[0].fake})."


def _reach(ranking: Ranking, decided: Decisions) -> str:
    """Return what a ranking could have called, which is little where the reference is small."""
    rate, total = decided.false_discovery_rate, len(ranking)
    if ranking.null is None:
        return (
            f"Without a reference, no fewer than {math.ceil(1 / rate - 1e-9)} images are ever called used at a rate of "
            f"{100 * rate:g} %, and only if synthetic images come much nearer to them than to others. Nobody knows how "
            "many used images stay unseen. An audit, with images known to be unused, tells how large a leak is seen."
        )
    units = len(ranking.null) if ranking.null_groups is None else len(set(ranking.null_groups))
    least = math.ceil(total / (rate * (units + 1)) - 1e-9)
    kind = "images" if ranking.null_groups is None else "patients"
    if least > total:
        return (
            f"Nothing: with {units} {kind} of reference no image can be called used at a rate of {100 * rate:g} %. "
            f"Give at least {math.ceil(1 / rate - 1e-9) - 1}."
        )
    return (
        f"With {units} {kind} of reference, images are called used at a rate of {100 * rate:g} % only where at least "
        f"{least:,} of {total:,} score above all of the reference, or more of them nearly so."
    )


def _warnings(ranking: Ranking | None, audit: Audit | None) -> list[str]:
    """Return what to know before believing the verdict."""
    return [*(audit.notes if audit else ()), *(ranking.notes if ranking else ())]


def _control(audit: Audit) -> Iterator[Line]:
    """Yield the numbers of an audit in words."""
    share, rate = 100 * audit.confidence, 100 * audit.false_positive_rate
    units = f"{audit.n_used:,} used and {audit.n_unused:,} unused images"
    if audit.n_used_groups is not None:
        units += f", of {audit.n_used_groups:,} and {audit.n_unused_groups:,} patients"
    yield Line("Compared", units)
    yield Line("Effect size", f"AUC {_interval(audit.auc, 1, 3)}, {share:g} % interval; 0.5 = no leak seen")
    if audit.auc_by_group is not None:
        yield Line("The same by patient", f"AUC {_interval(audit.auc_by_group, 1, 3)}, from mean scores")
    yield Line("p-value", f"{audit.p_value:.2g}, of {audit.n_permutations:,} permutations; a leak from {audit.level:g}")
    yield Line(
        "Leak rate",
        f"{_interval(audit.leak_rate, 100, 1)} % of the used images are flagged, where chance flags {rate:g} %",
    )
    yield Line(
        "Upper bound",
        f"{100 * audit.most_told:.0f} % of the used images: no more does this score tell at a false positive rate of "
        f"{rate:g} % ({share:g} % confidence)",
    )
    split = " and ".join(f"{one.low:.3f} to {one.high:.3f}" for one in (audit.split_used, audit.split_unused))
    yield Line(
        "Split control",
        f"AUC {split}: two random halves of the used, and of the unused, images ({share:g} % of splits)",
    )
    if audit.control is not None:
        yield Line("Control generator", audit.control_verdict)
    if audit.planted:
        yield Line("Planted copies", audit.planted_verdict)
    yield Line("Power", audit.sensitivity[0].upper() + audit.sensitivity[1:])
    if audit.copying is not None:
        yield Line("Data copying", str(audit.copying))
    yield Line("Null", audit.null.removeprefix("Null: "))


def _interval(one: Estimate, factor: float, digits: int) -> str:
    """Return an estimate with its interval."""
    if math.isnan(one.value):
        return "not defined"
    value, low, high = (f"{factor * number:.{digits}f}" for number in one)
    return f"{value} ({low} to {high})"


def _checked(wanted: Wanted) -> Iterator[Line]:
    """Yield what was found before anything was computed; without images what it is about, as sentences name images."""
    for severity, name, found, remedy in wanted.check:
        if not wanted.images and severity == "note":
            continue
        said = found if wanted.images else f"{name.replace('_', ' ')}."
        yield Line(severity, f"{said} {remedy}".strip())


# --- What was compared ------------------------------------------------------------------------------------------------


def _asked(made: Provenance) -> tuple[str, ...]:
    """Return the questions that a provenance may be of."""
    return ("rank",) if "real" in made.sources else ("audit",) if "used" in made.sources else ()


def _sources(
    ranking: Ranking | None,
    audit: Audit | None,
    made: Provenance | None,
    contents: Mapping[str, Content],
    *,
    shown: bool,
) -> Iterator[Collection]:
    """Yield the collections."""
    result = audit or ranking
    assert result is not None
    counts: dict[str, int | None] = {}
    if audit is not None:
        counts = {"used": audit.n_used, "unused": audit.n_unused}
    elif ranking is not None:
        null = None if ranking.null is None else len(ranking.null)
        counts = {"real": len(ranking), "reference": null, "population": ranking.params["population"] or None}
    if ranking is not None:
        counts["fake"] = ranking.n_fake
    called = {"used": "real", "unused": "reference"}
    for name, count in counts.items():
        if count is None:
            continue
        content = contents.get(called.get(name, name))
        yield Collection(
            _KINDS[name],
            again.place(made.sources[name], shown=shown) if made and name in made.sources else "not recorded",
            count,
            len(result.failed[name]) if name in result.failed else None,
            result.ignored.get(name, content and content.ignored),
            content.sha256 if content else "not known, as the images could not be read again",
        )


def _leads(found: Withheld) -> dict[int, list[int]]:
    """Return for the rank of each real image the numbers, from 1, of the synthetic ones to withhold because of it."""
    leads: dict[int, list[int]] = {}
    for number, row in enumerate(found, 1):
        for real in row.gives_away:
            leads.setdefault(real.rank, []).append(number)
    return leads


def _uri(panel: Image) -> str:
    panel.thumbnail((_SIDE, _SIDE))
    return data_uri(panel, "WEBP", quality=_QUALITY)


def _cell(column: str, value: object) -> str:
    return "" if value is None else format(value, _FORMATS.get(column, "")) if isinstance(value, float) else str(value)
