"""Score a submission as the competition does.

    python -m src.tools.score --dataset otto --file submission.csv --labels test_labels.jsonl

Labels: the file published after the competition, or a labels.parquet of step 1. All queries of the
labels count; a query without a list scores 0. The first table has the metric of the recipe with
95 % intervals, the second one other metrics of the same lists, or of the same probabilities. Below
lists stands how many items the lists of all objectives show that have labels; with a labels.parquet
also their coverage and novelty.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from src.cli import configured, run_cli, tool_flags
from src.core.arrays import arrays, count_items
from src.core.console import show
from src.data.labels import scan_labels
from src.data.raw_ids import item_ids, session_ids
from src.data.recipe import Recipe
from src.data.splits import scored_in
from src.datasets.base import Dataset
from src.datasets.submission_rows import TRUTH, require_file
from src.metrics.base import EMPTY_TEXTS, Metric
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.catalogue import coverage, novelty
from src.metrics.named import companions
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.probability import Predictions
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
    """Replace ids that are texts by numbers, the same in both tables."""
    tables = [truth, listed]
    for column in ("session", "item"):
        if truth.schema[column] == pl.String:
            ids = pl.concat([truth[column], listed[column]]).drop_nulls().unique().sort()
            tables = [t.with_columns(ids.search_sorted(t[column]).alias(column)) for t in tables]
    return tables


def score(listed: pl.DataFrame, dataset: Dataset, truth: pl.DataFrame) -> pl.DataFrame:
    """Score a submission: a row per objective, then the weighted total; 95 % intervals.

    Columns: objective, weight, queries, ideal and value (sums over queries), score, low, high.
    """
    recipe, rows = dataset.recipe, []
    numbers = scored_objectives(recipe, truth)
    scores = [
        score_one(listed, truth, n, recipe.metric_of(recipe.objective_names[n])) for n in numbers
    ]
    for number, scored in zip(numbers, scores, strict=True):
        objective = recipe.objectives[number]
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
    numbers = scored_objectives(recipe, truth)
    objectives = [recipe.objectives[n] for n in numbers]
    if any(recipe.metric_of(objective.name).pooled for objective in objectives):
        return of_probabilities(listed, truth, recipe, numbers)
    weights = [objective.weight for objective in objectives]
    largest = float(truth["grade"].to_numpy().max(initial=0))
    for metric in companions(dataset.list_length, largest):
        scores = [score_one(listed, truth, n, metric) for n in numbers]
        row: dict[str, object] = {"metric": str(metric)}
        row |= {o.name: s.score() for o, s in zip(objectives, scores, strict=True)}
        row |= {"total": total_score(scores, weights)} if len(scores) > 1 else {}
        rows.append(row | {"value": metric.formula})
    return pl.DataFrame(rows)


def scored_objectives(recipe: Recipe, truth: pl.DataFrame) -> list[int]:
    """List the numbers of the objectives that count, or that the labels have."""
    known = set(truth["objective"].unique())
    return [n for n, o in enumerate(recipe.objectives) if o.weight or n in known]


def score_one(
    listed: pl.DataFrame, truth: pl.DataFrame, objective: int, metric: Metric
) -> QueryScores:
    """Score the lists of an objective, or its rows where they are compared between queries."""
    if isinstance(metric, PooledMetric):
        session, score, grade = arrays(
            with_scores(listed, truth, objective), "session", "score", "grade"
        )
        return pooled_scores(session, score, grade, metric)
    lists, labels = (table.lazy().filter(objective=objective) for table in (listed, truth))
    return score_lists(lists, labels, metric)


def with_scores(listed: pl.DataFrame, truth: pl.DataFrame, objective: int) -> pl.DataFrame:
    """Add the column `score` of a submission to the labels; a row that it lacks has the lowest."""
    labels = truth.filter(objective=objective)
    scores = listed.filter(objective=objective).select("session", "item", "score")
    found = labels.join(scores, on=["session", "item"], how="left", maintain_order="left")
    return found.with_columns(pl.col("score").fill_null(0.0))


def of_probabilities(
    listed: pl.DataFrame, truth: pl.DataFrame, recipe: Recipe, numbers: Sequence[int]
) -> pl.DataFrame:
    """Measure the scores of a submission as probabilities: a row per objective."""
    rows = []
    for number in numbers:
        columns = arrays(with_scores(listed, truth, number), "score", "grade", "session")
        found = Predictions.known(*columns)
        rows.append({
            "objective": recipe.objective_names[number], "log loss": found.log_loss,
            "normalised entropy": found.normalised_entropy(),
            "calibration ratio": found.calibration_ratio, "ECE": found.calibration_error(),
        })  # fmt: skip
    return pl.DataFrame(rows)


def variety(counts: pl.DataFrame, split: Path | None) -> str:
    """Say how many items the lists show, and by src/metrics/catalogue.py how novel they are.

    counts: item, n, with raw ids. split: the folder of the split as step 1 wrote it, None if there
    is none.
    """
    said = f"{counts.height:,} different items in {counts['n'].sum():,} places of the judged lists"
    if split is None:
        return said
    ids = item_ids(split.parent / "items.parquet")
    found = pl.DataFrame({"item": ids}).join(counts, on="item", how="left", maintain_order="left")
    listed = found["n"].fill_null(0).to_numpy()
    seen = count_items(pl.read_parquet(split / "events.parquet")["item"].to_numpy(), len(ids))
    return f"{said}: coverage {coverage(listed):.2%}, novelty {novelty(listed, seen):.1f} bits"


def require_own_split(file: Path, labels: Path, submission: str) -> None:
    """Raise ValueError where a run's own submission answers another split than the labels are of.

    `test` sees what `valid` hides.
    """
    folder, split = labels.parent.parent, labels.parent.name
    if file.resolve() != (folder / submission).resolve():
        return
    answered = scored_in(folder)[-1]
    if split != answered:
        raise ValueError(
            f"{file} answers {answered}, which sees what {split} hides: its score would mean "
            "nothing; cv.json has the out-of-fold score of valid"
        )


def body(args: argparse.Namespace) -> int:
    """Print the table of scores."""
    dataset = configured(args)
    require_file(args.file)
    of_step_1 = args.labels.name == "labels.parquet"
    if of_step_1:
        require_own_split(args.file, args.labels, dataset.submission)
    labels = read_labels(args.labels) if of_step_1 else dataset.read_ground_truth(args.labels)
    judged, metric = dataset.judged_items(args.file, labels), dataset.recipe.metric
    own = dataset.own_scores(judged, labels, args.labels)
    truth, listed = numbered(labels, judged)
    print(f"{metric} of {args.file}: {metric.convention}")
    show(score(listed, dataset, truth))
    of = "probabilities" if metric.pooled else f"lists: {EMPTY_TEXTS['zero']}"
    print(f"\nother metrics of the same {of}")
    show(also(listed, dataset, truth))
    if not metric.pooled and not dataset.recipe.given:
        counts = dataset.listed_items(args.file, labels)
        print(variety(counts, args.labels.parent if of_step_1 else None))
    if own is not None:
        print("\nmetrics of this dataset:")
        show(own)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_cli("score", lambda: body(parse(None))))
