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
from src.data.raw_ids import item_ids, session_ids
from src.datasets.base import Dataset
from src.datasets.submission_rows import TRUTH, require_file
from src.metrics.base import EMPTY_TEXTS, Metric
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.named import companions
from src.metrics.query_scores import QueryScores, score_lists


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    return tool_flags("score", __doc__, argv, file="the submission", labels="the ground truth")


def read_labels(path: Path) -> pl.DataFrame:
    """Read a labels.parquet of step 1, and the tables beside it, as a TRUTH table."""
    labels = scan_labels(path).collect()
    sessions = session_ids(path.with_name("sessions.parquet"))
    items = item_ids(path.parent.parent / "items.parquet")
    raw = labels.with_columns(session=sessions[labels["session"]], item=items[labels["item"]])
    return raw.select(TRUTH.names()).cast({"objective": pl.Int64})


def numbered(truth: pl.DataFrame, listed: pl.DataFrame) -> list[pl.DataFrame]:
    """Replace ids that are texts by numbers, the same in both tables; the truth has all of them."""
    tables = [truth, listed]
    for column in ("session", "item"):
        if truth.schema[column] == pl.String:
            ids = truth[column].unique().sort()
            tables = [t.with_columns(ids.search_sorted(t[column]).alias(column)) for t in tables]
    return tables


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
    """Score a submission by other metrics: a row per metric.

    Columns: metric, one per objective, total if there are several, value (of a query).
    """
    recipe, rows = dataset.recipe, []
    weights = [objective.weight for objective in recipe.objectives]
    largest = float(truth["grade"].to_numpy().max(initial=0))
    for metric in companions(dataset.list_length, largest):
        scores = scores_of(listed, dataset, truth, metric)
        row: dict[str, object] = {"metric": str(metric)}
        row |= {n: s.score() for n, s in zip(recipe.objective_names, scores, strict=True)}
        row |= {"total": total_score(scores, weights)} if len(scores) > 1 else {}
        rows.append(row | {"value": metric.formula})
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
    require_file(args.file)
    of_step_1 = args.labels.name == "labels.parquet"
    truth = read_labels(args.labels) if of_step_1 else dataset.read_ground_truth(args.labels)
    listed, metric = dataset.judged_items(args.file, truth), dataset.recipe.metric
    truth, listed = numbered(truth, listed)
    print(f"{metric} of {args.file}: {metric.convention}")
    show(score(listed, dataset, truth))
    print(f"\nother metrics of the same lists: {EMPTY_TEXTS['zero']}")
    show(also(listed, dataset, truth))
    return 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("score", lambda: body(args)))
