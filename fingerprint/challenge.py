"""The ImageCLEFmedical GANs challenge: folder layouts of its editions, run files, and their scores."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint import _check, _output, images
from fingerprint._check import InputError
from fingerprint.detector import fit
from fingerprint.evaluation import evaluate

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from fingerprint.detector import Detector, Predictions
    from fingerprint.evaluation import Evaluation

EDITIONS = (2023, 2025)

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_SHOWN = 5  # problems quoted in an error message


@dataclass(frozen=True)
class Layout:
    """Where the images of one part of the challenge lie.

    Parameters
    ----------
    edition : int
        2023 or 2025: the format of its run file.
    part : str
        ``development`` (labelled reals), ``test`` (reals of unknown use) or ``subsets`` (2025, second subtask: from
        which training subset does a generated image stem).
    generated : Path
        Folder of the generated images. In ``subsets`` it holds a folder for each subset.
    used, not_used : Path or None
        Folders of the real images known to be used, and known to be unused. In ``development`` only.
    unknown : Path or None
        Folder of the images to decide on: real ones in ``test``, generated ones in ``subsets``.
    real : Path or None
        Folder that holds the real images of each subset in a folder of their own. In ``subsets`` only.
    subsets : tuple of str
        Names of the subsets. In ``subsets`` only.
    """

    edition: int
    part: str
    generated: Path
    used: Path | None = None
    not_used: Path | None = None
    unknown: Path | None = None
    real: Path | None = None
    subsets: tuple[str, ...] = ()


# edition and part: the folder that plays each role
_LAYOUTS: dict[tuple[int, str], dict[str, str]] = {
    (2023, "development"): {"generated": "generated", "used": "used", "not_used": "not_used"},
    (2023, "test"): {"generated": "generated_1", "unknown": "real_unknown_1"},
    (2025, "development"): {"generated": "generated", "used": "real_used", "not_used": "real_not_used"},
    (2025, "test"): {"generated": "generated", "unknown": "real_unknown"},
    (2025, "subsets"): {"generated": "generated", "real": "real", "unknown": "generated_unknown"},
}


def layout(folder: str | os.PathLike[str]) -> Layout:
    """Recognise the part of the challenge that a folder holds, by the names of its sub-folders.

    Parameters
    ----------
    folder : path
        The folder with, say, ``generated``, ``used`` and ``not_used`` in it. Other files and folders are ignored.

    Returns
    -------
    Layout
        Edition, part, and the folder in each role.

    Raises
    ------
    InputError
        If it is no folder, holds none of the layouts, more than one of them, or subsets that do not match.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("generated_1", "real_unknown_1"):
    ...     (folder / name).mkdir()
    >>> found = challenge.layout(folder)
    >>> found.edition, found.part, found.unknown.name
    (2023, 'test', 'real_unknown_1')
    """
    root = _path("folder", folder)
    if not root.is_dir():
        raise InputError(f"folder: expected an existing folder, got {str(root)!r}")
    names = _folders(root)
    matches = [key for key, roles in _LAYOUTS.items() if set(roles.values()) <= set(names)]
    if len(matches) > 1:
        parts = " and ".join(f"{edition} {part}" for edition, part in matches)
        raise InputError(f"{root}: expected one part of the challenge, got the folders of {parts}; keep them apart")
    if not matches:
        known = "; ".join(
            f"{', '.join(roles.values())} ({edition} {part})" for (edition, part), roles in _LAYOUTS.items()
        )
        inside = [name for name in names if _holds_layout(root / name)]
        remedy = f"; give {str(root / inside[0])!r}" if inside else ""
        raise InputError(f"{root}: expected the folders {known}; got {', '.join(names) or 'no folder'}{remedy}")
    edition, part = matches[0]
    roles = {role: root / name for role, name in _LAYOUTS[matches[0]].items()}
    subsets, others = ([], []) if part != "subsets" else (_folders(roles["generated"]), _folders(roles["real"]))
    if subsets != others or (part == "subsets" and not subsets):
        raise InputError(
            f"{root}: expected the same subset folders in generated/ and real/, got {', '.join(subsets) or 'none'} and "
            f"{', '.join(others) or 'none'}"
        )
    return Layout(
        edition=edition,
        part=part,
        generated=roles["generated"],
        used=roles.get("used"),
        not_used=roles.get("not_used"),
        unknown=roles.get("unknown"),
        real=roles.get("real"),
        subsets=tuple(subsets),
    )


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir())


def _holds_layout(root: Path) -> bool:
    names = set(_folders(root))
    return any(set(roles.values()) <= names for roles in _LAYOUTS.values())


@dataclass(frozen=True)
class RunError:
    """One fault of a run file.

    Parameters
    ----------
    line : int or None
        Number of the line, from 1; None where the fault belongs to no line.
    problem : str
        What is wrong.
    remedy : str
        What to do about it.
    """

    line: int | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return line, problem and remedy in one line."""
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.problem}; {self.remedy}"


def run_id(name: str, edition: int = 2023) -> str:
    """Return the id of an image in the run file of an edition.

    Parameters
    ----------
    name : str
        File name of the image, with or without folder; for 2023 with or without extension.
    edition : int
        2023: the id has no extension. 2025: it has.

    Raises
    ------
    InputError
        If the edition is unknown, or it is 2025 and the name does not end like that of an image.

    Examples
    --------
    >>> from fingerprint import challenge
    >>> challenge.run_id("test/real_unknown_0001.png"), challenge.run_id("real_unknown_0001.png", 2025)
    ('real_unknown_0001', 'real_unknown_0001.png')
    """
    return _id("name", name, _edition(edition))


def write_run(path: str | os.PathLike[str], ids: Iterable[str], decisions: ArrayLike, *, edition: int = 2023) -> None:
    """Write a run file: one line an image, ``id,decision``, no header, no quotes, in the order given.

    Parameters
    ----------
    path : path
        File to write; what was there is replaced.
    ids : iterable of str
        Names of the n images, every one once; turned into ids by `run_id`.
    decisions : array_like
        (n,) bool, or integers 0 (not used) and 1 (used).
    edition : int
        2023 (id without extension) or 2025 (with).

    Raises
    ------
    InputError
        If ids and decisions differ in number, an id occurs twice or cannot stand in such a file, a decision is not 0 or
        1, or the folder of `path` does not exist.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> challenge.write_run(path, ["real_unknown_0001.png", "real_unknown_0002.png"], [1, 0])
    >>> print(path.read_text(), end="")
    real_unknown_0001,1
    real_unknown_0002,0
    """
    names = _expected("ids", ids, _edition(edition))
    try:
        labels = np.asarray(decisions)
    except ValueError:  # ragged
        labels = np.empty((0, 0))
    if labels.ndim != 1 or labels.dtype.kind not in "biu" or not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"decisions: expected booleans or the integers 0 (not used) and 1 (used), got {_check.describe(decisions)}"
        )
    if len(labels) != len(names):
        raise InputError(f"decisions: expected one for each of the {len(names)} ids, got {len(labels)}")
    target = _path("path", path)
    if not target.parent.is_dir():
        raise InputError(f"path: expected a file in an existing folder, got {str(target)!r}; create {target.parent}")
    text = "".join(f"{name},{label:d}\n" for name, label in zip(names, labels.astype(int), strict=True))
    _output.write(text, target)


def check_run(
    path: str | os.PathLike[str], ids: Iterable[str] | None = None, *, edition: int = 2023
) -> tuple[RunError, ...]:
    r"""Find every fault of a run file.

    Parameters
    ----------
    path : path
        The run file.
    ids : iterable of str, optional
        Names of all images that the run must decide on, with or without extension as for `run_id`. Without them,
        unknown and missing ids cannot be found.
    edition : int
        2023 (id without extension) or 2025 (with).

    Returns
    -------
    tuple of RunError
        The faults in the order of their lines, missing ids last; empty if the file is right. Every fault of a line is
        named, Windows line ends once in the file.

    Raises
    ------
    InputError
        If the file does not exist or the ids are faulty themselves.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> _ = path.write_text("real_unknown_0001,1\nreal_unknown_0002,yes\n")
    >>> for error in challenge.check_run(path, ["real_unknown_0001", "real_unknown_0002", "real_unknown_0003"]):
    ...     print(error)
    line 2: label 'yes'; write 0 (not used) or 1 (used)
    id 'real_unknown_0003' is missing; add a line for it
    """
    year = _edition(edition)
    return _parsed("path", path, None if ids is None else _expected("ids", ids, year), year)[1]


def read_run(path: str | os.PathLike[str], ids: Iterable[str] | None = None, *, edition: int = 2023) -> dict[str, int]:
    """Read a run file that has no fault.

    Parameters
    ----------
    path, ids, edition
        As for `check_run`.

    Returns
    -------
    dict
        Decision, 0 or 1, of each id, in the order of the file.

    Raises
    ------
    InputError
        If `check_run` finds a fault; the message quotes the first ones.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> challenge.write_run(path, ["a.png", "b.png"], [True, False], edition=2025)
    >>> challenge.read_run(path, edition=2025)
    {'a.png': 1, 'b.png': 0}
    """
    year = _edition(edition)
    return _faultless("path", path, None if ids is None else _expected("ids", ids, year), year)


def score_run(
    path: str | os.PathLike[str],
    truth: Mapping[str, int] | str | os.PathLike[str],
    *,
    edition: int = 2023,
    groups: Mapping[str, Hashable] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Evaluation:
    """Score a run file against the truth.

    Parameters
    ----------
    path : path
        The run file.
    truth : mapping or path
        1 (used) or 0 (not used) of each image by name; or a file of the format of a run.
    edition : int
        2023 (id without extension) or 2025 (with); for the truth, too, where it is a file.
    groups : mapping, optional
        Patient of each image by name, see `fingerprint.evaluate`.
    n_bootstrap, seed, confidence
        As for `fingerprint.evaluate`.

    Returns
    -------
    Evaluation
        F1 was the official measure in 2023, Cohen's kappa in 2025.

    Raises
    ------
    InputError
        If run or truth has a fault, or an image has no patient.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fingerprint import challenge
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> challenge.write_run(path, ["a", "b", "c", "d"], [1, 1, 0, 0])
    >>> challenge.score_run(path, {"a.png": 1, "b.png": 0, "c.png": 0, "d.png": 0}).accuracy.value
    0.75
    """
    year = _edition(edition)
    answers = _by_id("truth", truth, year) if hasattr(truth, "items") else _faultless("truth", truth, None, year)
    ids = list(answers)
    run = _faultless("path", path, ids, year)
    patients: Sequence[Hashable] | None = None
    if groups is not None:
        patient = _by_id("groups", groups, year)
        lacking = [name for name in ids if name not in patient]
        if lacking:
            raise InputError(f"groups: expected a patient for every id, got none for {_quoted(lacking)}")
        patients = [patient[name] for name in ids]
    return evaluate(
        [answers[name] for name in ids],
        [run[name] for name in ids],
        groups=patients,
        n_bootstrap=n_bootstrap,
        seed=seed,
        confidence=confidence,
    )


@dataclass(frozen=True)
class Answer:
    """What `answer` did.

    Parameters
    ----------
    detector : Detector
        Fitted on the development part; says what to expect.
    predictions : Predictions
        For the test part, as in the run file.
    edition : int
        2023 or 2025: the format of the run file.
    """

    detector: Detector
    predictions: Predictions
    edition: int

    def __str__(self) -> str:
        """Return both for reading."""
        return f"{self.detector}\n{self.predictions}"


def answer(
    development: str | os.PathLike[str],
    test: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    share: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = False,
) -> Answer:
    """Do the whole task: learn from the development part, decide on the test part, write the run file.

    Parameters
    ----------
    development, test : path
        Folders of the two parts, of one edition, see `layout`.
    path : path
        Run file to write; what was there is replaced.
    share : float, optional
        Share of used images among those of the test, where it is known, see `fingerprint.Detector.predict`.
    seed, threads, progress
        As for `fingerprint.fit`.

    Returns
    -------
    Answer
        The detector and its predictions.

    Raises
    ------
    InputError
        If a folder does not hold that part, the editions differ, or an image of the test cannot be read: a run file has
        to decide on all.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from fingerprint import challenge, phantoms
    >>> demo, root = phantoms.demo(n_used=15, n_unused=15, n_fake=20, size=32), pathlib.Path(tempfile.mkdtemp())
    >>> parts = {"dev/used": demo.real.pixels[demo.used][:12], "dev/not_used": demo.real.pixels[~demo.used][:12]}
    >>> parts |= {"dev/generated": demo.fake.pixels, "test/generated_1": demo.fake.pixels}
    >>> for folder, pixels in (parts | {"test/real_unknown_1": demo.real.pixels[-3:]}).items():
    ...     (root / folder).mkdir(parents=True)
    ...     for i, image in enumerate(pixels):
    ...         Image.fromarray(image).save(root / folder / f"{pathlib.Path(folder).name}_{i}.png")
    >>> _ = challenge.answer(root / "dev", root / "test", root / "run.csv")
    >>> list(challenge.read_run(root / "run.csv"))
    ['real_unknown_1_0', 'real_unknown_1_1', 'real_unknown_1_2']
    """
    known, unknown = _part("development", development), _part("test", test)
    if known.edition != unknown.edition:
        raise InputError(
            f"test: expected the edition of the development part, {known.edition}, got {unknown.edition}; "
            "take both from one edition"
        )
    target = _path("path", path)
    if not target.parent.is_dir():
        raise InputError(f"path: expected a file in an existing folder, got {str(target)!r}; create {target.parent}")
    n_known, n_unknown = (images.count(part.generated) for part in (known, unknown))
    detector = fit(
        _folder(known.used),
        _folder(known.not_used),
        known.generated,
        n_fake=min(n_known, n_unknown) if n_known and n_unknown else None,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    predictions = detector.predict(
        _folder(unknown.unknown), unknown.generated, share=share, threads=threads, progress=progress
    )
    lost = predictions.failed["real"]
    if lost:
        raise InputError(
            f"test: expected every real image to be readable, since a run decides on all, got {len(lost)} that are not "
            f"(first: {lost[0].name}: {lost[0].reason}); replace them"
        )
    write_run(target, predictions.names, predictions.used, edition=known.edition)
    return Answer(detector, predictions, known.edition)


def _part(part: str, folder: Any) -> Layout:
    found = layout(folder)
    if found.part != part:
        raise InputError(f"{part}: expected the {part} part of the challenge, got the {found.part} part in {folder}")
    return found


def _folder(path: Path | None) -> Path:
    assert path is not None
    return path


def _by_id(argument: str, values: Any, edition: int) -> dict[str, Any]:
    """Return a mapping by name as one by id."""
    if not hasattr(values, "items"):
        raise InputError(f"{argument}: expected a mapping from the names of the images, got {_check.describe(values)}")
    names, found = list(values.keys()), list(values.values())
    return dict(zip(_expected(argument, names, edition), found, strict=True))


def _edition(edition: int) -> int:
    if edition not in EDITIONS:
        raise InputError(f"edition: expected 2023 or 2025, got {_check.describe(edition)}")
    return edition


def _path(argument: str, value: Any) -> Path:
    try:
        return Path(value)
    except TypeError:
        raise InputError(f"{argument}: expected a path, got {_check.describe(value)}") from None


def _id(argument: str, name: Any, edition: int) -> str:
    if not isinstance(name, str):
        raise InputError(f"{argument}: expected the name of an image, got {_check.describe(name)}")
    file = PurePath(name).name
    extension = _extension(file)
    if edition == 2023:
        return file.removesuffix(extension)
    if not extension:
        raise InputError(f"{argument}: expected a name with its extension for 2025, got {name!r}; add it, say .png")
    return file


def _extension(file: str) -> str:
    suffix = PurePath(file).suffix
    return suffix if suffix.lower() in _SUFFIXES else ""


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _expected(argument: str, ids: Any, edition: int) -> list[str]:
    """Return the ids of the edition, each of which may stand in a run file, once."""
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
        raise InputError(f"{argument}: expected a list of names, got {_check.describe(ids)}")
    names = [_id(argument, name, edition) for name in ids]
    if not names:
        raise InputError(f"{argument}: expected at least one name, got none")
    for name in names:
        if not name or name != name.strip() or re.search(r"[\x00-\x1f,;\"'|]", name):
            raise InputError(f"{argument}: expected names without comma, quote or outer space, got {name!r}; rename")
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise InputError(f"{argument}: expected every id once, got {_quoted(twice)} more than once")
    return names


def _faultless(argument: str, path: Any, ids: list[str] | None, edition: int) -> dict[str, int]:
    labels, errors = _parsed(argument, path, ids, edition)
    if errors:
        rest = f"\n  and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        word = "fault" if len(errors) == 1 else "faults"
        shown = "".join(f"\n  {error}" for error in errors[:_SHOWN])
        raise InputError(f"{path}: expected a run file of {edition}, got {len(errors)} {word}:{shown}{rest}")
    return labels


def _parsed(
    argument: str, path: Any, ids: list[str] | None, edition: int
) -> tuple[dict[str, int], tuple[RunError, ...]]:
    """Return the decisions by id, as far as they can be read, and every fault."""
    file = _path(argument, path)
    if not file.is_file():
        raise InputError(f"{argument}: expected an existing run file, got {str(file)!r}")
    data = file.read_bytes()
    if not data.strip():
        return {}, (RunError(None, "the file is empty", "write one line an image, such as real_unknown_0001,1"),)
    save = "save the file as plain UTF-8 text"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data:
        return {}, (RunError(1, "the file is UTF-16 or no text", save),)
    errors = []
    if data.startswith(b"\xef\xbb\xbf"):
        errors.append(RunError(1, "a byte order mark stands before the first id", f"{save} without byte order mark"))
        data = data[3:]
    lines = re.split(rb"\r\n|\n|\r", data)
    if not lines[-1]:
        lines.pop()
    if b"\r" in data:
        number = data[: data.index(b"\r")].count(b"\n") + 1
        errors.append(RunError(number, "the line end of Windows (CR LF)", "end every line with LF alone"))

    labels: dict[str, int] = {}
    seen: dict[str, int] = {}
    known = None if ids is None else set(ids)
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            errors.append(RunError(number, "bytes that are not UTF-8", save))
            continue
        name, label, faults = _row(line, edition, first=number == 1, known=known)
        if name is not None:
            if name in seen:
                faults.append((f"id {name!r} stands on line {seen[name]} already", "keep one of them"))
            elif known is not None and name not in known:
                faults.append((f"unknown id {name!r}", "remove the line or correct the id"))
            seen.setdefault(name, number)
            if label is not None:
                labels.setdefault(name, label)
        errors.extend(RunError(number, *fault) for fault in faults)
    errors.sort(key=lambda error: error.line or 0)
    errors.extend(
        RunError(None, f"id {name!r} is missing", "add a line for it") for name in ids or () if name not in seen
    )
    return labels, tuple(errors)


def _row(
    line: str, edition: int, *, first: bool, known: set[str] | None
) -> tuple[str | None, int | None, list[tuple[str, str]]]:
    """Return id, label and faults of one line; no id where the line cannot be that of an image."""
    if not line.strip():
        return None, None, [("empty line", "remove it")]
    faults = []
    if re.search("[\"']", line):
        faults.append(("quotes", "write id and label without quotes"))
        line = re.sub("[\"']", "", line)
    columns = line.split(",")
    if len(columns) != 2:
        other = next((mark for mark in ";\t|" if len(line.split(mark)) == 2), None)
        if len(columns) > 1 or other is None:
            faults.append((f"{len(columns)} columns", "write two, the id and 0 or 1, with one comma between"))
            name = columns[0].strip()
            # the line still speaks of this image, so that the image is not missing as well
            return (name if name in (known or ()) else None), None, faults
        faults.append((f"columns parted by {other!r}", "part them by a comma"))
        columns = line.split(other)
    name, label = (column.strip() for column in columns)
    if [name, label] != columns:
        faults.append(("space around id or label", "remove it"))
    stem = name.removesuffix(_extension(name))
    strange = re.search(r"\d", name) is None if known is None else known.isdisjoint((name, stem))
    if first and strange and not re.search(r"\d", label):
        return None, None, [*faults, ("header", "remove it; the first line is that of an image")]
    if not name:
        return None, None, [*faults, ("no id", "write the id before the comma")]
    if edition == 2023 and stem != name:
        faults.append((f"id {name!r} carries an extension", f"write {stem!r}; ids of 2023 have none"))
        name = stem
    elif edition == 2025 and stem == name:
        faults.append((f"id {name!r} has no extension", f"write {name + '.png'!r}; ids of 2025 carry it"))
        name = next((full for full in known or () if full.removesuffix(_extension(full)) == name), name)
    if label not in ("0", "1"):
        return name, None, [*faults, (f"label {label!r}", "write 0 (not used) or 1 (used)")]
    return name, int(label), faults
