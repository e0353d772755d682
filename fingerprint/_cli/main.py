"""The command line, on top of the public functions."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import fingerprint
from fingerprint._answers import report
from fingerprint._cli import questions

if TYPE_CHECKING:
    from collections.abc import Sequence

_OK, _SOME_FAILED, _WRONG_USE = 0, 1, 2

_EXAMPLES = """examples:
  fingerprint demo                                           phantoms, their ranking and the truth, in one go
  fingerprint rank real/ fake/                               most likely used first
  fingerprint rank real/ fake/ --out ranking.csv             the whole table
  fingerprint rank real/ fake/ --report ranking.html         a page that shows the evidence
  fingerprint rank real/ fake/ --reference known_unused/     with p- and q-values
  fingerprint distances real/ fake/ --metric ssim --out d.npy
  fingerprint fit used/ unused/ fake/ --out detector.json    learn from labelled images
  fingerprint predict detector.json real/ fake/              decide
  fingerprint audit used/ unused/ fake/                      does the generator leak?
  fingerprint challenge run dev/ test/ --out run.csv         the whole task of the challenge

exit status: 0 = done, 1 = done, but some files could not be used, 2 = wrong use"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status: 0 = done, 1 = done, but some files could not be used, 2 = wrong use.
    """
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OK
    except (fingerprint.InputError, OSError) as error:
        print(f"fingerprint: {error}", file=sys.stderr)
        return _WRONG_USE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fingerprint",
        description=fingerprint.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fingerprint {fingerprint.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    rank = commands.add_parser("rank", help="rank real images by the evidence that they were used for training")
    _add_collections(rank)
    rank.add_argument("--reference", metavar="DIR", help="real images known to be unused: adds p- and q-values")
    questions.add_population(rank)
    rank.add_argument("--groups", metavar="FILE", help="JSON object from file name to patient")
    rank.add_argument("--method", default="default", metavar="NAME", help="default, or a statistic of the literature")
    rank.add_argument("--neighbours", type=int, default=5, metavar="K", help="synthetic images to show (default: 5)")
    rank.add_argument("--out", metavar="FILE", help="write the table as CSV")
    rank.add_argument("--json", metavar="FILE", help="write everything as JSON")
    rank.add_argument("--report", metavar="FILE", help="write a page that shows the evidence, as HTML")
    rank.set_defaults(run=_rank)

    distances = commands.add_parser("distances", help="write the matrix of distances, real by synthetic")
    _add_collections(distances)
    distances.add_argument("--metric", default="euclidean", metavar="NAME", help="euclidean (default), manhattan, …")
    distances.add_argument("--out", required=True, metavar="FILE", help=".npy (float64) or .csv (with names)")
    distances.set_defaults(run=_distances)

    questions.add(commands, _shown)

    demo = commands.add_parser(
        "demo", help="draw phantoms and a generator that leaks, rank them, compare with the truth"
    )
    demo.add_argument("folder", nargs="?", default="demo", metavar="DIR", help="new or empty folder (default: demo)")
    demo.add_argument("--seed", type=int, default=0, help="another draw (default: 0)")
    _add_threads(demo)
    demo.set_defaults(run=_demo)
    return parser


def _shown(options: argparse.Namespace) -> int:
    text, failed = options.question(options)
    print(text)
    return _SOME_FAILED if failed else _OK


def _add_collections(command: argparse.ArgumentParser) -> None:
    command.add_argument("real", metavar="REAL", help="folder of real images")
    command.add_argument("fake", metavar="FAKE", help="folder of synthetic images")
    command.add_argument("--size", type=int, metavar="PIXELS", help="resample all images to this height and width")
    command.add_argument("--recursive", action="store_true", help="also read the folders inside the folders")
    _add_threads(command)


def _add_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, metavar="N", help="threads to use (default: one a core)")


def _rank(options: argparse.Namespace) -> int:
    if options.report:
        report.require()  # before the work, not after it
    ranking = fingerprint.rank(
        options.real,
        options.fake,
        reference=options.reference,
        population=options.population,
        groups=None if options.groups is None else questions.read_groups(options.groups),
        method=options.method,
        k=options.neighbours,
        size=options.size,
        recursive=options.recursive,
        threads=options.threads,
        progress=sys.stderr.isatty(),
    )
    if options.out:
        ranking.to_csv(options.out)
    if options.json:
        ranking.to_json(options.json)
    if options.report:
        ranking.report(options.report)
    print(ranking.summary())
    return _SOME_FAILED if any(ranking.failed.values()) else _OK


def _distances(options: argparse.Namespace) -> int:
    import numpy as np

    suffix = Path(options.out).suffix.lower()
    if suffix not in (".npy", ".csv"):
        raise fingerprint.InputError(f"--out: expected a file name ending in .npy or .csv, got {options.out}")
    reading = {"size": options.size, "recursive": options.recursive, "threads": options.threads}
    real, fake = fingerprint.load(options.real, **reading), fingerprint.load(options.fake, **reading)
    found = fingerprint.distances(
        real, fake, metric=options.metric, threads=options.threads, progress=sys.stderr.isatty()
    )
    if suffix == ".npy":
        np.save(options.out, found)
    else:
        with Path(options.out).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", *fake.names])
            writer.writerows([name, *row] for name, row in zip(real.names, found.tolist(), strict=True))
    print(f"{options.metric} distances of {len(real)} real images (rows) to {len(fake)} synthetic ones: {options.out}")
    failed = [f"failed: {failure.name}: {failure.reason}" for failure in real.failed + fake.failed]
    print(*failed, sep="\n", end="\n" * bool(failed))
    return _SOME_FAILED if failed else _OK


def _demo(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    truth = fingerprint.phantoms.write_demo(folder, seed=options.seed)
    ranking = fingerprint.rank(folder / "real", folder / "fake", threads=options.threads, progress=sys.stderr.isatty())
    ranking.to_csv(folder / "ranking.csv")
    used = dict(zip(truth.real.names, truth.used.tolist(), strict=True))
    print(ranking.summary())
    print()
    print("The truth, which the ranking was not told:")
    print("  used, from rank 1 on:", "".join("+" if used[name] else "." for name in ranking.names))
    leaked = {truth.real.names[i] for i in truth.source if i >= 0}
    print(f"  {sum(used.values())} of {len(used)} images were used; the generator leaks {len(leaked)} of them")
    for question, wanted in (("used or not", used), ("leaked or not", {name: name in leaked for name in used})):
        found = fingerprint.evaluate([wanted[name] for name in ranking.names], ranking.scores, n_bootstrap=200)
        print(f"  {question}: AUC {found.roc_auc.value:.3f} (chance is 0.5)")
    print()
    print(f"Images, truth and ranking are in {folder}{os.sep}")
    return _OK
