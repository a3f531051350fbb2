"""Blend the rankers, write and validate submission.csv, and print what it should score.

    python 7_blend.py --dataset otto

Reads  output/<dataset>/<split>/scores/*.parquet  (step 6), valid/labels.parquet
Writes output/<dataset>/submission.csv: for the test queries, or the valid ones where no test is
       output/<dataset>/cv.json: score, 95 % interval and folds per objective
"""

import json

import polars as pl

from src import store
from src.blend import Scored, Search, cross_fitted, score_files
from src.candidates import show
from src.metrics import Tally, bootstrap
from src.run import Run, main
from src.training import folds


def body(run: Run) -> None:
    recipe, fold = run.recipe, folds(run, "valid")
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    target = run.scored_splits()[-1]
    tallies: list[Tally] = []
    pool_recall, weights, lists = [], {}, {}
    for o, objective in enumerate(recipe.objectives):
        with run.step(f"blend {objective.name}") as facts:
            members = [f"{row.name}_{objective.name}" for row in recipe.rankers]
            scored = Scored.load(score_files(run, "valid"), members)
            search = Search(recipe, scored, labels.filter(pl.col("objective") == o))
            tally, chosen = cross_fitted(search, fold)
            tallies.append(tally)
            pool_recall.append(search.ceiling())
            weights[objective.name] = {r.name: w / 10 for r, w in zip(recipe.rankers, chosen, strict=True)}
            if target != "valid":
                scored = Scored.load(score_files(run, target), members)
            lists[objective.name] = scored.top(chosen, recipe.k)
            facts.update(weights[objective.name])
    write_cv(run, tallies, pool_recall, weights, fold)
    with run.step("submission") as facts:
        facts["rows"] = recipe.write_submission(run, target, lists)
    print(f"\n{run.output / 'submission.csv'}")


def write_cv(run: Run, tallies: list[Tally], pool_recall: list[float], weights: dict, fold) -> None:
    """cv.json, and the final table beside the baselines."""
    recipe = run.recipe
    shares = [o.weight for o in recipe.objectives]
    low, high = bootstrap(tallies, shares, recipe.seed)
    objectives = {
        o.name: {
            "score": tally.score(),
            "ci95": [low[i], high[i]],
            "folds": [tally.score(fold[tally.session] == f) for f in range(recipe.folds)],
            "pool_recall": pool_recall[i],
            "blend": weights[o.name],
        }
        for i, (o, tally) in enumerate(zip(recipe.objectives, tallies, strict=True))
    }
    score = sum(w * t.score() for w, t in zip(shares, tallies, strict=True))
    cv = {
        "dataset": recipe.name,
        "metric": f"{recipe.metric}@{recipe.k}",
        "score": score,
        "ci95": [low[-1], high[-1]],
        "objectives": objectives,
    }
    store.write_text(run.output / "cv.json", json.dumps(cv, indent=1))
    ours = {"baseline": "this pipeline, out of fold"} | {n: o["score"] for n, o in objectives.items()}
    ours |= {"total": score, "low": low[-1], "high": high[-1]}
    baselines = pl.read_csv(run.output / "logs" / "baselines.csv")
    print(f"\n{recipe.metric}@{recipe.k} on valid, all queries, 95 % interval of the total")
    show(pl.concat([baselines, pl.DataFrame([ours])], how="diagonal_relaxed"))
    table = [
        {"objective": n, "score": o["score"], "low": o["ci95"][0], "high": o["ci95"][1]}
        | {f"fold {f}": s for f, s in enumerate(o["folds"])} | {"pool": o["pool_recall"]}
        for n, o in objectives.items()
    ]  # fmt: skip
    show(pl.DataFrame(table))


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
