"""Hooks of the documentation site: pages that stand elsewhere, the help of every command, and code that is run."""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import tempfile
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
    "benchmarks/processing.md": "processing.md",
}
RUN = "tutorial.md"  # the page whose code runs, and whose pictures and printed lines are those of the build
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside of this folder."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=_moved(text, posixpath.dirname(source))))
    files.append(File.generated(config, "commands.md", content=_commands()))
    text, pictures = run((ROOT / "docs" / RUN).read_text(encoding="utf-8"))
    files.append(File.generated(config, RUN, content=text))
    for name, picture in pictures.items():
        files.append(File.generated(config, name, content=picture))
    return files


def run(page: str) -> tuple[str, dict[str, bytes]]:
    """Run the Python code of a page; return it with what each block prints, and the pictures that it saves."""
    names: dict[str, object] = {}

    def with_output(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(block[1], names)
        shown = printed.getvalue().rstrip()
        return f"{block[0]}\n\n```text\n{shown}\n```" if shown else block[0]

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        text = re.sub(r"^```python\n(.*?)^```", with_output, page, flags=re.DOTALL | re.MULTILINE)
        return text, {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.png"))}


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
