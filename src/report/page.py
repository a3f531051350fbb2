"""Build the HTML of the page: sections, plots with their numbers, tables; text is escaped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import polars as pl

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A heading, a text, and HTML elements; a section without elements is not shown."""

    key: str  # id of the element
    title: str
    text: str
    html: list[str]


def templates() -> dict[str, str]:
    """Read the page's frame, style and script."""
    return {name: (TEMPLATES / name).read_text() for name in ("page.html", "page.css", "page.js")}


def page(title: str, sections: Iterable[Section], data: object) -> str:
    """Build the whole document; data: goes to the page's script as JSON."""
    shown = [section for section in sections if section.html]
    files = templates()
    values = {
        "title": escape(title),
        "style": files["page.css"],
        "links": " ".join(f'<a href="#{s.key}">{escape(s.title)}</a>' for s in shown),
        "sections": "\n".join(map(_section, shown)),
        # a "<" could end the script element
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "script": files["page.js"],
    }
    texts = files["page.html"].split("@@")  # text, name, text, name, ...
    return "".join(values[text] if n % 2 else text for n, text in enumerate(texts))


def _section(section: Section) -> str:
    head = f"<h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>"
    return f'<section id="{section.key}">{head}{"".join(section.html)}</section>'


def grid(figures: Iterable[str]) -> str:
    """Put figures side by side, as many as fit."""
    joined = "".join(figures)
    return f'<div class="grid">{joined}</div>' if joined else ""


def figure(title: str, svg: str, numbers: pl.DataFrame) -> str:
    """Show a plot under its title, with a folded table of its numbers."""
    name = escape(title)
    labelled = svg.replace('role="img"', f'role="img" aria-label="{name}"', 1)
    head = f"<figcaption>{name}</figcaption>"
    return f"<figure>{head}{labelled}{details('numbers', numbers)}</figure>"


def details(summary: str, frame: pl.DataFrame) -> str:
    """Show a folded table under a summary."""
    return f"<details><summary>{escape(summary)}</summary>{table(frame)}</details>"


def table(frame: pl.DataFrame) -> str:
    """Show a table in a box that scrolls; underscores of column names become spaces."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    heads = [name.replace("_", " ") for name in frame.columns]
    head = "".join(_cell("th", text, n) for text, n in zip(heads, numeric, strict=True))
    rows = (
        "".join(_cell("td", show(v), n) for v, n in zip(row, numeric, strict=True))
        for row in frame.iter_rows()
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="box"><table><tr>{head}</tr>{body}</table></div>'


def _cell(tag: str, text: str, numeric: bool) -> str:
    return f"<{tag}{' class=n' if numeric else ''}>{escape(text)}</{tag}>"


def show(value: object) -> str:
    """Format a value for a cell of a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
