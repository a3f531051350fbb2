"""Choose a blend for each objective; write cv.json and logs/query_scores.parquet.

cv.json holds for each objective the out-of-fold score with interval and folds, the chosen blend,
and the scores of the alternatives on the queries that blends are compared on. `also` holds other
metrics of the same out-of-fold lists.
`catalogue` holds what lists under the chosen blend show of all items (src/metrics/catalogue.py).
query_scores.parquet holds the value and the ideal of every query with a judged item, for
comparisons with baselines and with former runs. probabilities.parquet, with a calibrator, holds the
probabilities of every judged candidate out of fold: of the blend, and of each ranker alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.blend.blend import SCORE, SOFTMAX, STACK, TENTHS, Blend, single
from src.blend.calibration import out_of_fold, scene_inputs, scenes
from src.blend.judged_rows import JudgedRows, Weighted
from src.blend.pooled_search import PooledSearch
from src.blend.scored_candidates import final_list
from src.blend.search import BlendSearch
from src.blend.stacking import ALL_FOLDS
from src.calibrators.base import Calibration
from src.core.arrays import F64, I64, arrays, count_items
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.data.labels import scan_labels
from src.data.recipe import Recipe
from src.data.shards import shard_files
from src.metrics.bootstrap import bootstrap, total_score
from src.metrics.catalogue import coverage, novelty
from src.metrics.named import companions
from src.metrics.query_scores import QueryScores
from src.rankers.train_table import trainable_objectives

BLEND = "blend"
"""Name of the blend among the predictors; a ranker's is that of its row."""
PROBABILITIES = pl.Schema([
    ("predictor", pl.String), ("objective", pl.Int8), ("session", pl.Int32), ("item", pl.Int32),
    ("grade", pl.Float32), ("probability", pl.Float64),
])  # fmt: skip
"""One judged candidate of `valid` a row, for each predictor and objective."""


@dataclass(frozen=True)
class Outcome:
    """Result of the blend search for one objective."""

    scores: QueryScores  # of each fold, under the blend that is best on the other folds
    oracle_score: float  # the score of a perfect order of the pool
    blend: Blend  # best on all folds
    weights: dict[str, float]  # of each ranker; empty for STACK and without a ranker
    alternatives: dict[str, float]  # score of each ranker alone and of each transform's best
    stack: F64 | None  # weights of the meta-features, fitted on all folds
    also: dict[str, float]  # of the same lists as `scores`, by other metrics
    catalogue: dict[str, float]  # coverage and novelty of the lists of all queries
    calibration: Calibration | None  # of the blend, fitted on all folds
    probabilities: pl.DataFrame  # of PROBABILITIES without objective, out of fold


def cv_path(run: Run) -> Path:
    return run.output / "cv.json"


def query_scores_path(run: Run) -> Path:
    return run.output / "logs" / "query_scores.parquet"


def probabilities_path(run: Run) -> Path:
    return run.output / "logs" / "probabilities.parquet"


def write_cv(run: Run) -> list[bool]:
    """Bring the files of the search up to date; return for each whether it was built."""
    recipe, files = run.recipe, [cv_path(run), query_scores_path(run)]
    files += [probabilities_path(run)] if recipe.calibrator else []
    trainable = trainable_objectives(run)
    columns = {
        name: [row.score_column(name) for row in recipe.rankers_of(name)]
        if name in trainable else []
        for name in recipe.objective_names
    }  # fmt: skip

    def make(parts: dict[Path, Path]) -> None:
        outcomes = search(run, columns)
        for path, part in parts.items():
            if path == cv_path(run):
                part.write_text(json.dumps(summarize(run, outcomes), indent=1))
            elif path == query_scores_path(run):
                tables = [o.scores for o in outcomes.values()]
                query_table(tables).write_parquet(part)
            else:
                probability_table(outcomes).write_parquet(part)

    labels = paths.labels(run, "valid")
    inputs = [labels, paths.sessions(run, "valid"), *shard_files(run, "valid", "scores")]
    inputs += [] if recipe.given else [paths.events(run, "valid"), paths.items(run)]
    inputs += scene_inputs(run, "valid", scene_column(recipe))
    rows = (recipe.objectives, recipe.metric, recipe.folds, recipe.seed, columns,
            [row.name for row in recipe.rankers], recipe.calibrator)  # fmt: skip
    built = run.build_many(dict.fromkeys(files, rows), make, inputs)
    return [file in built for file in files]


def search(run: Run, columns: dict[str, list[str]]) -> dict[str, Outcome]:
    """Search the best blend of each objective; columns: score columns of its rankers."""
    recipe, fold, files = run.recipe, folds(run, "valid"), shard_files(run, "valid", "scores")
    labels = scan_labels(paths.labels(run, "valid")).collect()
    metrics = companions(run.dataset.list_length, float(labels["grade"].to_numpy().max(initial=0)))
    outcomes, scene = {}, scenes(run, "valid", scene_column(recipe))
    for number, (name, scored) in enumerate(columns.items()):
        truth, metric = labels.filter(objective=number), recipe.metric_of(name)
        kind = PooledSearch if metric.pooled else BlendSearch
        run.budget.claim(f"blend {name}", kind.memory(recipe, len(scored), truth, files))
        blends = kind(recipe, files, scored, truth, fold, metric)
        others, blend = () if metric.pooled else metrics, blends.best()
        scores, *also = blends.cross_fitted(others)
        rankers = [row.name for row in recipe.rankers_of(name)] if scored else []
        weights = {r: w / TENTHS for r, w in zip(rankers, blend.weights, strict=False)}
        stack = blends.stacks[ALL_FOLDS] if blend.transform == STACK else None
        alternatives = blends.best_by_transform()
        outcomes[name] = Outcome(
            scores, blends.oracle_score(), blend, weights, alternatives, stack,
            {str(m): of_metric.score() for m, of_metric in zip(others, also, strict=True)},
            {} if recipe.given else catalogue(run, scored, blend, stack),
            *calibrated(blends, blend, rankers, scene),
        )  # fmt: skip
    return outcomes


def catalogue(run: Run, columns: list[str], blend: Blend, stack: F64 | None) -> dict[str, float]:
    """Measure the coverage and the novelty of the lists of all queries of `valid`."""
    n_items, k = count_rows(paths.items(run)), run.dataset.list_length
    listed = np.zeros(n_items, np.int64)
    for file in shard_files(run, "valid", "scores"):
        listed += count_items(final_list([file], columns, blend, stack, k).item, n_items)
    events = pl.read_parquet(paths.events(run, "valid"), columns=["item"])["item"].to_numpy()
    novel = novelty(listed, count_items(events, n_items))
    return {f"coverage@{k}": coverage(listed), f"novelty@{k}": novel}


def calibrated(
    search: BlendSearch, blend: Blend, rankers: list[str], scene: I64
) -> tuple[Calibration | None, pl.DataFrame]:
    """Calibrate the chosen blend; find the probabilities of it and of each ranker, out of fold.

    blend: chosen on all folds. scene: of each session.
    """
    recipe = search.recipe
    if (row := recipe.calibrator) is None:
        return None, pl.DataFrame()
    data = search.files, search.columns, search.truth
    chosen = JudgedRows.read(*data, [search.weighted(blend, ALL_FOLDS)])
    of_row = chosen.grade > 0, scene[chosen.session]
    calibration = Calibration.fit(row, chosen.log_odds[:, 0], *of_row)
    folds, pooled = range(recipe.folds), search.metric.pooled
    form = SCORE if pooled else SOFTMAX
    blends = {BLEND: [search.weighted(search.of_fold.get(f, blend), f) for f in folds]}
    for number, name in enumerate(rankers):
        blends[name] = [Weighted(single(form, number, search.width), None, pooled)]
    return calibration, out_of_fold(row, *data, search.fold, scene, blends)


def scene_column(recipe: Recipe) -> str:
    """Return the scene column of the calibrator; "" without one."""
    return recipe.calibrator.scene if recipe.calibrator else ""


def summarize(run: Run, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Build the content of cv.json."""
    recipe, fold = run.recipe, folds(run, "valid")
    scores = [outcome.scores for outcome in outcomes.values()]
    weights = [objective.weight for objective in recipe.objectives]
    low, high = bootstrap(scores, weights, recipe.seed)
    objectives = {
        name: {
            # null where the held-out sessions have no positive of this objective
            "score": o.scores.score() if o.scores.ideal.any() else None,
            "ci95": [low[i], high[i]],
            **fold_scores(o.scores, fold, recipe.folds),
            "oracle_score": o.oracle_score,
            "weights": o.weights,
            "transform": o.blend.transform,
            "alternatives": o.alternatives,
            "stack": None if o.stack is None else o.stack.tolist(),
            "also": o.also,
            "catalogue": o.catalogue,
            **(
                {"metric": str(recipe.metric_of(name))}
                if recipe.metric_of(name) != recipe.metric
                else {}
            ),
            **({} if o.calibration is None else {"calibration": o.calibration.as_data()}),
        }
        for i, (name, o) in enumerate(outcomes.items())
    }
    return {
        "dataset": recipe.name,
        "as_deployed": recipe.as_deployed,
        "sessions": len(fold),
        "metric": str(recipe.metric),
        "convention": recipe.metric.convention,
        "score": total_score(scores, weights),
        "ci95": [low[-1], high[-1]],
        "also": {
            name: sum(
                w * o.also.get(name, 0.0) for w, o in zip(weights, outcomes.values(), strict=True)
            )
            for name in next(iter(outcomes.values())).also
        },
        "objectives": objectives,
    }


def fold_scores(scores: QueryScores, fold: I64, n: int) -> dict[str, Any]:
    """Score each of n folds; add mean and standard deviation. fold: of every session."""
    values = [scores.score(fold[scores.session] == f) for f in range(n)]
    return {"folds": values, "mean": float(np.mean(values)), "std": float(np.std(values))}


def read_cv(run: Run) -> dict[str, Any]:
    """Read cv.json."""
    return json.loads(cv_path(run).read_text())


def probability_table(outcomes: dict[str, Outcome]) -> pl.DataFrame:
    """Stack the probabilities of objectives into one table of PROBABILITIES."""
    tables = [
        o.probabilities.with_columns(objective=pl.lit(n, pl.Int8))
        for n, o in enumerate(outcomes.values())
    ]
    return pl.concat(tables).select(PROBABILITIES.names()).cast(PROBABILITIES)


def query_table(scores: list[QueryScores]) -> pl.DataFrame:
    """Stack scores of objectives into one table: objective (its number), session, value, ideal."""
    tables = [pl.DataFrame({"objective": o} | vars(s)) for o, s in enumerate(scores)]
    return pl.concat(tables).cast({"objective": pl.Int8})


def scores_of(table: pl.DataFrame, n_objectives: int) -> list[QueryScores]:
    """Split a `query_table` into the scores of its objectives."""
    names = ("session", "value", "ideal")
    return [QueryScores(*arrays(table.filter(objective=o), *names)) for o in range(n_objectives)]
