"""Log what the cut of a pre-ranker loses, and how far its order is that of the first ranker.

Both rank the whole pools of a sample of the queries of `valid`, out of fold: a comparison of kept
candidates alone would not see what the pre-ranker drops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.shards import shards
from src.data.split_data import SplitData
from src.prerankers.base import PreRanker, stage_of
from src.prerankers.comparison import Comparison
from src.prerankers.cut import PoolCutter
from src.rankers.batches import batch_inputs
from src.rankers.oof import eval_batches
from src.rankers.train import Target, targets
from src.rankers.train_table import trainable_objectives

QUERIES = 500  # that are compared, about


def log_preranker(run: Run, objectives: Sequence[str]) -> None:
    """Bring logs/preranker/{cascade,agreement}.csv up to date, and show them.

    Does nothing without a pre-ranker or without a trained ranker. objectives: those with rankers.
    """
    row = run.recipe.preranker
    if row is None or not objectives:
        return
    whole, stage = replace(run, recipe=replace(run.recipe, preranker=None)), stage_of(run, row)
    ranker = run.recipe.rankers[0]
    learned = targets(stage.recipe, trainable_objectives(stage))
    teachers = targets(replace(run.recipe, rankers=(ranker,)), objectives)
    inputs = [file for target in (*learned, *teachers) for file in target.models(run)]
    inputs += [paths.labels(run, "valid"), paths.sessions(run, "valid")]
    for shard in shards(run, "valid"):
        inputs += [*batch_inputs(whole, "valid", shard), *batch_inputs(stage, "valid", shard)]
    files = [run.output / "logs" / "preranker" / f"{t}.csv" for t in ("cascade", "agreement")]
    key = (row, ranker, objectives, run.recipe.metric, run.recipe.folds, run.recipe.seed)
    make = partial(_write, whole, stage, row, learned, teachers)
    with run.step(f"{row.name} against {ranker.name}"):
        run.build_many(dict.fromkeys(files, key), make, list(dict.fromkeys(inputs)))
    for file in files:
        show(pl.read_csv(file))


def _write(
    whole: Run, stage: Run, row: PreRanker, learned: list[Target], teachers: list[Target],
    parts: dict[Path, Path],
) -> None:  # fmt: skip
    """Write both tables; whole, stage: runs of the rankers and of the pre-ranker on all pools."""
    cutter = PoolCutter(SplitData(stage, "valid"), row, learned)
    comparison = Comparison(whole.recipe, row.keep)
    models = {name: target.load(whole, name) for target in teachers for name in target.objectives}
    for batch in eval_batches(whole, QUERIES, ["valid"]):
        order = cutter.order(batch.candidates.pool)
        for name, of_folds in models.items():
            comparison.add(batch, name, batch.scores(of_folds), order)
    for path, part in parts.items():
        table = getattr(comparison, path.stem)()
        table.write_csv(part, float_precision=6)
