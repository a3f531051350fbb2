"""Write the tables of probabilities: by predictor, by scene, and by coldness of user and item."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from src.blend.cv import BLEND, probabilities_path
from src.core.arrays import F64, I64, Mask, offsets_of_sizes
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.coldness import LEVELS
from src.evaluation.judged import SCENE_RATE, JudgedTable
from src.evaluation.slices import Slices, level
from src.metrics.base import WHOLE_LIST, Metric
from src.metrics.judged import Judged
from src.metrics.mrr import MRR
from src.metrics.ndcg import NDCG
from src.metrics.probability import Predictions, mean
from src.metrics.ties import ranked_grades

LEAST = 30
"""Positives, and negatives, of a cell that has more than counts."""
PREDICTION_BYTES = 120.0
"""Of a row of the probabilities, while an objective is measured."""
ALL = "all"
OF_LISTS: tuple[Metric, ...] = (MRR(WHOLE_LIST), NDCG(5), NDCG(10))
TABLES = ("predictors", "scenes", "coldness")


def table_path(run: Run, name: str) -> Path:
    """Return the file of a table of TABLES."""
    return run.output / "logs" / f"probabilities_{name}.csv"


def write_tables(run: Run) -> list[bool]:
    """Bring the tables up to date; return for each whether it was built, none without slices."""
    recipe, slices = run.recipe, run.recipe.slices
    if slices is None:
        return []
    files = {name: table_path(run, name) for name in TABLES}

    def make(temporary: dict[Path, Path]) -> None:
        columns, lines = slices.columns(run), {name: list[dict[str, object]]() for name in files}
        predictions = PREDICTION_BYTES * count_rows(probabilities_path(run))
        run.budget.claim("tables", columns.estimated_size() + predictions)
        for objective in recipe.objective_names:
            of = JudgedTable.read(run, slices, columns, objective)
            lines["predictors"] += by_predictor(run, slices, of)
            lines["scenes"] += by_scene(run, slices, of)
            lines["coldness"] += by_coldness(run, slices, of)
        for name, path in files.items():
            if path in temporary:
                table = pl.DataFrame(lines[name], infer_schema_length=None)
                table.write_csv(temporary[path], float_precision=5)

    inputs = [probabilities_path(run), paths.sessions(run, "valid"), *slices.inputs(run)]
    rows = (slices, recipe.objectives, recipe.folds, recipe.seed)
    built = run.build_many(dict.fromkeys(files.values(), rows), make, inputs)
    return [path in built for path in files.values()]


def by_predictor(run: Run, slices: Slices, of: JudgedTable) -> Iterator[dict[str, object]]:
    """Measure the blend, each ranker and each baseline of an objective."""
    seed, session = run.recipe.seed, of.rows["session"].to_numpy()
    for name in of.probability:
        found = of.predictions(name)
        low, high = found.auc_interval(seed)
        line: dict[str, object] = {
            "objective": of.objective, "predictor": name, "rows": found.positive.size,
            "positives": found.counts[0], "log_loss": found.log_loss,
            "entropy": found.normalised_entropy(rates(of, slices)), "auc": found.auc,
            "low": low, "high": high,
        }  # fmt: skip
        if slices.scenes:
            line["auc_scenes"] = found.auc_macro(of.rows[slices.scenes[0]].to_numpy(), LEAST)
        if not run.recipe.metric_of(of.objective).pooled:
            line["auc_lists"] = found.auc_macro(session)
            line |= dict(zip(map(str, OF_LISTS), of_lists(of, name), strict=True))
        line["ratio"], line["ece"] = found.calibration_ratio, found.calibration_error()
        yield {key: known(value) for key, value in line.items()}


def rates(of: JudgedTable, slices: Slices) -> F64:
    """Return the share of positives in the scene of each row: the base of normalised entropy."""
    positive = of.grade > 0
    if not slices.scenes:
        return np.full(positive.size, mean(positive))
    _, number = np.unique(of.rows[slices.scenes[0]].to_numpy(), return_inverse=True)
    rate: F64 = (np.bincount(number, positive) / np.bincount(number))[number]
    return rate


def of_lists(of: JudgedTable, predictor: str) -> list[float]:
    """Score the lists in the order of the probabilities; equal ones go by item."""
    order = np.lexsort((of.rows["item"].to_numpy(), of.rows["session"].to_numpy()))
    session, item = (of.rows[name].to_numpy()[order] for name in ("session", "item"))
    grade, score = of.grade[order].astype(np.float32), of.probability[predictor][order]
    offsets = offsets_of_sizes(np.unique(session, return_counts=True)[1])
    judged, scores = Judged(grade, offsets), []
    listed = ranked_grades(offsets, item, score.astype(np.float64), grade, WHOLE_LIST)
    for metric in OF_LISTS:
        norms = metric.norms(judged)
        value = norms.values(metric.raw_values(listed))
        scores.append(float(value.sum() / max(norms.ideal.sum(), 1.0)))
    return scores


def by_scene(run: Run, slices: Slices, of: JudgedTable) -> Iterator[dict[str, object]]:
    """Measure each predictor in every value of each scene column."""
    for column in slices.scenes:
        scene = of.rows[column].to_numpy()
        for name, value in product(of.probability, np.unique(scene)):
            head = {"objective": of.objective, "predictor": name, "column": column}
            cell = of.predictions(name).take(scene == value)
            yield {**head, "scene": int(value), **measured(cell, run.recipe.seed)}


def by_coldness(run: Run, slices: Slices, of: JudgedTable) -> Iterator[dict[str, object]]:
    """Measure the blend by levels of user and item, over all scenes and in each."""
    if not slices.user_count:
        return
    counts = (slices.user_count, slices.item_count)
    levels = [level(pl.col(c)).cast(pl.Enum(LEVELS)).to_physical() for c in counts]
    user, item = (of.rows.select(column).to_series().to_numpy() for column in levels)
    blend, base = of.predictions(BLEND), of.predictions(SCENE_RATE)
    for scene, of_scene in scenes_of(slices, of):
        for of_user, of_item in product((ALL, *LEVELS), repeat=2):
            rows = of_scene
            for column, chosen in ((user, of_user), (item, of_item)):
                rows = rows if chosen == ALL else rows & (column == LEVELS.index(chosen))
            head = {"objective": of.objective, "scene": scene, "user": of_user, "item": of_item}
            cell = measured(blend.take(rows), run.recipe.seed)
            if cell["log_loss"] is not None:
                cell["log_loss_scene_rate"] = base.take(rows).log_loss
            yield head | cell


def scenes_of(slices: Slices, of: JudgedTable) -> Iterator[tuple[str, Mask]]:
    """Yield all rows, then those of each value of the first scene column."""
    yield ALL, np.ones(of.rows.height, np.bool_)
    for column in slices.scenes[:1]:
        scene: I64 = of.rows[column].to_numpy()
        for value in np.unique(scene):
            yield f"{value}", scene == value


def measured(cell: Predictions, seed: int) -> dict[str, object]:
    """Count a cell, and measure it where it has LEAST rows of both classes; else nulls."""
    counts = {"rows": cell.positive.size, "positives": cell.counts[0]}
    names = ("rate", "auc", "low", "high", "log_loss", "ratio")
    if min(cell.counts) < LEAST:
        return counts | dict.fromkeys(names)
    values = (mean(cell.positive), cell.auc, *cell.auc_interval(seed), cell.log_loss,
              cell.calibration_ratio)  # fmt: skip
    return counts | dict(zip(names, values, strict=True))


def known(value: object) -> object:
    """Return None for NaN, which is an empty cell."""
    return None if isinstance(value, float) and np.isnan(value) else value
