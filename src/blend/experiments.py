"""Append a line to experiments.csv for every run with a new result.

logs/experiments/ keeps the data that the next line is compared with: the rows of every recipe that
has a line, and the query scores of the last line.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from src.blend import cv
from src.core import store
from src.core.code import version as code_version
from src.core.run import Run
from src.data.recipe import Recipe
from src.metrics.paired import Delta, paired_delta

CHANGES = 8  # changed rows that a line names, at most
DIGEST = 8  # characters of a digest in a line
IDENTITY = ("recipe", "code", "score", "sample")  # a run that repeats these adds no line


def experiments_path(run: Run) -> Path:
    return run.output / "experiments.csv"


def read_experiments(path: Path) -> pl.DataFrame:
    """Read the lines; a digest may look like a number, and a delta may be missing for long."""
    types = dict.fromkeys(Delta._fields, pl.Float64()) | dict.fromkeys(
        ("recipe", "code", "change"), pl.String()
    )
    return pl.read_csv(path, schema_overrides=types)


def add_experiment(run: Run, n_features: int) -> bool:
    """Add a line, unless the last one is of the same recipe, code, score and sample."""
    if run.dry:
        return False
    path, folder = experiments_path(run), run.output / "logs" / "experiments"
    table = read_experiments(path) if path.exists() else None
    line = _line(run, n_features, folder, table)
    new = table is None or not table.select(IDENTITY).tail(1).equals(line.select(IDENTITY))
    if new:
        rows = json.dumps(rows_of(run.recipe), indent=1)
        store.write_text(folder / f"{line['recipe'][0]}.json", rows)
        lines = line if table is None else pl.concat([table, line], how="diagonal_relaxed")
        store.write_text(path, lines.write_csv())
    _keep_scores(run, folder)
    return new


def _line(run: Run, n_features: int, folder: Path, lines: pl.DataFrame | None) -> pl.DataFrame:
    """Make the line of this run; lines: those before (None: there is none)."""
    result, recipe = cv.read_cv(run), run.recipe
    last_recipe, last_metric = (None, None) if lines is None else lines["recipe", "metric"].row(-1)
    scores = {name: entry["score"] for name, entry in result["objectives"].items()}
    rows = rows_of(recipe)
    before = folder / f"{last_recipe}.json"
    return pl.DataFrame(
        {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "recipe": store.digest(rows)[:DIGEST],
            "code": code_version(add_experiment, recipe)[:DIGEST],
            "metric": result["metric"],
            "score": result["score"], "low": result["ci95"][0], "high": result["ci95"][1],
            **scores,
            "features": n_features,
            "rankers": "+".join(row.name for row in recipe.rankers),
            "sample": run.sample,
            "change": changed(json.loads(before.read_text()), rows) if before.exists() else "",
            **_delta(run, folder, last_metric == result["metric"]),
        }
    )  # fmt: skip


def _delta(run: Run, folder: Path, same_metric: bool) -> dict[str, float | None]:
    """Compare with the last line; nulls where its metric, its queries or its labels differ."""
    last, queries = _last_scores(folder), ["objective", "session", "ideal"]
    if same_metric and last.exists():
        old, new = pl.read_parquet(last), pl.read_parquet(cv.query_scores_path(run))
        if old.select(queries).equals(new.select(queries)):
            weights = [objective.weight for objective in run.recipe.objectives]
            before, now = (cv.scores_of(table, len(weights)) for table in (old, new))
            return dict(paired_delta(now, before, weights, run.recipe.seed)._asdict())
    return dict.fromkeys(Delta._fields)


def _keep_scores(run: Run, folder: Path) -> None:
    """Copy the query scores for the delta of the next line.

    A run without a new line copies too: a kill may have come between the line and its copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".part-last.parquet"
    with store.removed_on_error(part):
        shutil.copyfile(cv.query_scores_path(run), part)
        store.replace(part, _last_scores(folder))


def _last_scores(folder: Path) -> Path:
    """Query scores of the last line."""
    return folder / "last.parquet"


def rows_of(recipe: Recipe) -> dict[str, str]:
    """Name every row and number of a recipe that can change a score; values are digests.

    A row is named by its kind, its first field and the beginning of its digest.
    """
    tables: dict[str, tuple[Any, ...]] = {"objectives": recipe.objectives, **recipe.tables()}
    digests: dict[str, str] = {}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in tables:
            digests |= {_row_name(row): store.digest(row) for row in tables[field.name]}
        else:
            digests[f"{field.name}={value}"] = store.digest(value)
    return digests


def _row_name(row: Any) -> str:
    first = [str(getattr(row, field.name)) for field in fields(row)[:1]]
    return " ".join([type(row).__name__, *first, store.digest(row)[:4]])


def changed(before: dict[str, str], now: dict[str, str]) -> str:
    """Name the rows that were added (+) and removed (-)."""
    changes = [f"+{name}" for name in now if name not in before]
    changes += [f"-{name}" for name in before if name not in now]
    more = f" and {len(changes) - CHANGES} more" if len(changes) > CHANGES else ""
    return "; ".join(changes[:CHANGES]) + more
