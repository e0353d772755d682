"""The commands, and most of them: for each its arguments, and what it does on the public functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import fingerprint
from fingerprint._base.output import printable, replaced, write_csv
from fingerprint._base.provenance import names_url
from fingerprint._cli import beginning, challenge, tables
from fingerprint._cli import options as shared
from fingerprint._cli.command import Command, Outcome

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_PREDICTED = ("score", "probability", "used")  # of a table, the first column that is there counts


# --- Real images ------------------------------------------------------------------------------------------------------


def _rank_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    command.add_argument("--reference", metavar="DIR", help="real images known to be unused: adds p- and q-values")
    shared.add_population(command)
    shared.add_reading(command)
    shared.add_forms(command)
    shared.add_pass(command)
    shared.add_method(command)
    command.add_argument("--neighbours", type=int, default=5, metavar="K", help="synthetic images to show (default: 5)")
    _add_ranking(command)


def _add_ranking(command: ArgumentParser) -> None:
    command.add_argument("--fail-if-called", action="store_true", help="exit status 3 if any image is called used")
    shared.add_outputs(command, release=True)


def _rank(options: Namespace) -> Outcome:
    return _decided(_ranked(options, method=options.method, k=options.neighbours), options)


def _decided(ranking: fingerprint.Ranking, options: Namespace) -> Outcome:
    decisions = ranking.decide(false_discovery_rate=options.rate)
    return Outcome(
        f"{ranking}\n{decisions.verdict}",
        ranking,
        failed=any(ranking.failed.values()),
        alarm=_called_alarm(options, int(decisions.used.sum())),
    )


def _called_alarm(options: Namespace, called: int) -> str:
    return f"--fail-if-called: {called} called used" if options.fail_if_called and called else ""


def _ranked(options: Namespace, **more: Any) -> fingerprint.Ranking:
    return fingerprint.rank(
        options.real,
        options.fake,
        reference=options.reference,
        population=options.population,
        **shared.reading(options),
        **more,
    )


def _summarise_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    command.add_argument(
        "--part", type=shared.part, metavar="I/N", help="summarise the I-th of N parts of the files, such as 3/10"
    )
    command.add_argument("--reference", metavar="DIR", help="real images known to be unused")
    shared.add_population(command)
    shared.add_reading(command)
    shared.add_forms(command)
    shared.add_work(command)
    shared.add_method(command)
    command.add_argument("--neighbours", type=int, default=5, metavar="K", help="synthetic images to show (default: 5)")
    command.add_argument(
        "--out", required=True, metavar="FILE", help="write the Summary, for merge; goes on from it where it stopped"
    )
    command.set_defaults(out_method="save")


def _summarise(options: Namespace) -> Outcome:
    found = fingerprint.summarise(
        options.real,
        options.fake,
        part=options.part,
        reference=options.reference,
        population=options.population,
        method=options.method,
        k=options.neighbours,
        checkpoint=options.out,
        **shared.reading(options),
    )
    return Outcome(str(found), found, failed=bool(found.failed))


def _merge_arguments(command: ArgumentParser) -> None:
    command.add_argument("parts", metavar="PART", nargs="+", help="what summarise wrote, all parts")
    command.add_argument("--real", metavar="DIR", help="the real images (default: where summarise found them)")
    command.add_argument("--reference", metavar="DIR", help="likewise, real images known to be unused")
    shared.add_population(command)
    shared.add_groups(command)
    shared.add_threads(command)
    shared.add_memory(command)
    command.add_argument("--summary", metavar="FILE", help="write the merged Summary")
    _add_ranking(command)


def _merge(options: Namespace) -> Outcome:
    whole = fingerprint.merge(options.parts)
    if options.summary is not None:
        whole.save(options.summary)
    if whole.provenance is None:
        raise fingerprint.InputError("PART: expected what summarise wrote, got checkpoints of another command")
    made, given = whole.provenance, {name: getattr(options, name) for name in ("real", "reference", "population")}
    sources = {name: made.sources[name] if path is None else path for name, path in given.items()}
    if urls := [name for name, path in given.items() if path is None and names_url(sources[name])]:
        raise fingerprint.InputError(f"PART: names a URL, which is opened only where you give it; add --{urls[0]}")
    settings = {name: value for name, value in made.settings.items() if name not in ("part", "groups", "memory")}
    groups = shared.groups(options)
    ranking = fingerprint.rank(
        sources.pop("real"),
        whole,
        **sources,
        groups=whole.patients if groups is None else groups,
        **settings,
        memory=options.memory,
        threads=options.threads,
        progress=shared.progress(options),
    )
    return _decided(ranking, options)


def _decide_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    command.add_argument(
        "--reference",
        metavar="DIR",
        help="real images known to be unused; without it, an assumption that nothing tests",
    )
    shared.add_population(command)
    shared.add_reading(command)
    shared.add_forms(command)
    shared.add_pass(command)
    command.add_argument("--rate", type=float, default=0.1, help="false discovery rate (default: 0.1)")
    command.add_argument("--fail-if-called", action="store_true", help="exit status 3 if any image is called used")
    shared.add_outputs(command)


def _decide(options: Namespace) -> Outcome:
    ranking = _ranked(options)
    decisions = ranking.decide(false_discovery_rate=options.rate)
    called = [printable(f"  {one.name}") for one in decisions if one.used]
    called += [printable(f"  patient {one.name}") for one in decisions.by_group or () if one.used]
    return Outcome(
        "\n".join([str(decisions), *called, *(f"Note: {note}" for note in ranking.notes)]),
        decisions,
        failed=any(ranking.failed.values()),
        alarm=_called_alarm(options, len(called)),
    )


def _check_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    known = command.add_mutually_exclusive_group()
    known.add_argument("--reference", metavar="DIR", help="real images known to be unused")
    known.add_argument("--unused", metavar="DIR", help="the same before an audit, whose used images REAL are")
    shared.add_reading(command)
    shared.add_outputs(command)


def _check(options: Namespace) -> Outcome:
    known = {"reference": options.reference, "unused": options.unused}
    found = fingerprint.check(options.real, options.fake, **known, **shared.reading(options))
    return Outcome(shared.as_options(str(found)), found, failed=any(found.failed.values()) or bool(found.errors))


def _distances_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    shared.add_reading(command, groups=False)
    command.add_argument(
        "--metric",
        default="euclidean",
        metavar="NAME",
        help="euclidean (default), l2, manhattan, correlation, tiles, ssim",
    )
    command.add_argument("--out", required=True, metavar="FILE", help=".npy (float64) or .csv (with names)")
    command.set_defaults(out_method="save")


def _distances(options: Namespace) -> Outcome:
    suffix = Path(options.out).suffix.lower()
    if suffix not in (".npy", ".csv"):
        raise fingerprint.InputError(f"--out: expected a file name ending in .npy or .csv, got {options.out}")
    reading = shared.reading(options)
    real, fake = fingerprint.load(options.real, **reading), fingerprint.load(options.fake, **reading)
    found = fingerprint.distances(
        real, fake, metric=options.metric, threads=options.threads, progress=reading["progress"]
    )
    text = f"{options.metric} distances of {len(real)} real images (rows) to {len(fake)} synthetic ones"
    failed = [printable(f"failed: {failure.name}: {failure.reason}") for failure in real.failed + fake.failed]
    return Outcome("\n".join([text, *failed]), _Matrix(real.names, fake.names, found), failed=bool(failed))


class _Matrix(NamedTuple):
    """Distances as a file."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Any

    def save(self, path: str) -> None:
        """Write them as the name of the file says."""
        import numpy as np

        if Path(path).suffix.lower() == ".npy":
            with replaced(path) as file:
                np.save(file, self.values)
            return
        rows = ([name, *row] for name, row in zip(self.rows, self.values.tolist(), strict=True))
        write_csv(["name", *self.columns], rows, path)


# --- Labelled images --------------------------------------------------------------------------------------------------


def _add_sides(command: ArgumentParser) -> None:
    shared.add_folders(
        command,
        used="real images that the generator was trained on",
        unused="real images that it was not trained on",
        fake="synthetic images",
    )
    shared.add_reading(command)


def _fit_arguments(command: ArgumentParser) -> None:
    _add_sides(command)
    shared.add_forms(command)
    shared.add_pass(command)
    shared.add_population(command)
    command.add_argument("--n-fake", type=int, metavar="N", help="synthetic images that the statistics refer to")
    command.add_argument("--out", required=True, metavar="FILE", help="write the detector as JSON")
    command.set_defaults(out_method="save")


def _fit(options: Namespace) -> Outcome:
    detector = fingerprint.fit(
        options.used,
        options.unused,
        options.fake,
        population=options.population,
        n_fake=options.n_fake,
        **shared.reading(options),
    )
    return Outcome(str(detector), detector)


def _predict_arguments(command: ArgumentParser) -> None:
    command.add_argument("detector", metavar="DETECTOR", help="file that fit wrote")
    shared.add_folders(command, real="real images", fake="synthetic images")
    shared.add_population(command)
    command.add_argument("--share", type=float, metavar="P", help="share of used images among the real ones, if known")
    shared.add_reading(command)
    shared.add_forms(command)
    shared.add_pass(command)
    shared.add_outputs(command)


def _predict(options: Namespace) -> Outcome:
    detector = fingerprint.load_detector(options.detector)
    predictions = detector.predict(
        options.real, options.fake, share=options.share, population=options.population, **shared.reading(options)
    )
    called = [printable(f"  {one.name}  {one.probability:.3f}") for one in predictions if one.used]
    return Outcome("\n".join([str(predictions), *called]), predictions, failed=any(predictions.failed.values()))


def _evaluate_arguments(command: ArgumentParser) -> None:
    command.add_argument("truth", metavar="TRUTH", help="CSV of name and used (0 or 1), with or without header")
    command.add_argument("predicted", metavar="PREDICTED", help="run file, or a table of predict or rank")
    command.add_argument("--threshold", type=float, help="scores from here upwards count as used")
    shared.add_groups(command)
    shared.add_outputs(command)


def _evaluate(options: Namespace) -> Outcome:
    truth = tables.read_numbers(options.truth, ("used",))
    names = list(truth)
    predicted = tables.in_order_of(names, tables.read_numbers(options.predicted, _PREDICTED), options.predicted)
    groups: Any = shared.groups(options)
    if callable(groups):
        groups = [groups(name) for name in names]
    elif groups is not None:
        groups = [str(patient) for patient in tables.in_order_of(names, groups, options.groups)]
    found = fingerprint.evaluate(list(truth.values()), predicted, threshold=options.threshold, groups=groups)
    return Outcome(str(found), found)


# --- Generators -------------------------------------------------------------------------------------------------------


def _audit_arguments(command: ArgumentParser) -> None:
    _add_sides(command)
    shared.add_forms(command)
    shared.add_pass(command)
    shared.add_method(command)
    command.add_argument(
        "--control", metavar="DIR", help="synthetic images of a generator that saw no real one of these"
    )
    command.add_argument("--seed", type=int, default=0, help="of the permutations (default: 0)")
    command.add_argument(
        "--fail-above",
        type=float,
        metavar="RATE",
        help="exit status 3 if surely more than this share of the used images is flagged (0.05 is what chance flags), "
        "or if any has a copy",
    )
    shared.add_outputs(command, release=True)


def _audit(options: Namespace) -> Outcome:
    found = fingerprint.audit(
        options.used,
        options.unused,
        options.fake,
        control=options.control,
        method=options.method,
        seed=options.seed,
        **shared.reading(options),
    )
    alarm = "" if options.fail_above is None else _audit_alarm(found, options.fail_above)
    return Outcome(str(found), found, failed=any(found.failed.values()), alarm=alarm)


def _audit_alarm(found: fingerprint.Audit, limit: float) -> str:
    least = found.leak_rate.low
    if found.copies:
        return f"--fail-above: used images that have a copy: {len(found.copies)}"
    if least > limit:
        return f"--fail-above {limit:g}: at least {100 * least:.1f} % of the used images are flagged"
    # a rate that is not defined keeps the gate shut
    return "" if least <= limit else f"--fail-above {limit:g}: too few images to tell how many are flagged"


def _compare_arguments(command: ArgumentParser) -> None:
    shared.add_folders(
        command,
        used="real images that both generators were trained on",
        fake_a="synthetic images of the first generator",
        fake_b="synthetic images of the second generator",
    )
    command.add_argument("--unused", metavar="DIR", help="real images that neither was trained on")
    shared.add_reading(command)
    shared.add_forms(command)
    shared.add_pass(command)
    shared.add_outputs(command)


def _compare(options: Namespace) -> Outcome:
    found = fingerprint.compare(
        options.used, options.fake_a, options.fake_b, unused=options.unused, **shared.reading(options)
    )
    return Outcome(str(found), found, failed=any(found.failed.values()))


def _attribute_arguments(command: ArgumentParser) -> None:
    command.add_argument(
        "training_sets", metavar="SET", nargs="+", help="folders of real images, one for each training set"
    )
    shared.add_folders(command, fake="synthetic images of unknown origin")
    shared.add_reading(command, groups=False)
    shared.add_work(command)
    command.add_argument("--least-margin", type=float, default=0.0, help="leave smaller leads undecided (default: 0)")
    shared.add_outputs(command)


def _attribute(options: Namespace) -> Outcome:
    sets = {path: path for path in options.training_sets}
    found = fingerprint.attribute(sets, options.fake, least_margin=options.least_margin, **shared.reading(options))
    return Outcome(str(found), found, failed=any(found.failed.values()))


COMMANDS = (
    Command("check", "find what is wrong with the images, before anything is computed", _check_arguments, _check),
    Command("rank", "rank real images by the evidence that they were used for training", _rank_arguments, _rank),
    Command("summarise", "compare with some synthetic images, for merge", _summarise_arguments, _summarise),
    Command("merge", "rank real images by what summarise wrote of all parts", _merge_arguments, _merge),
    Command("decide", "decide which real images to call used, by a reference or without", _decide_arguments, _decide),
    Command("distances", "write the matrix of distances, real by synthetic", _distances_arguments, _distances),
    Command("audit", "test whether a generator leaks which images it was trained on", _audit_arguments, _audit),
    Command("compare", "tell which of two generators leaks more", _compare_arguments, _compare),
    Command("attribute", "tell which training set each synthetic image comes from", _attribute_arguments, _attribute),
    Command("fit", "learn from labelled real images how to tell used from unused", _fit_arguments, _fit),
    Command("predict", "decide with a fitted detector which real images were used", _predict_arguments, _predict),
    Command("evaluate", "measure decisions or scores against the truth", _evaluate_arguments, _evaluate),
    *challenge.COMMANDS,
    *beginning.COMMANDS,
)
