"""Make the sections about the run itself: time, memory, disk, and the data."""

from __future__ import annotations

from collections import defaultdict

import polars as pl

from src.core.run import Run
from src.data.paths import MADE_BY
from src.report import plots
from src.report.contents import Contents
from src.report.page import Section, details, figure, show


def steps(contents: Contents) -> Section:
    """Show seconds and memory of each script and of each line it printed; disk by folder."""
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
        "Seconds and peak memory of each script, and of each line it printed, when it last built a "
        "file. The peak is that of the process so far. Disk is the size of the output folder."
    )
    html = [details("disk", disk(contents.run))]
    if totals:
        numbers = pl.DataFrame(totals)
        seconds = {"seconds": numbers["seconds"].to_list()}
        svg = plots.bars(numbers["script"].to_list(), seconds, "seconds")
        html = [figure("seconds", svg, numbers), details("lines", pl.DataFrame(lines)), *html]
    return Section("steps", "Seconds, memory, disk", text, html)


def disk(run: Run) -> pl.DataFrame:
    """Sum the sizes of the files of each folder over all splits."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for file in run.output.rglob("*"):
        if file.is_file():
            folders = file.relative_to(run.output).parts[:-1]
            folder = next((f for f in folders if f in MADE_BY), "/".join(folders[:1]))
            sizes[folder, MADE_BY.get(folder, "")] += file.stat().st_size
    rows = [{"folder": folder, "made_by": script, "GiB": size / 2**30}
            for (folder, script), size in sorted(sizes.items())]  # fmt: skip
    return pl.DataFrame(rows)


def counts(contents: Contents) -> Section:
    """Show the counts of step 1."""
    prepared = contents.steps.get("1_preparation", {})
    rows = [
        {"table": name, "count": key, "value": show(value)}
        for name, step in prepared.items()
        for key, value in step["summary"].items()
    ]
    html = [details("counted by step 1", pl.DataFrame(rows))] if rows else []
    return Section("counts", "Data", "Sessions, events and items as step 1 counted them.", html)
