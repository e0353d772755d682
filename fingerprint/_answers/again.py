"""To run it again: the call, the command and the versions behind a result."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from importlib import import_module, metadata
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from fingerprint._answers.patients import PATIENT_ID
from fingerprint._base.version import __version__

if TYPE_CHECKING:
    from fingerprint._base.provenance import Provenance

_PACKAGES = ("numpy", "scipy", "numba", "pillow", "deflate", "pydicom", "nibabel")
_POSITIONAL = {"rank": ("real", "fake"), "audit": ("used", "unused", "fake")}
_LONGEST = 4  # a list that is written out
_OPTIONS = {"k": "neighbours", "groups": "group-by"}  # settings that the command line calls otherwise
_ON_THE_COMMAND_LINE = {
    *("reference", "population", "groups", "method", "k", "seed"),
    *("mask", "symmetries", "size", "window", "grey", "recursive", "memory"),
}


class Again(NamedTuple):
    """How to make a result again.

    Parameters
    ----------
    call : str
        In Python.
    command : str
        On the command line; empty where it cannot be made there.
    missing : str
        What has to be put in, or why there is no command; empty where all is said.
    """

    call: str
    command: str
    missing: str


def again(question: str, made: Provenance, *, shown: bool) -> Again:
    """Return the call and the command of `fingerprint.rank` or `fingerprint.audit`.

    Parameters
    ----------
    question : str
        Name of the function.
    made : Provenance
        Its arguments.
    shown : bool
        Whether paths may be told; without, placeholders stand for them.

    Returns
    -------
    Again
    """
    sources = {name: source for name, source in made.sources.items() if source is not None or name in ("real", "fake")}
    settings = dict(made.settings)
    groups = None if settings.get("groups") == PATIENT_ID else settings.pop("groups", None)
    lines = [f"{name}={_source(name, source, shown)}," for name, source in sources.items()]
    lines += ["groups=groups,"] * (groups is not None)
    lines += [f"{name}={_text(name, value, shown)}," for name, value in settings.items()]
    call = "\n    ".join([f"fingerprint.{question}(", *lines]) + "\n)"
    command, missing = _command(question, sources, settings, grouped=groups is not None, shown=shown)
    if groups is not None:
        missing = f"groups says the patient of each image: {_patients(groups)}. {missing}"
    return Again(call, command, missing.strip())


def versions() -> str:
    """Return the versions that a result may depend on, in a line."""
    found = [f"fingerprint {__version__}", f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join([*found, f"{platform.system()} {platform.machine()}"])


def place(source: Any, *, shown: bool = True) -> str:
    """Return in words where a collection came from."""
    if source is None:
        return "an iterator"
    if isinstance(source, int):
        return "an array"
    if isinstance(source, (list, tuple)):
        parts = [place(one, shown=shown) for one in source]
        return f"{len(parts)} sources: {'; '.join(parts[:3])}" + "; …" * (len(parts) > 3)
    return str(source) if shown else "a path"


def _source(name: str, source: Any, shown: bool) -> str:
    """Return a source as Python text, a name in capitals where it cannot or must not be written out."""
    if isinstance(source, str):
        return repr(source) if shown else name.upper()
    if isinstance(source, (list, tuple)) and all(isinstance(one, str) for one in source) and shown:
        return repr(list(source))
    return name.upper()


def _command(
    question: str, sources: Mapping[str, Any], settings: Mapping[str, Any], *, grouped: bool, shown: bool
) -> tuple[str, str]:
    """Return the command, or why there is none."""
    words = ["fingerprint", question]
    usual = signature(getattr(import_module(f"fingerprint._answers.{question}"), question)).parameters
    for name in _POSITIONAL[question]:
        if not isinstance(sources.get(name), str):
            return (
                "",
                f"The command line takes {name} from a folder; here it was {place(sources.get(name), shown=shown)}.",
            )
        words.append(shlex.quote(sources[name]) if shown else name.upper())
    for name in ("reference", "population", "control"):
        given = sources.get(name)
        parts = given if name == "population" and isinstance(given, (list, tuple)) else [given]
        for one in parts if given is not None else []:
            if not isinstance(one, str):
                return "", f"The command line takes {name} from a folder."
            words += [f"--{name}", shlex.quote(one) if shown else name.upper()]
    for name, value in settings.items():
        if name in usual and _plain(value) == usual[name].default:
            continue
        if name == "symmetries" and not isinstance(value, str):
            value = ",".join(value)
        several = isinstance(value, (list, tuple))
        if name not in _ON_THE_COMMAND_LINE or (several and name != "window"):
            return "", f"The command line has no option for {name}={_text(name, value, shown)}."
        words.append(f"--{_OPTIONS.get(name, name)}")
        words += [] if value is True else [_word(name, one, shown) for one in (value if several else [value])]
    return " ".join(words + ["--groups groups.csv"] * grouped), ""


def _text(name: str, value: Any, shown: bool) -> str:
    """Return a setting as Python text, its name in capitals where it is an image, or must not be told."""
    image = isinstance(value, (list, tuple)) and len(value) > _LONGEST
    return name.upper() if image or (_secret(name, value) and not shown) else repr(_plain(value))


def _word(name: str, value: Any, shown: bool) -> str:
    """Return a setting as a word of a command likewise."""
    return name.upper() if _secret(name, value) and not shown else shlex.quote(str(value))


def _secret(name: str, value: Any) -> bool:
    """Whether a setting may hold a name or a path."""
    return isinstance(value, str) and name not in ("method", "grey", "on_error", "memory", "groups", "symmetries")


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _patients(groups: Any) -> str:
    if isinstance(groups, Mapping):
        return f"a mapping of {len(groups):,} names"
    return "a function of the name" if isinstance(groups, str) else f"a list of {len(groups):,} patients"
