"""The ImageCLEFmedical GANs challenge: folder layouts of its editions, run files, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fingerprint._answers.detector import fit
from fingerprint._base import checks, display
from fingerprint._base.checks import InputError
from fingerprint._base.provenance import recorded
from fingerprint._base.public import public
from fingerprint._base.results import Result, Table
from fingerprint._images import loading
from fingerprint._statistics.evaluation import evaluate
from fingerprint.challenge._run_files import (
    by_id,
    faultless,
    known_edition,
    quoted,
    to_path,
    to_write,
    write_run,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from fingerprint._answers.detector import Detector, Predictions
    from fingerprint._answers.patients import Groups
    from fingerprint._statistics.evaluation import Evaluation


@public
@dataclass(frozen=True)
class Layout:
    """Where the images of one part of the challenge lie.

    Parameters
    ----------
    edition : int
        2023, 2024 or 2025: the format of its run file.
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
    generator : int or None
        Which of the two generators of 2024 it was, 1 or 2; None where the folders have no number.
    """

    edition: int
    part: str
    generated: Path
    used: Path | None = None
    not_used: Path | None = None
    unknown: Path | None = None
    real: Path | None = None
    subsets: tuple[str, ...] = ()
    generator: int | None = None

    def _repr_html_(self) -> str:
        return display.facts(f"{self.part} part of {self.edition}", vars(self))


class _Known(NamedTuple):
    """A part of an edition, and the folder that plays each role in it."""

    edition: int
    part: str
    roles: dict[str, str]
    generator: int | None = None


_LAYOUTS = (
    _Known(2023, "development", {"generated": "generated", "used": "used", "not_used": "not_used"}),
    _Known(2023, "test", {"generated": "generated_1", "unknown": "real_unknown_1"}),
    _Known(2025, "development", {"generated": "generated", "used": "real_used", "not_used": "real_not_used"}),
    _Known(2025, "test", {"generated": "generated", "unknown": "real_unknown"}),
    _Known(2025, "subsets", {"generated": "generated", "real": "real", "unknown": "generated_unknown"}),
)
_ROLES_2024 = (  # those of the other editions, as the names of 2024 are not known for certain
    ("development", {"generated": "generated", "used": "used", "not_used": "not_used"}),
    ("development", {"generated": "generated", "used": "real_used", "not_used": "real_not_used"}),
    ("test", {"generated": "generated", "unknown": "real_unknown"}),
)
_LAYOUTS_2024 = tuple(
    _Known(2024, part, {role: f"{name}_{number}" if number else name for role, name in roles.items()}, number)
    for part, roles in _ROLES_2024
    for number in (None, 1, 2)
)


@public
def layout(folder: str | os.PathLike[str], *, edition: int | None = None, generator: int | None = None) -> Layout:
    """Recognise the part of the challenge that a folder holds, by the names of its sub-folders.

    Parameters
    ----------
    folder : path
        The folder with, say, ``generated``, ``used`` and ``not_used`` in it. Other files and folders are ignored.
    edition : int, optional
        2023, 2024 or 2025. Without it, names that several editions share are those of 2023 or 2025.
    generator : int, optional
        Which of the two generators of 2024, 1 or 2, where the folder has both.

    Returns
    -------
    Layout
        Edition, part, and the folder in each role.

    Raises
    ------
    InputError
        If it is no folder, holds none of the layouts, more than one of them, or subsets that do not match. If edition
        or generator is unknown.

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
    root = to_path("folder", folder)
    if not root.is_dir():
        raise InputError(f"folder: expected an existing folder, got {str(root)!r}")
    if edition is not None:
        known_edition(edition)
    if generator not in (None, 1, 2):
        raise InputError(f"generator: expected 1 or 2, got {checks.describe(generator)}")
    names = _folders(root)
    matches = _matches(names, edition, generator)
    if len({match.generator for match in matches}) > 1 and {match.edition for match in matches} == {2024}:
        raise InputError(
            f"{root}: expected one generator of 2024, got the folders of two; say generator=1 or generator=2"
        )
    if len(matches) > 1:
        parts = " and ".join(f"{match.edition} {match.part}" for match in matches)
        raise InputError(f"{root}: expected one part of the challenge, got the folders of {parts}; keep them apart")
    if not matches:
        known = "; ".join(f"{', '.join(each.roles.values())} ({each.edition} {each.part})" for each in _LAYOUTS)
        inside = [name for name in names if _matches(_folders(root / name), edition, generator)]
        remedy = f"; give {str(root / inside[0])!r}" if inside else ""
        raise InputError(
            f"{root}: expected the folders {known}; or for 2024 such names with _1 or _2; got "
            f"{', '.join(names) or 'no folder'}{remedy}"
        )
    match = matches[0]
    part = match.part
    roles = {role: root / name for role, name in match.roles.items()}
    subsets, others = ([], []) if part != "subsets" else (_folders(roles["generated"]), _folders(roles["real"]))
    if subsets != others or (part == "subsets" and not subsets):
        raise InputError(
            f"{root}: expected the same subset folders in generated/ and real/, got {', '.join(subsets) or 'none'} and "
            f"{', '.join(others) or 'none'}"
        )
    return Layout(
        edition=match.edition,
        part=part,
        generated=roles["generated"],
        used=roles.get("used"),
        not_used=roles.get("not_used"),
        unknown=roles.get("unknown"),
        real=roles.get("real"),
        subsets=tuple(subsets),
        generator=match.generator,
    )


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir())


def _matches(names: Sequence[str], edition: int | None, generator: int | None) -> list[_Known]:
    """Return the layouts whose folders are among the names; without edition, no folders twice."""
    found: list[_Known] = []
    for known in _LAYOUTS + _LAYOUTS_2024:
        wanted = edition in (None, known.edition) and generator in (None, known.generator)
        if wanted and set(known.roles.values()) <= set(names) and known.roles not in [each.roles for each in found]:
            found.append(known)
    return found


@public
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
        As for `check_run`; for the truth, too, where it is a file.
    groups : mapping, optional
        Patient of each image by name, see `fingerprint.evaluate`.
    n_bootstrap, seed, confidence
        As for `fingerprint.evaluate`.

    Returns
    -------
    Evaluation
        F1 was the official measure in 2023, Cohen's kappa in 2025; here stand both.

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
    year = known_edition(edition)
    answers = by_id("truth", truth, year) if hasattr(truth, "items") else faultless("truth", truth, None, year)
    ids = list(answers)
    run = faultless("path", path, ids, year)
    patients: Sequence[Hashable] | None = None
    if groups is not None:
        patient = by_id("groups", groups, year)
        lacking = [name for name in ids if name not in patient]
        if lacking:
            raise InputError(f"groups: expected a patient for every id, got none for {quoted(lacking)}")
        patients = [patient[name] for name in ids]
    return evaluate(
        [answers[name] for name in ids],
        [run[name] for name in ids],
        groups=patients,
        n_bootstrap=n_bootstrap,
        seed=seed,
        confidence=confidence,
    )


@public
@dataclass(frozen=True, eq=False, repr=False)
class Answer(Result):
    """What `answer` did.

    Parameters
    ----------
    detector : Detector
        Fitted on the development part; says what to expect.
    predictions : Predictions
        For the test part, as in the run file.
    edition : int
        2023, 2024 or 2025: the format of the run file.
    """

    detector: Detector
    predictions: Predictions
    edition: int

    def __str__(self) -> str:
        """Return both for reading."""
        return f"{self.detector}\n{self.predictions}"

    def table(self) -> Table:
        """Return the columns and rows of `to_csv`."""
        return self.predictions.table()

    def _content(self) -> dict[str, object]:
        return {
            "edition": self.edition,
            "detector": self.detector.to_dict(),
            "predictions": self.predictions.to_dict(),
        }


@public
@recorded
def answer(
    development: str | os.PathLike[str],
    test: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    edition: int | None = None,
    generator: int | None = None,
    groups: Groups | None = None,
    share: float | None = None,
    seed: int = 0,
    memory: str | int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer:
    """Do the whole task: learn from the development part, decide on the test part, write the run file.

    The real images of each part are the population of the other, see `fingerprint.rank`.

    Parameters
    ----------
    development, test : path
        Folders of the two parts, of one edition, see `layout`.
    path : path
        Run file to write; what was there is replaced.
    edition, generator : int, optional
        See `layout`. In 2024 each of the two generators is answered by itself.
    groups : mapping or callable, optional
        Patient of every real image of both parts by its name, see `fingerprint.rank`.
    share : float, optional
        Share of used images among those of the test, where it is known, see `fingerprint.Detector.predict`.
    seed, memory, threads, progress
        As for `fingerprint.fit`.

    Returns
    -------
    Answer
        The detector and its predictions.

    Raises
    ------
    InputError
        If a folder does not hold that part, editions or generators differ, or an image of the test cannot be read: a
        run file has to decide on all.

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
    known, unknown = (
        _part(part, folder, edition, generator) for part, folder in (("development", development), ("test", test))
    )
    if known.edition != unknown.edition:
        raise InputError(
            f"test: expected the edition of the development part, {known.edition}, got {unknown.edition}; "
            "take both from one edition, or say edition=2024 if it is that"
        )
    if known.generator != unknown.generator and None not in (known.generator, unknown.generator):
        raise InputError(
            f"test: expected images of the generator of the development part, {known.generator}, got those of "
            f"{unknown.generator}; take both of one generator"
        )
    target = to_write(path)
    n_known, n_unknown = (loading.listing(part.generated).plan(1).total for part in (known, unknown))
    detector = fit(
        _folder(known.used),
        _folder(known.not_used),
        known.generated,
        population=_folder(unknown.unknown),
        groups=groups,
        n_fake=min(n_known, n_unknown) if n_known and n_unknown else None,
        seed=seed,
        memory=memory,
        threads=threads,
        progress=progress,
    )
    predictions = detector.predict(
        _folder(unknown.unknown),
        unknown.generated,
        share=share,
        population=[_folder(known.used), _folder(known.not_used)],
        groups=groups,
        memory=memory,
        threads=threads,
        progress=progress,
    )
    lost = predictions.failed["real"]
    if lost:
        raise InputError(
            f"test: expected every real image to be readable, since a run decides on all, got {len(lost)} that are not "
            f"(first: {lost[0].name}: {lost[0].reason}); replace them"
        )
    write_run(target, predictions.names, predictions.used, edition=known.edition)
    return Answer(detector, predictions, known.edition)


def _part(part: str, folder: Any, edition: int | None, generator: int | None) -> Layout:
    found = layout(folder, edition=edition, generator=generator)
    if found.part != part:
        raise InputError(f"{part}: expected the {part} part of the challenge, got the {found.part} part in {folder}")
    return found


def _folder(path: Path | None) -> Path:
    assert path is not None
    return path
