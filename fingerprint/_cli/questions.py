"""The commands that learn, decide and measure, for the command line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import fingerprint
from fingerprint import challenge

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable
    from typing import Any

_COLUMNS = ("score", "probability", "used")  # of a table, the first one that is there counts


def add(commands: Any, run: Callable[[Namespace], int]) -> None:
    """Add the commands to those of the parser.

    Each has `run`, and as `question` a function from its options to what is to be printed and whether files failed.
    """
    fit = commands.add_parser("fit", help="learn from labelled real images how to tell used from unused")
    _add_sides(fit)
    add_population(fit)
    fit.add_argument("--n-fake", type=int, metavar="N", help="synthetic images that the statistics refer to")
    fit.add_argument("--out", required=True, metavar="FILE", help="write the detector as JSON")
    fit.set_defaults(run=run, question=_fit)

    predict = commands.add_parser("predict", help="decide with a fitted detector which real images were used")
    predict.add_argument("detector", metavar="DETECTOR", help="file that fit wrote")
    predict.add_argument("real", metavar="REAL", help="folder of real images")
    predict.add_argument("fake", metavar="FAKE", help="folder of synthetic images")
    add_population(predict)
    predict.add_argument("--share", type=float, metavar="P", help="share of used images among the real ones, if known")
    predict.add_argument("--out", metavar="FILE", help="write the table as CSV")
    _add_reading(predict)
    predict.set_defaults(run=run, question=_predict)

    audit = commands.add_parser("audit", help="test whether a generator leaks which images it was trained on")
    _add_sides(audit)
    audit.add_argument("--method", default="default", metavar="NAME", help="as for rank")
    audit.add_argument("--seed", type=int, default=0, help="of the permutations (default: 0)")
    audit.add_argument("--json", metavar="FILE", help="write everything as JSON")
    audit.set_defaults(run=run, question=_audit)

    evaluate = commands.add_parser("evaluate", help="measure decisions or scores against the truth")
    evaluate.add_argument("truth", metavar="TRUTH", help="CSV of name and used (0 or 1), with or without header")
    evaluate.add_argument("predicted", metavar="PREDICTED", help="run file, or a table of predict or rank")
    evaluate.add_argument("--threshold", type=float, help="scores from here upwards count as used")
    evaluate.add_argument("--groups", metavar="FILE", help="JSON object from file name to patient")
    evaluate.add_argument("--json", metavar="FILE", help="write everything as JSON")
    evaluate.set_defaults(run=run, question=_evaluate)

    parts = commands.add_parser("challenge", help="the ImageCLEFmedical GANs challenge").add_subparsers(
        required=True, metavar="COMMAND"
    )
    whole = parts.add_parser("run", help="do the whole task: learn, decide, write the run file")
    whole.add_argument("development", metavar="DEV_DIR", help="folder with generated, used and not_used images")
    whole.add_argument("test", metavar="TEST_DIR", help="folder with generated and unknown real images")
    whole.add_argument("--out", required=True, metavar="FILE", help="run file to write")
    whole.add_argument("--share", type=float, metavar="P", help="share of used images among the unknown, if known")
    _add_threads(whole)
    whole.set_defaults(run=run, question=_run)

    check = parts.add_parser("check", help="find every fault of a run file")
    check.add_argument("file", metavar="RUN", help="run file")
    check.add_argument("test", nargs="?", metavar="TEST_DIR", help="the test part, to find unknown and missing ids")
    check.add_argument("--edition", type=int, default=2023, help="2023 (default) or 2025, where TEST_DIR is not given")
    check.set_defaults(run=run, question=_check)


def _add_sides(command: ArgumentParser) -> None:
    command.add_argument("used", metavar="USED", help="folder of real images that the generator was trained on")
    command.add_argument("unused", metavar="UNUSED", help="folder of real images that it was not trained on")
    command.add_argument("fake", metavar="FAKE", help="folder of synthetic images")
    _add_reading(command)


def add_population(command: ArgumentParser) -> None:
    command.add_argument(
        "--population", metavar="DIR", action="append", help="more real images of this kind, used or not; repeatable"
    )


def _add_reading(command: ArgumentParser) -> None:
    command.add_argument("--groups", metavar="FILE", help="JSON object from file name to patient")
    command.add_argument("--size", type=int, metavar="PIXELS", help="resample all images to this height and width")
    command.add_argument("--recursive", action="store_true", help="also read the folders inside the folders")
    _add_threads(command)


def _add_threads(command: ArgumentParser) -> None:
    command.add_argument("--threads", type=int, metavar="N", help="threads to use (default: one a core)")


def _reading(options: Namespace) -> dict[str, Any]:
    """Return the options of `_add_reading` as arguments."""
    return {
        "groups": None if options.groups is None else read_groups(options.groups),
        "size": options.size,
        "recursive": options.recursive,
        "threads": options.threads,
        "progress": sys.stderr.isatty(),
    }


def read_groups(path: str) -> dict[str, object]:
    """Return the patients by file name."""
    try:
        groups = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise fingerprint.InputError(f"--groups: expected JSON, got {path}: {error}") from None
    if not isinstance(groups, dict):
        raise fingerprint.InputError(f"--groups: expected a JSON object from file name to patient, got {path}")
    return groups


def _fit(options: Namespace) -> tuple[str, bool]:
    detector = fingerprint.fit(
        options.used,
        options.unused,
        options.fake,
        population=options.population,
        n_fake=options.n_fake,
        **_reading(options),
    )
    detector.save(options.out)
    return str(detector), False


def _predict(options: Namespace) -> tuple[str, bool]:
    detector = fingerprint.load_detector(options.detector)
    predictions = detector.predict(
        options.real, options.fake, share=options.share, population=options.population, **_reading(options)
    )
    if options.out:
        predictions.to_csv(options.out)
    return str(predictions), any(predictions.failed.values())


def _audit(options: Namespace) -> tuple[str, bool]:
    found = fingerprint.audit(
        options.used, options.unused, options.fake, method=options.method, seed=options.seed, **_reading(options)
    )
    if options.json:
        found.to_json(options.json)
    return str(found), any(found.failed.values())


def _evaluate(options: Namespace) -> tuple[str, bool]:
    truth, predicted = _table(options.truth, ("used",)), _table(options.predicted, _COLUMNS)
    missing = [name for name in truth if name not in predicted]
    if missing:
        raise fingerprint.InputError(
            f"{options.predicted}: expected a line for each of the {len(truth)} images of {options.truth}, found none "
            f"for {missing[0]!r} ({len(missing)} missing)"
        )
    groups = None
    if options.groups:
        patients = {challenge.run_id(name): patient for name, patient in read_groups(options.groups).items()}
        lacking = [name for name in truth if name not in patients]
        if lacking:
            raise fingerprint.InputError(
                f"{options.groups}: expected a patient for every image, got none for {lacking[0]!r}"
            )
        groups = [str(patients[name]) for name in truth]
    found = fingerprint.evaluate(
        list(truth.values()), [predicted[name] for name in truth], threshold=options.threshold, groups=groups
    )
    if options.json:
        found.to_json(options.json)
    return str(found), False


def _table(path: str, columns: tuple[str, ...]) -> dict[str, float]:
    """Return a number by id: of a run file, or of the first of the columns that a table has."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    column, name = 1, 0
    if rows and "name" in rows[0]:
        header = rows.pop(0)
        found = [one for one in columns if one in header]
        if not found:
            raise fingerprint.InputError(f"{path}: expected a column {' or '.join(columns)}, got {', '.join(header)}")
        column, name = header.index(found[0]), header.index("name")
    numbers: dict[str, float] = {}
    for line, row in enumerate(rows, 1):
        try:
            text = row[column]
            numbers[challenge.run_id(row[name])] = int(text) if text in ("0", "1") else float(text)
        except (IndexError, ValueError):
            raise fingerprint.InputError(f"{path}: expected a name and a number in row {line}, got {row}") from None
    if any(isinstance(number, float) for number in numbers.values()):
        return {name: float(number) for name, number in numbers.items()}
    return numbers


def _run(options: Namespace) -> tuple[str, bool]:
    answer = challenge.answer(
        options.development,
        options.test,
        options.out,
        share=options.share,
        threads=options.threads,
        progress=sys.stderr.isatty(),
    )
    text = f"{answer}\nRun file of {answer.edition}: {options.out}"
    return text, any(answer.predictions.failed.values())


def _check(options: Namespace) -> tuple[str, bool]:
    edition, names = options.edition, None
    if options.test:
        part = challenge.layout(options.test)
        if part.unknown is None:
            raise fingerprint.InputError(
                f"TEST_DIR: expected the test part, got the {part.part} part in {options.test}"
            )
        edition, names = part.edition, sorted(path.name for path in part.unknown.iterdir() if path.is_file())
    faults = challenge.check_run(options.file, names, edition=edition)
    return "\n".join(map(str, faults)) or f"{options.file}: no fault", bool(faults)
