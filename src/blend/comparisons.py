"""Compare the pipeline with every baseline and with former runs, paired by session."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.blend.cv import query_scores_path, scores_of
from src.core.run import Run
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores

PIPELINE = "this pipeline"


def vs_baselines_path(run: Run) -> Path:
    return run.output / "logs" / "vs_baselines.csv"


def write_vs_baselines(run: Run) -> bool:
    """Bring vs_baselines.csv up to date; True when it was built.

    One row for the pipeline, then one per baseline with the delta of the pipeline over it.
    """
    recipe, baselines = run.recipe, run.output / "logs" / "pool" / "baselines.parquet"
    inputs = [query_scores_path(run), *([baselines] if recipe.baselines else [])]
    names, weights = recipe.objective_names, [o.weight for o in recipe.objectives]

    def row(name: str, scores: list[QueryScores]) -> dict[str, object]:
        by_objective = {n: s.score() for n, s in zip(names, scores, strict=True)}
        return {"baseline": name, **by_objective, "total": total_score(scores, weights)}

    def make(path: Path) -> None:
        scores = scores_of(pl.read_parquet(query_scores_path(run)), len(names))
        rows = [row(PIPELINE, scores)]
        for baseline in recipe.baselines:
            table = pl.scan_parquet(baselines).filter(baseline=baseline.name).collect()
            others = scores_of(table, len(names))
            delta = paired_delta(scores, others, weights, recipe.seed)
            rows.append(row(baseline.name, others) | delta._asdict())
        pl.DataFrame(rows).write_csv(path, float_precision=6)

    rows = (recipe.objectives, recipe.seed, [baseline.name for baseline in recipe.baselines])
    return run.build(vs_baselines_path(run), make, rows, inputs)
