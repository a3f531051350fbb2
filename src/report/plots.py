"""Draw plots as inline SVG with matplotlib; the CSS of the page colours them, also in dark mode."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # no line about a new cache

WIDTH, HEIGHT = 3.9, 2.3  # inches; an inch is 72 units of the SVG
BELOW, ABOVE = 0.42, 0.22  # inches around the axes: room for tick labels, and for the legend
RIGHT = 0.2  # inches: room for half of the last tick label
TICKS = 5  # along x, about
MAX_NAME = 36  # letters of a name beside an axis
INK, FAINT = "#0a00f0", "#0a00f1"
SERIES = tuple(f"#0a000{n}" for n in range(6))
COLOURS = {INK: "--ink", FAINT: "--line"} | {c: f"--c{n}" for n, c in enumerate(SERIES)}
"""Placeholder colours, and the CSS variables that replace them in the SVG."""

LOOK: Any = {
    "svg.fonttype": "none", "font.size": 9, "axes.edgecolor": FAINT, "axes.labelcolor": INK,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "text.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": FAINT, "grid.linewidth": 0.5, "axes.axisbelow": True, "legend.frameon": False,
    "figure.facecolor": "none", "axes.facecolor": "none",
    "legend.labelcolor": INK, "svg.hashsalt": "report",
}  # fmt: skip

DOTTED = 15  # points of a line, at most, that are drawn as dots


@dataclass(frozen=True)
class Line:
    """One line of a plot; without a name it is not in the legend."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    series: int = 0  # number of its colour
    dashed: bool = False


def draw(paint: Callable[[Axes], object], left: float = 0.45, height: float = HEIGHT) -> str:
    """Paint on axes that begin `left` inches from the edge; return them as <svg>."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(left / WIDTH, BELOW / height, 1 - RIGHT / WIDTH, 1 - ABOVE / height)
        paint(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(out.getvalue())


def room(names: Sequence[str]) -> float:
    """Estimate the inches that the names beside an axis take."""
    return 0.15 + 0.078 * max(map(len, names))


def shortened(names: Sequence[str]) -> list[str]:
    """Take out the middle of names that would leave no room for the axes."""
    return [
        n if len(n) <= MAX_NAME else f"{n[: MAX_NAME // 2]}…{n[-MAX_NAME // 2 + 1 :]}"
        for n in names
    ]


def _inline(svg: str) -> str:
    """Reduce a file to its <svg>, as wide as its box, with CSS variables as colours.

    Ids of groups are removed: no element refers to them, and other plots have the same ids.
    """
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[a-z]+[\d_a-z]*">', "<g>", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="img"', svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var({name})")
    return re.sub(r"\s*\n\s*", "\n", svg)


def lines(drawn: Sequence[Line], x: str = "", y: str = "", log_x: bool = False) -> str:
    """Draw lines over a common axis."""

    def paint(axes: Axes) -> None:
        for line in drawn:
            axes.plot(
                line.x, line.y, label=line.name or None, linewidth=1.4, color=SERIES[line.series],
                linestyle="--" if line.dashed else "-",
                marker="." if len(line.x) <= DOTTED else "",
            )  # fmt: skip
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:.0f}")
        else:
            axes.locator_params(axis="x", nbins=TICKS)
        _legend(axes, len([line for line in drawn if line.name]))

    return draw(paint, 0.65 if y else 0.45)


def bars(names: Sequence[str], series: Mapping[str, Sequence[float]], x: str = "") -> str:
    """Draw horizontal bars, the first name on top; the first series lies behind the others."""

    def paint(axes: Axes) -> None:
        at = np.arange(len(names))[::-1]
        for n, (name, values) in enumerate(series.items()):
            axes.barh(at, values, height=0.8 - 0.22 * n, color=SERIES[n], label=name)
        axes.set_yticks(at, shortened(names))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.locator_params(axis="x", nbins=TICKS)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(x)
        _legend(axes, len(series) if len(series) > 1 else 0)

    return draw(paint, room(shortened(names)), BELOW + ABOVE + 0.17 * len(names))


def columns(names: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Draw upright bars beside each other, from 0 to 1."""

    def paint(axes: Axes) -> None:
        at, width = np.arange(len(names)), 0.8 / len(series)
        for n, (name, values) in enumerate(series.items()):
            axes.bar(at + (n + 0.5) * width - 0.4, values, width, color=SERIES[n], label=name)
        axes.set_xticks(at, list(names))
        axes.tick_params(axis="x", labelsize=7.5)
        axes.set_ylim(0, 1)
        axes.grid(visible=False, axis="x")
        _legend(axes, len(series))

    return draw(paint)


def intervals(
    names: Sequence[str],
    centre: Sequence[float],
    ends: Sequence[tuple[float, float]],
    marks: Sequence[Sequence[float]] = (),
    zero: bool = False,
) -> str:
    """Draw a point and its interval for each name; marks: scores of folds; zero: a line at 0."""

    def paint(axes: Axes) -> None:
        at = np.arange(len(names))[::-1]
        low, high = np.array(ends, np.float64).reshape(-1, 2).T
        axes.hlines(at, low, high, color=SERIES[0], linewidth=2.5)
        axes.plot(centre, at, "o", color=SERIES[0], markersize=4)
        for y, values in zip(at, marks, strict=False):
            axes.plot(values, [y - 0.22] * len(values), "|", color=SERIES[1], markersize=7)
        if zero:
            axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(at, shortened(names))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.grid(visible=False, axis="y")

    return draw(paint, room(shortened(names)), BELOW + ABOVE + 0.24 * len(names))


def histogram(edges: Sequence[float], series: Mapping[str, Sequence[float]], x: str) -> str:
    """Draw shares per bin as steps."""

    def paint(axes: Axes) -> None:
        for n, (name, values) in enumerate(series.items()):
            axes.stairs(values, edges, color=SERIES[n], label=name, fill=True, alpha=0.5)
        axes.set_xlabel(x)
        _legend(axes, len(series))

    return draw(paint)


def _legend(axes: Axes, entries: int) -> None:
    """Put the legend above the plot, where it hides nothing."""
    if entries:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=min(entries, 4), fontsize=8,
            borderpad=0, handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip
