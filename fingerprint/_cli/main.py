"""The program: reads the arguments, runs a command, prints, and returns an exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn, TextIO

import fingerprint

# what imports much is imported inside functions, once `program` minds signals

if TYPE_CHECKING:
    from collections.abc import Sequence

_OK, _SOME_FAILED, _WRONG_USE, _LEAK = range(4)

_EXAMPLES = """examples:
  fingerprint demo                                           drawn images, their ranking and the truth, in one go
  fingerprint check real/ fake/                              what is wrong with the images?
  fingerprint rank real/ fake/                               most likely used first
  fingerprint rank real/ fake/ --out ranking.csv             the whole table
  fingerprint rank real/ fake/ --report ranking.html         a page that shows the evidence
  fingerprint rank real/ fake/ --reference known_unused/     with p- and q-values
  fingerprint audit used/ unused/ fake/                      does the generator leak?
  fingerprint fit used/ unused/ fake/ --out detector.json    learn from labelled images
  fingerprint predict detector.json real/ fake/              decide

exit status: 0 = done, 1 = done, but some files could not be used, or check found an error, 2 = wrong use or no result,
3 = leak found (--fail-...), 130 = interrupted, 143 = terminated"""


def program() -> None:
    """Run the command line as a process of its own, which ends at once when it is interrupted."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: a file that is opened would take its place
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, "r+b" if number == 0 else "w"))  # noqa: PTH123, SIM115
    _end_at_once()
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status, as ``fingerprint --help`` lists them.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the console cannot show must not lose the result
            stream.reconfigure(errors="backslashreplace")
    from fingerprint._cli.options import in_words

    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:  # who reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OK
    except (fingerprint.InputError, OSError) as error:
        _say(f"fingerprint: {in_words(error)}", sys.stderr)
        return _WRONG_USE
    except MemoryError as error:
        _say(f"fingerprint: not enough memory: {error}", sys.stderr)
        return _WRONG_USE
    except KeyboardInterrupt:
        _say("fingerprint: interrupted", sys.stderr)
        return 128 + signal.SIGINT


def _run(options: argparse.Namespace) -> int:
    """Run a command, write and print what it found."""
    from fingerprint._cli.options import Outputs, working

    outputs = Outputs.of(options)
    outputs.check()
    with working(options):
        outcome = options.run(options)
    faults = outputs.write(outcome.result)
    try:
        if not options.quiet:
            text = "\n".join([outcome.text, *outputs.written])
            _say(text, sys.stderr if outputs.to_stdout else sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        faults.append(f"stdout: {error.strerror}")
    for fault in faults:  # what was found is printed all the same
        _say(f"fingerprint: {fault}", sys.stderr)
    if faults:
        return _WRONG_USE
    if outcome.alarm:
        if not options.quiet:
            _say(f"fingerprint: exit status {_LEAK}, {outcome.alarm}", sys.stderr)
        return _LEAK
    return _SOME_FAILED if outcome.failed else _OK


class _Completion(argparse.Action):
    """Print what a shell needs to complete the command line, by shtab, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, values: object, __: str | None = None) -> NoReturn:
        """Print it."""
        try:
            import shtab
        except ImportError:
            parser.error('--completion: needs shtab; pip install "synthetic-fingerprint[completion]"')
        _say(shtab.complete(parser, shell=str(values)), sys.stdout)
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have one line, whatever the arguments hold."""

    def error(self, message: str) -> NoReturn:
        """Print the error and leave."""
        from fingerprint._base.output import printable

        super().error(printable(message))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from fingerprint._cli.commands import COMMANDS

    found = _Parser(
        prog="fingerprint",
        description=fingerprint.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--version", action="version", version=f"fingerprint {fingerprint.__version__}")
    found.add_argument(
        "--completion", action=_Completion, choices=("bash", "zsh", "tcsh"), help="print the completion of a shell"
    )
    commands = {"": found.add_subparsers(required=True, metavar="COMMAND")}
    for command in COMMANDS:
        *group, name = command.name.split()
        if group and group[0] not in commands:
            inner = commands[""].add_parser(group[0], help=f"commands of the {group[0]}")
            commands[group[0]] = inner.add_subparsers(required=True, metavar="COMMAND")
        one = commands["".join(group)].add_parser(name, help=command.help, description=command.help)
        command.arguments(one)
        one.add_argument("--quiet", action="store_true", help="print nothing; the exit status tells")
        one.set_defaults(run=command.run)
    return found


def _say(text: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError) if stream is sys.stderr else contextlib.nullcontext():  # nobody can be told
        print(text, file=stream)


def _end_at_once() -> None:
    """Let a thread of its own wait for signals, as Python's handlers wait until compiled code returns."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    words = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
    for number in words:
        signal.signal(number, lambda *_: None)  # the thread below does what is to be done

    def wait() -> None:
        number = signal.Signals(os.read(reading, 1)[0])
        os.write(2, f"fingerprint: {words.get(number, number.name)}\n".encode())
        try:
            if (executors := sys.modules.get("fingerprint._base.executors")) is not None:
                executors.abandon()
        finally:
            os._exit(128 + number)  # files are written beside their target and renamed, so that none is left half

    threading.Thread(target=wait, daemon=True).start()
