"""Score a submission as the competition does.

    python -m src.tools.score --dataset otto --file submission.csv --labels test_labels.jsonl

Labels: the file published after the competition, or a labels.parquet of step 1. All queries of the
labels count; a query without a row scores 0. The first table has the metric of the recipe with
95 % intervals, the second one other metrics of the same lists.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from src.cli import configured, run_cli, tool_flags
from src.core.console import show
from src.data.labels import scan_labels
from src.datasets import submission_rows as submissions
from src.datasets.base import Dataset
from src.datasets.submission_rows import TRUTH
from src.metrics.base import Metric
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.named import companions
from src.metrics.query_scores import QueryScores, score_lists


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


def hits(path: Path, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged items of a submission: session, objective, item, grade, rank from 0.

    Raises ValueError for a repeated row, and where no row is of a query of the ground truth.
    """
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
    if rows.is_empty():
        raise ValueError(f"{path} has no row for any query of the labels; give those of its split")
    for line in rows.filter(~pl.struct("session", "objective").is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a row that was there before; keep one")
    return pl.concat(tables)


def score(listed: pl.DataFrame, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    """Score a submission: a row per objective, then the weighted total; 95 % intervals.

    Columns: objective, weight, queries, ideal and value (sums over queries), score, low, high.
    """
    recipe, rows = dataset.recipe, []
    scores = scores_of(listed, dataset, truth, recipe.metric)
    for objective, scored in zip(recipe.objectives, scores, strict=True):
        rows.append({"objective": objective.name, "weight": objective.weight,
                     "queries": scored.session.size, "ideal": int(scored.ideal.sum()),
                     "value": scored.value.sum(), "score": scored.score()})  # fmt: skip
    table = pl.DataFrame(rows)
    total = {"objective": "total", "score": float((table["weight"] * table["score"]).sum())}
    low, high = bootstrap(scores, table["weight"].to_list(), recipe.seed)
    table = pl.concat([table, pl.DataFrame([total])], how="diagonal")
    return table.with_columns(low=pl.Series(low), high=pl.Series(high))


def also(listed: pl.DataFrame, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    """Score a submission by other metrics: a row per metric, with its convention.

    Columns: metric, one per objective, total if there are several, convention.
    """
    recipe, rows = dataset.recipe, []
    weights = [objective.weight for objective in recipe.objectives]
    largest = float(truth["grade"].to_numpy().max(initial=0))
    for metric in companions(dataset.submission_format().k, largest):
        scores = scores_of(listed, dataset, truth, metric)
        row: dict[str, object] = {"metric": str(metric)}
        row |= {n: s.score() for n, s in zip(recipe.objective_names, scores, strict=True)}
        row |= {"total": total_score(scores, weights)} if len(scores) > 1 else {}
        rows.append(row | {"convention": metric.convention})
    return pl.DataFrame(rows)


def scores_of(
    listed: pl.DataFrame, dataset: Dataset, truth: pl.DataFrame, metric: Metric
) -> list[QueryScores]:
    """Score the lists of each objective."""
    lists, labels = listed.lazy(), truth.lazy()
    numbers = range(len(dataset.recipe.objectives))
    return [
        score_lists(lists.filter(objective=n), labels.filter(objective=n), metric) for n in numbers
    ]


def body(args: argparse.Namespace) -> int:
    """Print the table of scores."""
    dataset = configured(args)
    submissions.require_file(args.file)
    of_step_1 = args.labels.suffix == ".parquet"
    truth = read_labels(args.labels) if of_step_1 else dataset.read_ground_truth(args.labels)
    listed, metric = hits(args.file, dataset, truth), dataset.recipe.metric
    print(f"{metric} of {args.file}: {metric.convention}")
    show(score(listed, dataset, truth))
    print("\nother metrics of the same lists")
    show(also(listed, dataset, truth))
    return 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("score", lambda: body(args)))
