"""How a notebook shows what has a table or a picture: as a piece of a page."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL.Image import Image

SHOWN = 10  # rows of a table for people


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a title and the first rows of a table."""
    shown = [[_cell(value) for value in row] for row in islice(rows, SHOWN + 1)]
    if len(shown) > SHOWN:
        shown[SHOWN:] = [["…", *[""] * (len(columns) - 1)]]
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in shown]
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"{paragraph(title)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(title: object, values: Mapping[str, object]) -> str:
    """Return a title and a table of names and values, without what is None."""
    return table(f"{title}".strip("<>"), ("", ""), [item for item in values.items() if item[1] is not None])


def paragraph(text: str) -> str:
    """Return the first line of a text as a paragraph."""
    return f"<p>{html.escape(textwrap.shorten(text.partition(chr(10))[0], 300, placeholder=' …'))}</p>"


def picture(image: Image, caption: str = "") -> str:
    """Return a picture, with what stands below it."""
    shown = f'<img style="max-width: 100%" src="{data_uri(image, "PNG")}">'
    return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>" if caption else shown


def data_uri(image: Image, kind: str, **options: object) -> str:
    """Return a picture as text that stands for a file in a page."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
