"""Score a submission as the competition does.

    python -m src.tools.score --dataset otto --file submission.csv --labels test_labels.jsonl

Labels: the file published after the competition, or a labels.parquet of step 1. All queries of the
labels count; a query without a row scores 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import polars as pl

from src.cli import configured, run_cli, tool_flags
from src.core.console import show
from src.data.labels import scan_labels
from src.datasets import submission_rows as submissions
from src.datasets.base import Dataset
from src.datasets.submission_rows import TRUTH
from src.metrics.bootstrap import bootstrap
from src.metrics.query_scores import score_lists


class Hits(NamedTuple):
    """The positives that a submission lists."""

    table: pl.DataFrame  # session, objective, item, rank from 0
    rows: int  # of the submission, that belong to a query of the ground truth


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    return tool_flags("score", __doc__, argv, file="the submission", labels="the ground truth")


def read_labels(path: Path) -> pl.DataFrame:
    """Read a labels.parquet of step 1, and the tables beside it, as a TRUTH table."""
    labels = scan_labels(path).collect()
    sessions = pl.read_parquet(path.with_name("sessions.parquet"))["session"]
    item_ids = pl.read_parquet(path.parent.parent / "items.parquet")["item_id"]
    raw = labels.with_columns(session=sessions[labels["session"]], item=item_ids[labels["item"]])
    return raw.cast(TRUTH)


def hits(path: Path, dataset: Dataset, truth: pl.DataFrame) -> Hits:
    """Find the positives that a submission lists; raise ValueError for a repeated row."""
    fmt, tables, names = dataset.submission_format(), [], []
    queries = truth.select("session", "objective").unique()
    for batch in submissions.read(path, fmt):
        rows = batch.cast({"objective": pl.Int64}).join(queries, on=["session", "objective"])
        names.append(rows.select("line", "session", "objective"))
        lists = rows.with_columns(pl.col("items").str.split(fmt.separator).list.head(fmt.k))
        items = lists.select(
            "session", "objective", item="items", rank=pl.int_ranges(pl.col("items").list.len())
        ).explode("item", "rank", empty_as_null=False)
        items = items.with_columns(submissions.integers(items["item"]))
        tables.append(items.join(truth, on=["session", "objective", "item"]))
    rows = pl.concat(names)
    for line in rows.filter(~pl.struct("session", "objective").is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a row that was there before; keep one")
    return Hits(pl.concat(tables), rows.height)


def score(path: Path, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    """Score a submission: a row per objective, then the weighted total; 95 % intervals.

    Columns: objective, weight, queries, ideal and value (sums over queries), score, low, high.
    Raises ValueError where no row belongs to a query of the ground truth.
    """
    recipe, listed = dataset.recipe, hits(path, dataset, truth)
    if not listed.rows:
        raise ValueError(f"{path} has no row for any query of the labels; give those of its split")
    rows, scores = [], []
    for n, objective in enumerate(recipe.objectives):
        lists, labels = (t.lazy().filter(pl.col("objective") == n) for t in (listed.table, truth))
        scores.append(scored := score_lists(lists, labels, recipe.metric))
        rows.append({"objective": objective.name, "weight": objective.weight,
                     "queries": scored.session.size, "ideal": int(scored.ideal.sum()),
                     "value": scored.value.sum(), "score": scored.score()})  # fmt: skip
    table = pl.DataFrame(rows)
    total = {"objective": "total", "score": float((table["weight"] * table["score"]).sum())}
    low, high = bootstrap(scores, table["weight"].to_list(), recipe.seed)
    table = pl.concat([table, pl.DataFrame([total])], how="diagonal")
    return table.with_columns(low=pl.Series(low), high=pl.Series(high))


def body(args: argparse.Namespace) -> int:
    """Print the table of scores."""
    dataset = configured(args)
    submissions.require_file(args.file)
    of_step_1 = args.labels.suffix == ".parquet"
    truth = read_labels(args.labels) if of_step_1 else dataset.read_ground_truth(args.labels)
    table = score(args.file, dataset, truth)
    print(f"{dataset.recipe.metric} of {args.file}")
    show(table)
    return 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("score", lambda: body(args)))
