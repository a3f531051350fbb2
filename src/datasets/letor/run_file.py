"""Write, read and check run files of TREC: `qid Q0 docid rank score tag`, a line a document.

Ranks count from 1. Scores fall strictly from rank to rank: evaluation programs sort by score, and
would order equal scores by the id.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.arrays import F32, I64, positions
from src.core.run import Run
from src.core.text_blocks import blocks
from src.data import paths
from src.data.raw_ids import item_ids, session_ids
from src.data.schemas import FinalList
from src.datasets.submission_rows import MAX_FAULTS

FORM = "qid Q0 docid rank score tag"
TOKEN, BLANKS = r"[^ \t\r]+", r"[ \t\r]+"  # as in raw files: ids may hold other white space
LINE = (
    rf"^(?:{BLANKS})?(?P<qid>{TOKEN}){BLANKS}Q0{BLANKS}(?P<doc>{TOKEN}){BLANKS}"
    rf"(?P<rank>[0-9]{{1,18}}){BLANKS}"
    r"(?P<score>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"{BLANKS}{TOKEN}(?:{BLANKS})?$"
)
RUN = pl.Schema({"line": pl.Int64, "qid": pl.String, "doc": pl.String, "rank": pl.Int64,
                 "score": pl.Float64})  # fmt: skip
"""A line a row, in the order of the file; ranks count from 1."""
DOCUMENTS = 1 << 20  # written at a time
SHOWN = 60  # characters of a malformed line in a message
LOWER_BITS = 0x7FFFFFFF  # all bits of a float32 but the sign
STEP = 1 << 34  # more than twice the largest number of these bits


def write_run(run: Run, split: str, listed: FinalList, path: Path) -> None:
    """Write the list of every query of a split."""
    qid = session_ids(paths.sessions(run, split)).cast(pl.String)
    doc = item_ids(paths.items(run)).cast(pl.String)
    rows = pl.DataFrame({
        "session": np.repeat(listed.session, np.diff(listed.offsets)),
        "item": listed.item, "rank": listed.rank + 1,
        "score": falling(listed.score, listed.offsets),
    })  # fmt: skip
    with open(path, "wb") as file:
        for part in rows.iter_slices(DOCUMENTS):
            lines = part.select(
                qid[part["session"]].alias("qid"), pl.lit("Q0").alias("Q0"),
                doc[part["item"]].alias("doc"), "rank", pl.col("score").cast(pl.String),
                pl.lit(run.recipe.name).alias("tag"),
            )  # fmt: skip
            lines.write_csv(file, include_header=False, separator=" ", quote_style="never")


def falling(score: F32, offsets: I64) -> F32:
    """Lower scores that do not fall within a query by as little as float32 allows.

    score: float32 (rows), sorted within each query; offsets: CSR of the queries. Where a score is
    not below the one before it, it becomes the next smaller number.
    """
    bits = score.view(np.int32).astype(np.int64)
    number = np.where(bits >= 0, bits, -(bits & LOWER_BITS))  # ascends as the scores do
    query = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    # number + place never rises where each number is below the one before it; a step between
    # queries lets a running minimum begin anew
    below = positions(offsets) - query * STEP
    number = np.minimum.accumulate(number + below) - below
    bits = np.where(number >= 0, number, -number | ~LOWER_BITS)
    return bits.astype(np.int32).view(np.float32)


class Lines(NamedTuple):
    """Lines of a run file."""

    rows: pl.DataFrame  # RUN
    faults: list[str]  # of the first malformed lines, with their cure


def read_run(path: Path) -> Lines:
    """Read a run file; blank lines do not count."""
    tables, faults = [pl.DataFrame(schema=RUN)], list[str]()
    for first, block in blocks(path):
        text = block if block.isascii() else block.decode(errors="replace").encode()
        lines = pl.read_lines(
            BytesIO(text), name="text", row_index_name="line", row_index_offset=first
        )
        fields = pl.col("text").str.extract_groups(LINE)
        rows = lines.filter(pl.col("text").str.contains(TOKEN)).with_columns(fields=fields)
        rows = rows.unnest("fields").with_columns(
            pl.col("rank").cast(pl.Int64, strict=False), pl.col("score").cast(pl.Float64)
        )
        good = pl.all_horizontal(pl.col(RUN.names()).is_not_null())
        for line, text in rows.filter(~good).select("line", "text").head(MAX_FAULTS).iter_rows():
            faults.append(f"line {line}: {text[:SHOWN]!r} is not {FORM}; write it so")
        tables.append(rows.filter(good).select(RUN.names()).cast(RUN))
    return Lines(pl.concat(tables), faults[:MAX_FAULTS])


def check_run(path: Path, documents: pl.DataFrame) -> list[str]:
    """List the faults of a run file with lines and cures: MAX_FAULTS at most.

    documents: qid, doc, all documents of all queries.
    """
    rows, malformed = read_run(path)
    pair, queries = ["qid", "doc"], documents["qid"].unique().implode()
    known = documents.select(*pair, known=True)
    rows = rows.join(known, on=pair, how="left", maintain_order="left").with_columns(
        place=pl.int_range(1, pl.len() + 1).over("qid"),
        before=pl.col("score").shift(1).over("qid"),
        again=~pl.struct(pair).is_first_distinct(),
    )
    foreign = ~pl.col("qid").is_in(queries)
    found = [
        *_faults(rows, foreign, "query {qid} is none of the test file; drop the line"),
        *_faults(rows, ~foreign & pl.col("known").is_null(),
                 "document {doc} is none of query {qid}; drop the line"),
        *_faults(rows, pl.col("again"), "document {doc} of query {qid} again; keep one line"),
        *_faults(rows, pl.col("rank") != pl.col("place"),
                 "rank {rank} where {place} follows; number the lines of a query from 1"),
        *_faults(rows, pl.col("score") >= pl.col("before"),
                 "score {score} is not below {before}, the one before; let scores fall"),
    ]  # fmt: skip
    faults = malformed + [f"line {line}: {text}" for line, text in sorted(found)]
    for qid, doc in documents.join(rows, on=pair, how="anti").head(MAX_FAULTS).iter_rows():
        faults.append(f"no line for document {doc} of query {qid}; add it")
    return faults[:MAX_FAULTS]


def judged_items(path: Path, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged documents of a run file: the rows of the TRUTH table, rank from 0.

    Documents are ranked by score, equal scores by rank, as evaluation programs do. Raises
    ValueError, naming the line, for a malformed line and for a document that stands twice, and
    where no line is of a query of the truth.
    """
    rows, malformed = read_run(path)
    for fault in malformed:
        raise ValueError(f"{path}, {fault} (make check lists the first {MAX_FAULTS} faults)")
    rows = rows.rename({"qid": "session", "doc": "item"})
    rows = rows.join(truth.select(pl.col("session").cast(pl.String)), on="session", how="semi")
    if rows.is_empty():
        raise ValueError(f"{path} has no line for any query of the labels; give those of its split")
    twice = ~pl.struct("session", "item").is_first_distinct()
    for line, item in rows.filter(twice).select("line", "item").head(1).iter_rows():
        raise ValueError(f"{path}, line {line}: document {item} was there before; keep one line")
    rows = rows.sort("score", "rank", descending=[True, False], maintain_order=True)
    ranked = rows.select("session", "item", rank=pl.int_range(pl.len()).over("session"))
    ids = ["session", "item"]
    ranked = ranked.with_columns(pl.col(name).cast(truth.schema[name]) for name in ids)
    return ranked.join(truth, on=ids)


def _faults(rows: pl.DataFrame, wrong: pl.Expr, message: str) -> list[tuple[int, str]]:
    """Format a message, which names columns, for the first wrong rows."""
    found = rows.filter(wrong).head(MAX_FAULTS)
    return [(row["line"], message.format(**row)) for row in found.iter_rows(named=True)]
