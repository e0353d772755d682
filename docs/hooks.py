"""Hooks of the documentation site: pages that stand elsewhere in the repository, and the help of every command."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {  # where a page of the repository goes on the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/copies.md": "copies.md",
    "benchmarks/kinds.md": "kinds.md",
    "benchmarks/patches.md": "patches.md",
}
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside of this folder."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=_moved(text, posixpath.dirname(source))))
    files.append(File.generated(config, "commands.md", content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Let links out of this folder lead to where their page stands on the site."""
    return markdown if page.file.generated_by else _moved(markdown, "docs")


def _moved(text: str, folder: str) -> str:
    """Return a page of a folder of the repository with its links as they are on the site; others become text."""

    def link(found: re.Match[str]) -> str:
        path, part = found[1], found[2] or ""
        whole = posixpath.normpath(posixpath.join(folder, path))
        if whole in PAGES:
            return f"]({PAGES[whole]}{part})"
        if whole.startswith("docs/"):
            return f"]({whole.removeprefix('docs/')}{part})"
        return "](#)"  # a file of the repository that the site does not have

    return re.sub(r"\[([^\]]+)\]\(#\)", r"`\1`", _LINK.sub(link, text))


def _commands() -> str:
    """Return the help of every command as a page."""
    from fingerprint._cli.main import parser

    whole = parser()
    lines = ["# Commands", "", "```", whole.format_help().rstrip(), "```", ""]
    inner = [("fingerprint", whole)]
    while inner:
        name, one = inner.pop(0)
        for action in one._subparsers._group_actions if one._subparsers else ():
            for word, command in action.choices.items():
                inner.append((f"{name} {word}", command))
                lines += [f"## {name} {word}", "", "```", command.format_help().rstrip(), "```", ""]
    return "\n".join(lines)
