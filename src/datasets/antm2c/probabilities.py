"""Write, check and read submission.csv: `id,probability`, a row for each row of the test.

The id is the number of the row, from 0, of all raw files: test.csv first, then by name. Rows in
quarantine have a number too, and no probability.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.core.run import Run
from src.data import paths
from src.data.raw_ids import session_ids
from src.data.schemas import FinalLists
from src.datasets.antm2c import files
from src.datasets.antm2c.columns import ITEM, LABEL
from src.datasets.antm2c.cuts import find_cuts
from src.datasets.submission_rows import MAX_FAULTS

ID, PROBABILITY = "id", "probability"
IS_PROBABILITY = pl.col(PROBABILITY).is_between(0, 1).fill_null(False)


def write(run: Run, split: str, lists: FinalLists, path: Path) -> None:
    """Write a row for every row of a split, in the order of the files."""
    (listed,) = lists.values()
    assert listed.probability is not None, "the recipe has a calibrator"
    ids = session_ids(paths.sessions(run, split))
    rows = pl.DataFrame({ID: ids[listed.session], PROBABILITY: listed.probability})
    rows.sort(ID).write_csv(path, float_precision=9)


def test_rows(folder: Path) -> pl.Series:
    """Read the ids of the rows of the test from the raw files."""
    log, test, first = list[pl.DataFrame](), list[pl.DataFrame](), 0
    for source in files.find(folder):
        for found in files.read_typed(source):
            rows = found.rows.select("ts", id=pl.col("row") + first)
            (test if source.name == files.TEST else log).append(rows)
            first += found.rows.height + found.bad.height
    rows = pl.concat(log)
    cuts = find_cuts(rows["ts"].to_numpy(), alone=not test)
    return (pl.concat(test) if test else rows.filter(pl.col("ts") >= cuts.test))[ID]


def read(path: Path) -> pl.DataFrame:
    """Read line, id and probability of every row; null where a value is none."""
    try:
        text = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {str(error).partition(chr(10))[0]}") from None
    if text.columns != [ID, PROBABILITY]:
        raise ValueError(f"{path}, line 1: write the columns {ID},{PROBABILITY}")
    return text.with_row_index("line", 2).with_columns(
        pl.col(ID).cast(pl.Int64, strict=False),
        pl.col(PROBABILITY).cast(pl.Float64, strict=False),
    )


def check(path: Path, ids: pl.Series) -> list[str]:
    """List the first faults of a submission; ids: of the rows that need a probability."""
    rows = read(path)
    fault = pl.coalesce(
        pl.when(pl.col(ID).is_null()).then(pl.lit("the id is no whole number; mend it")),
        pl.when(~pl.col(ID).is_in(ids.implode())).then(
            pl.format("row {} is not of the test; drop the line", ID)
        ),
        pl.when(~pl.col(ID).is_first_distinct()).then(
            pl.format("row {} was there before; keep one", ID)
        ),
        pl.when(~IS_PROBABILITY).then(pl.lit("the probability is no number from 0 to 1; mend it")),
    )
    wrong = rows.select("line", fault=fault).drop_nulls()
    faults = [f"line {line}: {text}" for line, text in wrong.head(MAX_FAULTS).iter_rows()]
    if missing := ids.len() - ids.is_in(rows[ID].drop_nulls().implode()).sum():
        faults.append(f"{missing:,} of {ids.len():,} rows are missing; add them")
    return faults[:MAX_FAULTS]


def read_labels(path: Path) -> pl.DataFrame:
    """Read the labels of a file of test.csv's form, as a TRUTH table."""
    rows = pl.concat([found.rows for found in files.read_typed(path)]).drop_nulls(LABEL)
    if rows.is_empty():
        raise ValueError(f"{path}: no row has a label; give a file with labels")
    return rows.select(
        session="row", objective=pl.lit(0, pl.Int64), item=ITEM,
        grade=pl.col(LABEL).cast(pl.Float32),
    )  # fmt: skip


def judged_items(path: Path, truth: pl.DataFrame) -> pl.DataFrame:
    """List the rows of a submission with a label: session, objective, item, grade, rank, score."""
    rows = read(path)
    fits = pl.col(ID).is_first_distinct() & pl.col(ID).is_not_null() & IS_PROBABILITY
    for line in rows.filter(~fits)["line"][:1]:
        raise ValueError(
            f"{path}, line {line}: not a new {ID} and a {PROBABILITY} from 0 to 1; mend the line"
        )
    found = truth.join(rows.rename({ID: "session"}), on="session", maintain_order="left")
    if found.is_empty():
        raise ValueError(f"{path} has no row of the labels; give those of its test")
    return found.select(*truth.columns, rank=pl.lit(0, pl.Int64), score=PROBABILITY)
