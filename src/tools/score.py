"""Score a submission offline, exactly as the competition does.

    python -m src.tools.score --dataset otto --file submission.csv --labels test_labels.jsonl

The labels: what was published after the competition (JSON lines of the organisers' form, or a CSV
file of users and articles, as the dataset has it), or a labels.parquet made by step 1. All queries
of the labels count; one without a row has no hits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from src.cli import run_cli, tool_flags
from src.data.recipe import Recipe
from src.data.schemas import LABELS
from src.datasets import RECIPES
from src.datasets import submission_rows as answers
from src.datasets.submission_rows import TRUTH
from src.metrics import scores as metrics


def parse(argv: list[str] | None) -> argparse.Namespace:
    return tool_flags("score", __doc__, argv, file="the submission", labels="what really happened")


def made_labels(path: Path) -> pl.DataFrame:
    """TRUTH of a labels.parquet of step 1, by the tables beside it."""
    labels = pl.read_parquet(path)
    if labels.schema != LABELS:
        raise ValueError(f"{path} has columns {labels.columns}; give a labels.parquet of step 1")
    sessions = pl.read_parquet(path.with_name("sessions.parquet"))["session"]
    item_ids = pl.read_parquet(path.parent.parent / "items.parquet")["item_id"]
    raw = labels.with_columns(session=sessions[labels["session"]], item=item_ids[labels["item"]])
    return raw.cast(TRUTH)


def hits(path: Path, recipe: Recipe, truth: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The items of a submission that came true, with their rank; how many of its rows count."""
    layout, found, names = recipe.layout(recipe), [], []
    asked = truth.select("session", "objective").unique()
    for block in answers.read(path, layout):
        rows = block.cast({"objective": pl.Int64}).join(asked, on=["session", "objective"])
        names.append(rows.select("line", "session", "objective"))
        lists = rows.with_columns(pl.col("items").str.split(layout.between).list.head(recipe.k))
        items = lists.select(
            "session", "objective", item="items", rank=pl.int_ranges(pl.col("items").list.len())
        ).explode("item", "rank", empty_as_null=False)
        items = items.with_columns(answers.integers(items["item"]))
        found.append(items.join(truth, on=truth.columns))
    named = pl.concat(names)
    for line in named.filter(~pl.struct("session", "objective").is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a row that was there before; keep one")
    return pl.concat(found), named.height


def score(path: Path, recipe: Recipe, truth: pl.DataFrame) -> pl.DataFrame:
    """A row per objective, and the weighted total of them: what was hit of what could be.

    With 95 % intervals, to hold against those of cv.json.
    """
    hit, n_rows = hits(path, recipe, truth)
    if not n_rows:
        raise ValueError(f"{path} has no row for any query of the labels; give those of its split")
    table, tallies = [], []
    for n, objective in enumerate(recipe.objectives):
        mine, true = (t.lazy().filter(pl.col("objective") == n) for t in (hit, truth))
        tally = metrics.tally(mine, true, recipe.metric, recipe.k)
        tallies.append(tally)
        table.append({"objective": objective.name, "weight": objective.weight,
                      "queries": tally.session.size, "of": int(tally.chances.sum()),
                      "hit": tally.hits.sum(), "score": tally.score()})  # fmt: skip
    rows = pl.DataFrame(table)
    total = {"objective": "total", "score": float((rows["weight"] * rows["score"]).sum())}
    low, high = metrics.bootstrap(tallies, rows["weight"].to_list(), recipe.seed)
    rows = pl.concat([rows, pl.DataFrame([total])], how="diagonal")
    return rows.with_columns(low=pl.Series(low), high=pl.Series(high))


def body(args: argparse.Namespace) -> int:
    """Print the table of scores."""
    recipe = RECIPES[args.dataset]
    answers.there(args.file)
    made = args.labels.suffix == ".parquet"
    truth = made_labels(args.labels) if made else recipe.truth(args.labels, recipe)
    table = score(args.file, recipe, truth)
    print(f"{recipe.metric}@{recipe.k} of {args.file}")
    from src.core.console import show

    show(table)
    return 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("score", lambda: body(args)))
