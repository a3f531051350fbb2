"""Write, check and read predictions.txt: `impression_id [3,1,2]`, a line an impression.

The numbers are the ranks, from 1, of the articles in the order shown. Lines stand in the order of
the raw file, as impression ids need not be unique.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.core.run import Run
from src.data import paths
from src.data.schemas import FinalList
from src.datasets.submission_rows import MAX_FAULTS

LINE = r"^(?P<id>[0-9]+) \[(?P<ranks>[0-9]+(?:,[0-9]+)*|)\]$"
SHOWN = 60  # characters of a malformed line in a message


def write(run: Run, rows: pl.DataFrame, split: str, listed: FinalList, path: Path) -> None:
    """Write a line for every query of a split; rows: BEHAVIORS of its raw file.

    An article that stands twice in a list has its rank at its first place; the other place comes
    behind all articles.
    """
    item = pl.read_parquet(paths.items(run))["item_id"]
    sessions = pl.read_parquet(paths.sessions(run, split)).select(row="session")
    ranks = pl.DataFrame({
        "place_of": np.repeat(listed.session, np.diff(listed.offsets)),
        "article": item[listed.item], "rank": listed.rank,
    })  # fmt: skip
    view = sessions.join(rows.select("row", "impression_id", "view"), on="row", how="left",
                         maintain_order="left")  # fmt: skip
    view = view.with_row_index("place_of").cast({"place_of": ranks.schema["place_of"]})
    places = view.select("place_of", article="view").explode("article", empty_as_null=False)
    places = places.with_columns(again=~pl.struct("place_of", "article").is_first_distinct())
    places = places.join(ranks, on=["place_of", "article"], how="left", maintain_order="left")
    order = pl.struct("again", "rank").rank("ordinal").over("place_of")
    lines = places.with_columns(order.cast(pl.String).alias("text"))
    lines = lines.group_by("place_of", maintain_order=True).agg(pl.col("text").str.join(","))
    lines = view.join(lines, on="place_of", how="left", maintain_order="left")
    text = pl.format("{} [{}]", "impression_id", pl.col("text").fill_null(""))
    lines.select(text).write_csv(path, include_header=False, quote_style="never")


def read(path: Path) -> pl.DataFrame:
    """Read the lines of a file: line, from 1; id; ranks, null where the line is malformed."""
    text = pl.read_lines(path, name="text", row_index_name="line", row_index_offset=1)
    fields = pl.col("text").str.extract_groups(LINE)
    rows = text.with_columns(fields=fields).unnest("fields")
    ranks = pl.when(pl.col("ranks") == "").then(pl.lit([], pl.List(pl.Int64))).otherwise(
        pl.col("ranks").str.split(",").cast(pl.List(pl.Int64), strict=False)
    )  # fmt: skip
    return rows.with_columns(pl.col("id").cast(pl.Int64, strict=False), ranks.alias("ranks"))


def check(path: Path, rows: pl.DataFrame) -> list[str]:
    """List the faults of a file with lines and cures, MAX_FAULTS at most; rows: BEHAVIORS."""
    lines, faults = read(path), []
    n = pl.col("view").list.len().cast(pl.Int64)
    both = lines.join(rows.with_columns(line=pl.col("row") + 1), on="line", how="left")
    permutation = pl.col("ranks").list.sort() == pl.int_ranges(1, n + 1)
    for number, text, told, due, fits, length in both.select(
        "line", "text", "id", "impression_id", permutation.alias("fits"), n.alias("length")
    ).iter_rows():
        if told is None:
            faults.append(f"line {number}: {text[:SHOWN]!r} is not impression_id [ranks]")
        elif due is None:
            faults.append(f"line {number}: the test file has {rows.height:,} rows; drop the line")
        elif told != due:
            faults.append(f"line {number}: impression {told} where {due} follows; keep the order")
        elif not fits:
            faults.append(f"line {number}: give each rank from 1 to {length} once")
    if lines.height < rows.height:
        faults.append(f"{lines.height:,} lines for {rows.height:,} impressions; add the others")
    return faults[:MAX_FAULTS]


def judged_items(path: Path, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged articles: the rows of the truth without their places, and rank.

    Line n belongs to session n - 1. Raises ValueError, naming the line, for one that is malformed,
    missing, or does not give each rank once, and where the truth is not of a raw file.
    """
    if "place" not in truth.columns:
        raise ValueError("labels of step 1 have no places; give a raw file with clicks")
    lines = read(path).with_columns(session=pl.col("line").cast(pl.Int64) - 1)
    for line in lines.filter(pl.col("ranks").is_null())["line"][:1]:
        raise ValueError(f"{path}, line {line}: not impression_id [ranks]; write it so")
    of_truth = truth.group_by("session").agg(n=pl.col("length").first()).sort("session")
    due = of_truth.join(lines, on="session", how="left", maintain_order="left")
    fits = pl.col("ranks").list.sort() == pl.int_ranges(1, pl.col("n") + 1)
    for session, n in due.filter(~fits.fill_null(False)).select("session", "n").head(1).iter_rows():
        raise ValueError(f"{path}, line {session + 1}: give each rank from 1 to {n} once")
    ranks = lines.select(
        "session", rank=pl.col("ranks"), place=pl.int_ranges(pl.col("ranks").list.len())
    ).explode("rank", "place", empty_as_null=False)
    found = ranks.join(truth, on=["session", "place"])
    return found.with_columns(pl.col("rank") - 1).drop("place", "length")
