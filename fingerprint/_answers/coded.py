"""Codes: results with the names of images and patients hashed, so that a report may leave the house."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from fingerprint._base.failures import Failure
from fingerprint._images import symmetries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fingerprint._answers.audit_scores import Audit
    from fingerprint._answers.ranking import Ranking
    from fingerprint._base.failures import Failures
    from fingerprint._statistics.copies import Copy

_DIGITS = 12


def code(text: str, salt: str) -> str:
    """Return what stands for a text: the first digits of its HMAC, which nobody can guess without the salt.

    Examples
    --------
    >>> code("a.png", "secret")
    '6f896260cc11'
    """
    return hmac.new(salt.encode(), text.encode("utf-8", "backslashreplace"), "sha256").hexdigest()[:_DIGITS]


def coded_ranking(ranking: Ranking, salt: str) -> Ranking:
    """Return a ranking in which no name is left: of images, patients, or files that failed, whose reasons go too."""
    groups, others = ranking.groups, ranking.null_groups
    return replace(
        ranking,
        names=tuple(code(name, salt) for name in ranking.names),
        matches=tuple(
            tuple(match._replace(name=_fake(match.name, salt)) for match in matches) for matches in ranking.matches
        ),
        groups=None if groups is None else tuple(code(group, salt) for group in groups),
        null_groups=None if others is None else tuple(code(group, salt) for group in others),
        copies=_copies(ranking.copies, salt),
        failed=_failed(ranking.failed, salt),
        notes=tuple(_note(note, set(groups or ()), salt) for note in ranking.notes),
        origin=None,
    )


def coded_audit(audit: Audit, salt: str) -> Audit:
    """Return an audit likewise; without its ranking."""
    return replace(
        audit,
        copies=_copies(audit.copies, salt),
        unused_copies=_copies(audit.unused_copies, salt),
        failed=_failed(audit.failed, salt),
        ranking=None,
    )


def _copies(copies: Iterable[Copy], salt: str) -> tuple[Copy, ...]:
    return tuple(copy._replace(name=code(copy.name, salt), fake=_fake(copy.fake, salt)) for copy in copies)


def _fake(name: str, salt: str) -> str:
    """Return what stands for the name of a synthetic image, with its form."""
    first = symmetries.original(name)
    return code(first, salt) + name[len(first) :]


def _failed(failed: Failures, salt: str) -> dict[str, tuple[Failure, ...]]:
    return {
        side: tuple(Failure(code(one.name, salt), "not shown, as it may hold a name") for one in failures)
        for side, failures in failed.items()
    }


def _note(note: str, groups: set[str], salt: str) -> str:
    """Return a note without the patient that it may quote."""
    for group in groups:
        note = note.replace(repr(group), code(group, salt))
    return note
