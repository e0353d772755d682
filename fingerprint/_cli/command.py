"""What a command is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable


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
