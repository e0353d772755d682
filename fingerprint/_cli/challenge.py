"""The commands of the challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fingerprint
from fingerprint import challenge
from fingerprint._base.output import printable
from fingerprint._cli import options as shared
from fingerprint._cli.command import Command, Outcome

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _add_edition(command: ArgumentParser, more: str = "") -> None:
    command.add_argument(
        "--edition", type=int, choices=challenge.EDITIONS, help=f"default: what the names of the folders say{more}"
    )
    command.add_argument("--generator", type=int, choices=(1, 2), help="of 2024: which of the two")


def _run_arguments(command: ArgumentParser) -> None:
    command.add_argument("development", metavar="DEV_DIR", help="folder with generated, used and not_used images")
    command.add_argument("test", metavar="TEST_DIR", help="folder with generated and unknown real images")
    command.add_argument("--out", dest="run_file", required=True, metavar="FILE", help="run file to write")
    command.add_argument("--probabilities", metavar="FILE", help="also write the probabilities, as CSV; - = to stdout")
    _add_edition(command)
    shared.add_groups(command)
    command.add_argument("--share", type=float, metavar="P", help="share of used images among the unknown, if known")
    shared.add_threads(command)
    shared.add_memory(command)


def _run(options: Namespace) -> Outcome:
    answer = challenge.answer(
        options.development,
        options.test,
        options.run_file,
        edition=options.edition,
        generator=options.generator,
        groups=shared.groups(options),
        share=options.share,
        memory=options.memory,
        threads=options.threads,
        progress=shared.progress(options),
    )
    text = f"{answer}\nRun file of {answer.edition}: {printable(options.run_file)}"
    return Outcome(text, answer, failed=any(answer.predictions.failed.values()))


def _check_run_arguments(command: ArgumentParser) -> None:
    command.add_argument("file", metavar="RUN", help="run file")
    command.add_argument("test", nargs="?", metavar="TEST_DIR", help="the test part, to find unknown and missing ids")
    _add_edition(command, "; without TEST_DIR 2023")


def _check_run(options: Namespace) -> Outcome:
    edition, names = options.edition or 2023, None
    if options.test:
        part = challenge.layout(options.test, edition=options.edition, generator=options.generator)
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


COMMANDS = (
    Command("challenge run", "do the whole task: learn, decide, write the run file", _run_arguments, _run),
    Command("challenge check", "find every fault of a run file", _check_run_arguments, _check_run),
)
