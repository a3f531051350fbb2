"""Sections about the run itself: time, memory, disk, and the data."""

from __future__ import annotations

from collections import defaultdict

import polars as pl

from src.core.run import Run
from src.data.paths import MADE_BY
from src.report import plots
from src.report.contents import Contents
from src.report.page import Section, details, figure, show


def steps(contents: Contents) -> Section:
    """Seconds and memory of each script and of each line it printed; disk by folder."""
    totals, lines = [], []
    for script, logged in sorted(contents.steps.items()):
        seconds = sum(step["seconds"] for step in logged.values())
        peak = max(step["peak_gib"] for step in logged.values())
        totals.append({"script": script, "seconds": seconds, "peak_GiB": peak})
        for name, step in logged.items():
            summary = ", ".join(f"{key} {show(value)}" for key, value in step["summary"].items())
            row = {"script": script, "step": name, "seconds": step["seconds"]}
            lines.append(row | {"peak_GiB": step["peak_gib"], "summary": summary})
    text = (
        "Of each script, and of each line it printed, when it last built a file. The peak is that "
        "of its process so far. Disk is what lies in the output folder."
    )
    html = [details("disk", disk(contents.run))]
    if totals:
        numbers = pl.DataFrame(totals)
        seconds = {"seconds": numbers["seconds"].to_list()}
        svg = plots.bars(numbers["script"].to_list(), seconds, "seconds")
        html = [figure("seconds", svg, numbers), details("lines", pl.DataFrame(lines)), *html]
    return Section("steps", "Seconds, memory, disk", text, html)


def disk(run: Run) -> pl.DataFrame:
    """Size of every kind of folder, all splits together."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for file in run.output.rglob("*"):
        if file.is_file():
            folders = file.relative_to(run.output).parts[:-1]
            kind = next((f for f in folders if f in MADE_BY), "/".join(folders[:1]))
            sizes[kind, MADE_BY.get(kind, "")] += file.stat().st_size
    rows = [{"folder": kind, "made_by": script, "GiB": size / 2**30}
            for (kind, script), size in sorted(sizes.items())]  # fmt: skip
    return pl.DataFrame(rows)


def counts(contents: Contents) -> Section:
    """What step 1 counted."""
    prepared = contents.steps.get("1_preparation", {})
    rows = [
        {"table": name, "count": key, "value": show(value)}
        for name, step in prepared.items()
        for key, value in step["summary"].items()
    ]
    html = [details("counted by step 1", pl.DataFrame(rows))] if rows else []
    return Section("counts", "Data", "Sessions, events and items as step 1 counted them.", html)
