"""What the run should score: out-of-fold scores, intervals, and the gain over each baseline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.blend import experiments
from src.core.arrays import F64, I64
from src.core.console import show
from src.core.run import Run
from src.data.folds import folds
from src.metrics.scores import QueryScores, bootstrap

HITS = "hits.parquet"


@dataclass(frozen=True)
class Blended:
    """One objective after blending."""

    tally: QueryScores  # out of fold, under weights that the query's own fold had no say in
    pool_recall: float  # of a perfect order of the candidates
    space: str  # of the chosen blend
    weights: dict[str, float]  # of each ranker; none where they are stacked
    compared: dict[str, float]  # score of each ranker alone and of the best of each space
    stack: F64 | None  # weights of stacked rankers: of their scores, then of their rank votes


def write_cv(run: Run, blended: dict[str, Blended], parts: dict[Path, Path]) -> None:
    """Write those of cv.json, gains.csv and hits.parquet that `parts` asks for.

    And a line to experiments.csv, before hits.parquet, which it is compared with, has changed.
    """
    recipe, fold = run.recipe, folds(run, "valid")
    tallies, shares = [b.tally for b in blended.values()], [o.weight for o in recipe.objectives]
    low, high = bootstrap(tallies, shares, recipe.seed)
    objectives: dict[str, dict[str, Any]] = {
        name: {
            # null where the held-out sessions hold no label of this objective
            "score": b.tally.score() if b.tally.chances.any() else None,
            "ci95": [low[i], high[i]],
            **by_fold(b.tally, fold, recipe.folds),
            "pool_recall": b.pool_recall,
            "blend": b.weights,
            "blend_space": b.space,
            "compared": b.compared,
            "stack": None if b.stack is None else b.stack.tolist(),
        }
        for i, (name, b) in enumerate(blended.items())
    }
    head: dict[str, Any] = {
        "dataset": recipe.name,
        "metric": f"{recipe.metric}@{recipe.k}",
        "score": total(tallies, shares),
        "ci95": [low[-1], high[-1]],
    }
    scores = {name: of["score"] for name, of in objectives.items()}
    experiments.append(run, head, scores, since_the_last(run, tallies, shares))
    text = {
        "cv.json": json.dumps(head | {"objectives": objectives}, indent=1),
        "gains.csv": against_baselines(run, tallies, shares).write_csv(float_precision=6),
    }
    for path, part in parts.items():
        if path.name in text:
            part.write_text(text[path.name])
        elif path.name == HITS:
            hits_table(tallies).write_parquet(part)


def by_fold(tally: QueryScores, fold: I64, n: int) -> dict[str, Any]:
    """The score of each of n folds, their mean and standard deviation; fold: of every session."""
    scores = [tally.score(fold[tally.session] == f) for f in range(n)]
    return {"folds": scores, "mean": float(np.mean(scores)), "spread": float(np.std(scores))}


def read_cv(run: Run) -> dict[str, Any]:
    """cv.json."""
    return json.loads((run.output / "cv.json").read_text())


def blends(run: Run) -> dict[str, str]:
    """How the rankers of each objective are mixed, in words."""
    return {
        name: " ".join([of["blend_space"], *(f"{r} {w}" for r, w in of["blend"].items())])
        for name, of in read_cv(run)["objectives"].items()
    }


def show_cv(run: Run) -> None:
    """Print the final tables."""
    cv, sessions = read_cv(run), pl.scan_parquet(run.output / "valid" / "sessions.parquet")
    queries = sessions.select(pl.col("query").sum()).collect().item()
    print(f"\n{cv['metric']} on all {queries:,} queries of valid, out of fold, with 95 % intervals")
    show(pl.DataFrame([_row(name, o) for name, o in cv["objectives"].items()]))
    print(f"\n{cv['metric']} against lists without a model; gain: of the pipeline over the list")
    show(pl.read_csv(run.output / "logs" / "gains.csv"))
    last = pl.read_csv(run.output / "experiments.csv").row(-1, named=True)
    if last["change"] and last["gain"] is not None:
        told = f"{last['gain']:+.4f} [{last['gain low']:+.4f}, {last['gain high']:+.4f}]"
        print(f"\nsince the run before: {told}  {last['change']}")


def total(tallies: list[QueryScores], shares: list[float]) -> float:
    """The competition's score: the weighted sum over the objectives."""
    return sum(w * t.score() for w, t in zip(shares, tallies, strict=True))


def _row(name: str, objective: dict) -> dict[str, object]:
    row = {"objective": name, "score": objective["score"]}
    row |= dict(zip(("low", "high"), objective["ci95"], strict=True))
    row |= {f"fold {f}": score for f, score in enumerate(objective["folds"])}
    return row | {"pool": objective["pool_recall"]}


def hits_table(tallies: list[QueryScores]) -> pl.DataFrame:
    """What each query wins, of what could be won: a row per objective and query with a truth."""
    tables = [pl.DataFrame({"objective": o} | vars(tally)) for o, tally in enumerate(tallies)]
    return pl.concat(tables).cast({"objective": pl.Int8})


def against(tallies: list[QueryScores], hits: pl.DataFrame) -> list[QueryScores]:
    """What each query wins more than others' `hits` (objective, hits) of the same queries.

    The chances are the same: the difference of two scores is the score of this.
    """
    theirs = [hits.filter(objective=o)["hits"].to_numpy() for o in range(len(tallies))]
    pairs = zip(tallies, theirs, strict=True)
    return [QueryScores(mine.session, mine.hits - other, mine.chances) for mine, other in pairs]


def gain(tallies: list[QueryScores], shares: list[float], seed: int) -> dict[str, float]:
    """Of differences: the total and its interval."""
    low, high = bootstrap(tallies, shares, seed)
    return {"gain": total(tallies, shares), "gain low": low[-1], "gain high": high[-1]}


def since_the_last(
    run: Run, tallies: list[QueryScores], shares: list[float]
) -> dict[str, float | None]:
    """The paired gain over the last run of this folder, if that was of the same queries."""
    path, asked = run.output / "logs" / HITS, ["objective", "session", "chances"]
    if path.exists():
        last = pl.read_parquet(path)
        if last.select(asked).equals(hits_table(tallies).select(asked)):
            return {**gain(against(tallies, last), shares, run.recipe.seed)}
    return dict.fromkeys(("gain", "gain low", "gain high"))


def against_baselines(run: Run, tallies: list[QueryScores], shares: list[float]) -> pl.DataFrame:
    """Scores of the baselines, and the paired gain of the pipeline over each of them."""
    table = pl.read_csv(run.output / "logs" / "pool" / "baselines.csv").drop("low", "high")
    theirs = pl.read_parquet(run.output / "logs" / "pool" / "baselines.parquet")
    names = [o.name for o in run.recipe.objectives]
    scores = {n: t.score() for n, t in zip(names, tallies, strict=True)}
    rows: list[dict[str, object]] = [
        {"baseline": "this pipeline", **scores, "total": total(tallies, shares)}
    ]
    for row in table.iter_rows(named=True):
        more = against(tallies, theirs.filter(baseline=row["baseline"]))
        rows.append(row | gain(more, shares, run.recipe.seed))
    return pl.DataFrame(rows)
