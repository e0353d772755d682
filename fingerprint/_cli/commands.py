"""The commands: for each its arguments, and what it does on the public functions."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import fingerprint
from fingerprint import challenge
from fingerprint._base.output import printable, replaced, write_csv
from fingerprint._cli import options as shared
from fingerprint._cli import tables

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

_PREDICTED = ("score", "probability", "used")  # of a table, the first column that is there counts


class Outcome(NamedTuple):
    """What a command found.

    Parameters
    ----------
    text : str
        For people.
    result : object
        What writes the files; None where there are none.
    failed : bool
        Whether files could not be used.
    alarm : str
        Why the exit status is 3: what the user asked to be warned of was found. Empty where it was not.
    """

    text: str
    result: Any = None
    failed: bool = False
    alarm: str = ""


@dataclass(frozen=True)
class Command:
    """One command.

    Parameters
    ----------
    name : str
        Its word or words.
    help : str
        What it does.
    arguments : callable
        Adds its arguments to a parser.
    run : callable
        From options to `Outcome`.
    """

    name: str
    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Outcome]


# --- Real images ------------------------------------------------------------------------------------------------------


def _rank_arguments(command: ArgumentParser) -> None:
    shared.add_folders(command, real="real images", fake="synthetic images")
    command.add_argument("--reference", metavar="DIR", help="real images known to be unused: adds p- and q-values")
    shared.add_population(command)
    shared.add_reading(command)
    shared.add_mask(command)
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
    shared.add_mask(command)
    shared.add_memory(command)
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
    settings = {name: value for name, value in made.settings.items() if name not in ("part", "groups")}
    groups = shared.groups(options)
    ranking = fingerprint.rank(
        sources.pop("real"),
        whole,
        **sources,
        groups=whole.patients if groups is None else groups,
        **settings,
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
    shared.add_mask(command)
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
    command.add_argument("--reference", metavar="DIR", help="real images known to be unused")
    shared.add_reading(command)
    shared.add_outputs(command)


def _check(options: Namespace) -> Outcome:
    found = fingerprint.check(options.real, options.fake, reference=options.reference, **shared.reading(options))
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
    shared.add_mask(command)
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
    shared.add_mask(command)
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
    shared.add_mask(command)
    shared.add_pass(command)
    shared.add_method(command)
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
        options.used, options.unused, options.fake, method=options.method, seed=options.seed, **shared.reading(options)
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
    shared.add_mask(command)
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
    shared.add_memory(command)
    command.add_argument("--least-margin", type=float, default=0.0, help="leave smaller leads undecided (default: 0)")
    shared.add_outputs(command)


def _attribute(options: Namespace) -> Outcome:
    sets = {path: path for path in options.training_sets}
    found = fingerprint.attribute(sets, options.fake, least_margin=options.least_margin, **shared.reading(options))
    return Outcome(str(found), found, failed=any(found.failed.values()))


# --- The challenge, and the demonstration -----------------------------------------------------------------------------


def _run_arguments(command: ArgumentParser) -> None:
    command.add_argument("development", metavar="DEV_DIR", help="folder with generated, used and not_used images")
    command.add_argument("test", metavar="TEST_DIR", help="folder with generated and unknown real images")
    command.add_argument("--out", dest="run_file", required=True, metavar="FILE", help="run file to write")
    command.add_argument("--probabilities", metavar="FILE", help="also write the probabilities, as CSV; - = to stdout")
    shared.add_groups(command)
    command.add_argument("--share", type=float, metavar="P", help="share of used images among the unknown, if known")
    shared.add_threads(command)


def _run(options: Namespace) -> Outcome:
    answer = challenge.answer(
        options.development,
        options.test,
        options.run_file,
        groups=shared.groups(options),
        share=options.share,
        threads=options.threads,
        progress=shared.progress(options),
    )
    text = f"{answer}\nRun file of {answer.edition}: {printable(options.run_file)}"
    return Outcome(text, answer, failed=any(answer.predictions.failed.values()))


def _check_run_arguments(command: ArgumentParser) -> None:
    command.add_argument("file", metavar="RUN", help="run file")
    command.add_argument("test", nargs="?", metavar="TEST_DIR", help="the test part, to find unknown and missing ids")
    command.add_argument("--edition", type=int, default=2023, help="2023 (default) or 2025, without TEST_DIR")


def _check_run(options: Namespace) -> Outcome:
    edition, names = options.edition, None
    if options.test:
        part = challenge.layout(options.test)
        if part.unknown is None:
            raise fingerprint.InputError(
                f"TEST_DIR: expected the test part, got the {part.part} part in {options.test}"
            )
        unknown = fingerprint.load(part.unknown)
        edition, names = part.edition, [*unknown.names, *(failure.name for failure in unknown.failed)]
    faults = challenge.check_run(options.file, names, edition=edition)
    return Outcome(
        "\n".join(printable(str(fault)) for fault in faults) or printable(f"{options.file}: no fault"),
        failed=bool(faults),
    )


def _demo_arguments(command: ArgumentParser) -> None:
    command.add_argument("folder", nargs="?", default="demo", metavar="DIR", help="new or empty folder (default: demo)")
    command.add_argument("--seed", type=int, default=0, help="another draw (default: 0)")
    shared.add_threads(command)


def _demo(options: Namespace) -> Outcome:
    folder = Path(options.folder)
    truth = fingerprint.phantoms.write_demo(folder, seed=options.seed)
    ranking = fingerprint.rank(
        folder / "real", folder / "fake", threads=options.threads, progress=shared.progress(options)
    )
    ranking.to_csv(folder / "ranking.csv")
    used = dict(zip(truth.real.names, truth.used.tolist(), strict=True))
    leaked = {truth.real.names[i] for i in truth.source if i >= 0}
    lines = [
        str(ranking),
        "",
        "The truth, which the ranking was not told:",
        "  from rank 1 on, + = used, . = unused: " + "".join("+" if used[name] else "." for name in ranking.names),
        f"  {sum(used.values())} of {len(used)} images were used; the generator leaks {len(leaked)} of them",
    ]
    for question, wanted in (("used or not", used), ("leaked or not", {name: name in leaked for name in used})):
        found = fingerprint.evaluate([wanted[name] for name in ranking.names], ranking.scores, n_bootstrap=200)
        lines.append(f"  {question}: AUC {found.roc_auc.value:.3f} (chance is 0.5)")
    lines += [
        "",
        printable(f"Images, truth and ranking are in {folder}{os.sep}. To look at the evidence:"),
        printable(f"  fingerprint rank {folder / 'real'} {folder / 'fake'} --report ranking.html"),
    ]
    return Outcome("\n".join(lines))


def _no_arguments(_: ArgumentParser) -> None:
    pass


def _warm_up(_: Namespace) -> Outcome:
    """Compare a few drawn images in each depth: what is compiled for that is all that there is."""
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        drawn = fingerprint.phantoms.write_demo(Path(folder) / "demo", n_used=4, n_unused=4, n_fake=20, size=64)
        fingerprint.rank(Path(folder) / "demo" / "real", Path(folder) / "demo" / "fake")
    for depth in (np.uint8, np.uint16):
        real, fake = (images.pixels.astype(depth) for images in (drawn.real, drawn.fake))
        fingerprint.audit(real[:4], real[4:], fake, n_permutations=99)
        for measure in ("rmse", "ncc"):
            fingerprint.nearest_patches(real, fake, measure=measure, flat=2)
        for metric in ("euclidean", "manhattan", "correlation", "tiles", "ssim"):
            fingerprint.distances(real, fake, metric=metric)
    return Outcome(f"Compiled for this processor, and kept for later runs, in {perf_counter() - began:.0f} s.")


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
    Command("challenge run", "do the whole task: learn, decide, write the run file", _run_arguments, _run),
    Command("challenge check", "find every fault of a run file", _check_run_arguments, _check_run),
    Command("warm-up", "compile all that the other commands use, once for this processor", _no_arguments, _warm_up),
    Command("demo", "draw images and a generator that leaks, and rank them", _demo_arguments, _demo),
)
