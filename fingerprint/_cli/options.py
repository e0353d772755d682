"""Options that several commands share, and the files that they write."""

from __future__ import annotations

import importlib
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import fingerprint
from fingerprint._base import checks
from fingerprint._base.output import printable
from fingerprint._cli import tables

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Mapping

STDOUT = "-"
_ANSWER = 10  # seconds in which a scheduler of Dask has to answer
_ARGUMENT = re.compile(
    r"\b(size|recursive|groups|population|unused|grey|window|edition|generator)="
    r"(?:True\b|(?P<number>\d+)\b|\((?P<both>\d+), (?P=both)\)|\((?P<pair>\w+, \w+)\)|\"(?P<word>\w+)\"|(?![\w(]))"
)


# --- What is read -----------------------------------------------------------------------------------------------------


def add_folders(command: ArgumentParser, **folders: str) -> None:
    """Add positional arguments, each with what it holds."""
    for name, held in folders.items():
        command.add_argument(name, metavar=name.upper(), help=f"folder of {held}")


def add_reading(command: ArgumentParser, *, groups: bool = True) -> None:
    """Add the options of reading images."""
    if groups:
        add_groups(command)
    command.add_argument("--size", type=int, metavar="PIXELS", help="resample all images to this height and width")
    command.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("CENTRE", "WIDTH"),
        help="see images of 16 bits through this window, as 8 bits",
    )
    command.add_argument(
        "--grey", choices=("exact", "luminance"), default="exact", help="refuse colour, or take its luminance"
    )
    command.add_argument("--recursive", action="store_true", help="also read the folders inside the folders")
    add_threads(command)


def add_forms(command: ArgumentParser) -> None:
    """Add what part of the images counts, and in which other forms synthetic ones are compared."""
    command.add_argument(
        "--mask", metavar="body|FILE", help="compare the body of each image alone, or what is not 0 in this image"
    )
    command.add_argument(
        "--symmetries",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="NAME,…",
        help="compare synthetic images also turned (by 90, 180 and 270 degrees), negative, or in enlarged windows of "
        "half their size (half), or all",
    )


def add_groups(command: ArgumentParser) -> None:
    """Add the ways to say which images are of one patient."""
    ways = command.add_mutually_exclusive_group()
    ways.add_argument("--groups", metavar="FILE", help="JSON object, or CSV, from file name to patient")
    ways.add_argument("--group-pattern", metavar="REGEX", help="the patient is what this finds in the name")
    ways.add_argument(
        "--group-by", choices=("folder", "PatientID"), help="the patient is the folder of the file, or what DICOM says"
    )


def add_population(command: ArgumentParser) -> None:
    """Add further real images."""
    command.add_argument(
        "--population", metavar="DIR", action="append", help="more real images of this kind, used or not; repeatable"
    )


def add_method(command: ArgumentParser) -> None:
    """Add the choice of what scores real images."""
    known = "; ".join(f"{name}: {what}" for name, what in fingerprint.METHODS.items())
    command.add_argument("--method", default="default", metavar="NAME", help=known)


def add_threads(command: ArgumentParser) -> None:
    """Add the number of threads."""
    command.add_argument("--threads", type=int, metavar="N", help="threads to use (default: one a core)")


def part(text: str) -> tuple[int, int]:
    """Return the number of a part and how many there are."""
    number, _, count = text.partition("/")
    return int(number), int(count)


def add_work(command: ArgumentParser) -> None:
    """Add where a command works, and the memory that it may take."""
    ways = command.add_mutually_exclusive_group()
    ways.add_argument("--workers", type=int, metavar="N", help="work in N processes (default: threads of one)")
    ways.add_argument(
        "--dask", metavar="ADDRESS", help="work in the cluster of this scheduler, such as tcp://node1:8786"
    )
    add_memory(command)


def add_memory(command: ArgumentParser) -> None:
    """Add the memory that a command may take."""
    command.add_argument(
        "--memory", metavar="SIZE", help="what the process may take, such as 512MB or 2GiB (default: what is there)"
    )


def add_pass(command: ArgumentParser) -> None:
    """Add what a pass over synthetic images may take, and the file from which it goes on."""
    add_work(command)
    command.add_argument(
        "--checkpoint", metavar="FILE", help="go on from this file where it stopped; written every half minute"
    )


def reading(options: Namespace) -> dict[str, Any]:
    """Return the options of `add_reading`, `add_forms`, `add_work` and `add_pass` as arguments of the library."""
    found = {"size": options.size, "recursive": options.recursive, "threads": options.threads, "grey": options.grey}
    found["window"] = None if options.window is None else tuple(options.window)
    more = ("mask", "symmetries", "memory", "checkpoint", "executor")
    found |= {name: getattr(options, name) for name in more if name in options}
    return found | {"progress": progress(options)} | ({"groups": groups(options)} if "groups" in options else {})


@contextmanager
def working(options: Namespace) -> Iterator[None]:
    """Add the executor that the options of `add_work` ask for to them, until the work is done."""
    if getattr(options, "workers", None) is not None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        from fingerprint._base.executors import begin_worker

        count = checks.integer("--workers", options.workers, minimum=1)
        _begin_tracker()
        with ProcessPoolExecutor(
            count,
            mp_context=get_context("spawn"),
            initializer=begin_worker,
        ) as options.executor:
            yield
    elif getattr(options, "dask", None) is not None:
        with _client(options.dask) as client:
            options.executor = client.get_executor()
            yield
    else:
        yield


def _begin_tracker() -> None:
    """Begin the process that removes semaphores of processes that were ended, so that it does so without a word."""
    if sys.platform == "win32":  # has none
        return
    from multiprocessing import resource_tracker

    known = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [known, "ignore:resource_tracker"]))
    try:
        resource_tracker.ensure_running()
    finally:
        if known is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = known


def _client(address: str) -> Any:
    """Return a client of the scheduler at an address."""
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port
    except ImportError:
        raise fingerprint.InputError('--dask: needs distributed; pip install "synthetic-fingerprint[dask]"') from None
    try:
        get_address_host_port(address, strict=True)  # of an address that is none, a client could not be closed
        return Client(address, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise fingerprint.InputError(
            f"--dask: expected the address of a scheduler that answers within {_ANSWER} s, got {address!r}: "
            f"{str(error).splitlines()[0]}"
        ) from None


def progress(options: Namespace) -> bool | None:
    """Return whether to show a bar: not where nothing is to be printed, else where somebody looks."""
    return False if options.quiet else None


def groups(options: Namespace) -> Mapping[str, object] | Callable[[str], object] | Literal["PatientID"] | None:
    """Return what says the patient of an image."""
    if options.groups is not None:
        return tables.read_groups(options.groups)
    if options.group_by == "PatientID":
        return "PatientID"
    if options.group_by == "folder":
        return lambda name: PurePosixPath(name).parent.as_posix()
    if options.group_pattern is None:
        return None
    try:
        pattern = re.compile(options.group_pattern)
    except re.error as error:
        raise fingerprint.InputError(
            f"--group-pattern: expected a regular expression, got {options.group_pattern!r}: {error}"
        ) from None

    def found(name: str) -> str:
        match = pattern.search(name)
        if match is None:
            raise fingerprint.InputError(
                f"--group-pattern: expected {options.group_pattern!r} to match every name, found none in {name!r}"
            )
        return match[1 if pattern.groups else 0] or ""

    return found


# --- What is written --------------------------------------------------------------------------------------------------


def add_outputs(command: ArgumentParser, *, table: bool = True, release: bool = False) -> None:
    """Add the files that a command can write; with `release`, also those by which a release is decided."""
    if table:
        command.add_argument("--out", metavar="FILE", help="write the table as CSV; - = to stdout")
    command.add_argument("--json", metavar="FILE", help="write everything as JSON; - = to stdout")
    if release:
        command.add_argument(
            "--rate", type=float, default=0.1, help="false discovery rate of the decision (default: 0.1)"
        )
        command.add_argument("--report", metavar="FILE", help="write a page by which to decide on a release, as HTML")
        command.add_argument("--title", help="of the report")
        command.add_argument("--notes", default="", metavar="TEXT", help="for the field for notes of the report")
        command.add_argument(
            "--no-images",
            action="store_true",
            help="no picture in the report, and names hashed, so that it may be shown",
        )
        command.add_argument(
            "--salt", metavar="TEXT", help="secret from which the hashes follow (default: a random one)"
        )
        command.add_argument(
            "--withhold",
            metavar="FILE",
            help="write the synthetic images to withhold and the real ones that each gives away, as CSV; - = to stdout",
        )


@dataclass
class Outputs:
    """The files that a run is to write.

    Parameters
    ----------
    targets : dict
        From option to path; ``-`` is stdout.
    options : argparse.Namespace
        What else the user chose.
    written : list of str
        A line for each file that was written.
    """

    targets: dict[str, str]
    options: Namespace
    written: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, options: Namespace) -> Outputs:
        """Return the files that the options name."""
        known = ("out", "probabilities", "json", "report", "withhold")
        return cls({name: path for name in known if (path := getattr(options, name, None)) is not None}, options)

    @property
    def to_stdout(self) -> list[str]:
        """The options that write to stdout."""
        return [name for name, target in self.targets.items() if target == STDOUT]

    def check(self) -> None:
        """Raise before the work where a file could not be written after it."""
        if len(self.to_stdout) > 1:
            raise fingerprint.InputError(
                f"--{', --'.join(self.to_stdout)}: expected one of them to be '-', got {len(self.to_stdout)}; give the "
                "others a file name"
            )
        if "report" in self.to_stdout:
            raise fingerprint.InputError("--report: expected the name of a file, got '-'")
        for target in self.targets.values():
            folder = Path(target).parent
            if target == STDOUT:
                continue
            if Path(target).is_dir():
                raise fingerprint.InputError(f"{target}: expected the name of a file to write, found a folder")
            if not folder.is_dir():
                raise fingerprint.InputError(f"{target}: expected a file in an existing folder; create {folder}")
            if not os.access(folder, os.W_OK):
                raise fingerprint.InputError(f"{target}: expected a folder to write into, got {folder}, read-only")
        for library in ("jinja2", "matplotlib") * ("report" in self.targets):
            try:
                importlib.import_module(library)
            except ImportError:
                raise fingerprint.InputError(
                    f'--report: needs {library}; pip install "synthetic-fingerprint[report]"'
                ) from None

    def write(self, result: Any) -> list[str]:
        """Write all files, and return what went wrong."""
        faults = []
        for name, target in self.targets.items():
            try:
                if target == STDOUT:
                    sys.stdout.write(self._write(name, result))
                else:
                    self._write(name, result, target)
                    self.written.append(printable(f"Wrote {target}"))
            except BrokenPipeError:
                raise
            except OSError as error:
                faults.append(printable(f"{'stdout' if target == STDOUT else target}: {error.strerror}"))
            except fingerprint.InputError as error:
                faults.append(in_words(error))
        return faults

    def _write(self, name: str, result: Any, *path: str) -> Any:
        """Write what one option asks for to a path, or return it as text."""
        if name == "withhold":
            return result.withhold(false_discovery_rate=self.options.rate).to_csv(*path)
        if name in ("out", "probabilities"):
            return getattr(result, getattr(self.options, "out_method", "to_csv"))(*path)
        return self._report(result, *path) if name == "report" else result.to_json(*path)

    def _report(self, result: Any, path: str) -> None:
        """Write the report, and say by which salt its names were hashed."""
        chosen = self.options
        salt = result.report(
            path,
            title=chosen.title,
            notes=chosen.notes,
            false_discovery_rate=chosen.rate,
            images=not chosen.no_images,
            salt=chosen.salt,
            check=_checked(chosen),
        )
        if salt is not None and chosen.salt is None:
            self.written.append(f"Names in {path} are hashed with the salt {salt}. Keep it where the names are")


def _checked(options: Namespace) -> list[tuple[str, ...]]:
    """Return what `fingerprint.check` finds in the images of a command; nothing where they are not at hand."""
    if "fake" not in options:
        return []
    known = reading(options)
    known = {name: known[name] for name in ("groups", "size", "window", "grey", "recursive", "threads", "progress")}
    if "used" in options:
        found = fingerprint.check(options.used, options.fake, unused=options.unused, **known)
    else:
        found = fingerprint.check(options.real, options.fake, reference=options.reference, **known)
    return [tuple(map(as_options, row)) for row in found]


def in_words(error: Exception) -> str:
    """Return what went wrong: of a file its name and the reason."""
    if isinstance(error, OSError):
        return printable(str(error) if error.filename is None else f"{error.filename}: {error.strerror}")
    return as_options("\n  ".join(printable(str(line)) for line in error.args))


def as_options(text: str) -> str:
    """Return a text of the library for the command line: ``size=(256, 256)`` to pass is ``--size 256`` here."""
    return _ARGUMENT.sub(_as_option, text)


def _as_option(found: re.Match[str]) -> str:
    """Return an argument of a function, such as ``window=(centre, width)``, as its option."""
    value = found["both"] or found["number"] or found["word"] or (found["pair"] or "").replace(",", "").upper()
    return f"--{found[1]} {value}".rstrip()
