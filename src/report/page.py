"""Pieces of an HTML page: sections, plots with their numbers below, tables. All text is escaped."""

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
    """A heading, what it tells, and HTML pieces; nothing is shown of one without pieces."""

    key: str
    title: str
    told: str
    pieces: list[str]


def templates() -> dict[str, str]:
    """The page's frame, style and script."""
    return {name: (TEMPLATES / name).read_text() for name in ("page.html", "page.css", "page.js")}


def page(title: str, sections: Iterable[Section], data: object) -> str:
    """The whole document; `data` is what its script reads."""
    shown = [section for section in sections if section.pieces]
    files = templates()
    parts = {
        "title": escape(title),
        "style": files["page.css"],
        "links": " ".join(f'<a href="#{s.key}">{escape(s.title)}</a>' for s in shown),
        "sections": "\n".join(map(_section, shown)),
        # "<" could end the element that the text is in
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "script": files["page.js"],
    }
    pieces = files["page.html"].split("@@")  # text, name, text, name, ...
    return "".join(parts[p] if n % 2 else p for n, p in enumerate(pieces))


def _section(section: Section) -> str:
    head = f"<h2>{escape(section.title)}</h2><p>{escape(section.told)}</p>"
    return f'<section id="{section.key}">{head}{"".join(section.pieces)}</section>'


def grid(figures: Iterable[str]) -> str:
    """Figures beside each other, as many as there is room for."""
    found = "".join(figures)
    return f'<div class="grid">{found}</div>' if found else ""


def figure(title: str, svg: str, numbers: pl.DataFrame) -> str:
    """A plot under its title, with a table of its numbers to open."""
    name = escape(title)
    labelled = svg.replace('role="img"', f'role="img" aria-label="{name}"', 1)
    head = f"<figcaption>{name}</figcaption>"
    return f"<figure>{head}{labelled}{folded('numbers', numbers)}</figure>"


def folded(summary: str, frame: pl.DataFrame) -> str:
    """A table to open."""
    return f"<details><summary>{escape(summary)}</summary>{table(frame)}</details>"


def table(frame: pl.DataFrame) -> str:
    """A table that scrolls inside its box."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    head = "".join(_cell("th", name, n) for name, n in zip(frame.columns, numeric, strict=True))
    rows = (
        "".join(_cell("td", show(v), n) for v, n in zip(row, numeric, strict=True))
        for row in frame.iter_rows()
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="box"><table><tr>{head}</tr>{body}</table></div>'


def _cell(tag: str, text: str, numeric: bool) -> str:
    return f"<{tag}{' class=n' if numeric else ''}>{escape(text)}</{tag}>"


def show(value: object) -> str:
    """A value as a reader wants it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
