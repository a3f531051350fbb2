"""What the run should score: out-of-fold scores, intervals, and the gain over each baseline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from src import experiments, store
from src.candidates import show
from src.events import F64, I64
from src.metrics import Tally, bootstrap
from src.run import Run


@dataclass(frozen=True)
class Blended:
    """One objective after blending."""

    tally: Tally  # out of fold, under weights that the query's own fold had no say in
    pool_recall: float  # of a perfect order of the candidates
    space: str  # of the chosen blend
    weights: dict[str, float]  # of each ranker; none where they are stacked
    compared: dict[str, float]  # score of each ranker alone and of the best of each space
    stack: F64 | None  # weights of stacked rankers: of their scores, then of their rank votes


def write_cv(run: Run, blended: dict[str, Blended], fold: I64) -> None:
    """Write cv.json and print the final tables."""
    recipe = run.recipe
    tallies, shares = [b.tally for b in blended.values()], [o.weight for o in recipe.objectives]
    low, high = bootstrap(tallies, shares, recipe.seed)
    objectives: dict[str, dict[str, Any]] = {
        name: {
            # null where the held-out sessions hold no label of this objective
            "score": b.tally.score() if b.tally.chances.any() else None,
            "ci95": [low[i], high[i]],
            "folds": [b.tally.score(fold[b.tally.session] == f) for f in range(recipe.folds)],
            "pool_recall": b.pool_recall,
            "blend": b.weights,
            "blend_space": b.space,
            "compared": b.compared,
            "stack": None if b.stack is None else b.stack.tolist(),
        }
        for i, (name, b) in enumerate(blended.items())
    }
    metric = f"{recipe.metric}@{recipe.k}"
    head: dict[str, Any] = {
        "dataset": recipe.name,
        "metric": metric,
        "score": total(tallies, shares),
    }
    head |= {"ci95": [low[-1], high[-1]]}
    store.write_text(
        run.output / "cv.json", json.dumps(head | {"objectives": objectives}, indent=1)
    )
    experiments.append(run, head, {name: o["score"] for name, o in objectives.items()})
    queries = pl.read_parquet(run.output / "valid" / "sessions.parquet")["query"].sum()
    print(f"\n{metric} on all {queries:,} queries of valid, out of fold, with 95 % intervals")
    show(pl.DataFrame([_row(name, o) for name, o in objectives.items()]))
    print(f"\n{metric} against lists without a model; gain: of the pipeline over the list")
    show(against_baselines(run, tallies, shares))


def total(tallies: list[Tally], shares: list[float]) -> float:
    """The competition's score: the weighted sum over the objectives."""
    return sum(w * t.score() for w, t in zip(shares, tallies, strict=True))


def _row(name: str, objective: dict) -> dict[str, object]:
    row = {"objective": name, "score": objective["score"]}
    row |= dict(zip(("low", "high"), objective["ci95"], strict=True))
    row |= {f"fold {f}": score for f, score in enumerate(objective["folds"])}
    return row | {"pool": objective["pool_recall"]}


def against_baselines(run: Run, tallies: list[Tally], shares: list[float]) -> pl.DataFrame:
    """Scores of the baselines, and the paired gain of the pipeline over each of them."""
    table = pl.read_csv(run.output / "logs" / "pool" / "baselines.csv").drop("low", "high")
    theirs = pl.read_parquet(run.output / "logs" / "pool" / "baselines.parquet")
    names = [o.name for o in run.recipe.objectives]
    scores = {n: t.score() for n, t in zip(names, tallies, strict=True)}
    rows: list[dict[str, object]] = [
        {"baseline": "this pipeline", **scores, "total": total(tallies, shares)}
    ]
    for row in table.iter_rows(named=True):
        mine = theirs.filter(pl.col("baseline") == row["baseline"])
        gains = []
        for o, tally in enumerate(tallies):
            hits = mine.filter(pl.col("objective") == o)["hits"].to_numpy()
            # the same queries and chances: the difference of two scores is the score of this
            gains.append(Tally(tally.session, tally.hits - hits, tally.chances))
        low, high = bootstrap(gains, shares, run.recipe.seed)
        row |= {"gain": total(gains, shares), "gain low": low[-1], "gain high": high[-1]}
        rows.append(row)
    table = pl.DataFrame(rows)
    store.write_text(run.output / "logs" / "gains.csv", table.write_csv(float_precision=6))
    return table
