"""Find the event types that a log has, and keep them for the later steps."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.datasets.session_log import SessionLog

FILE = "dataset.json"


def find_types(run: Run, logs: list[SessionLog]) -> list[str]:
    """Write the types of all events to dataset.json, in the order of the recipe; return them."""
    path = run.output / FILE

    def write(path: Path) -> None:
        parts = [part for log in logs for part in log.parts()]
        columns = (pl.read_parquet(part, columns=["type"])["type"] for part in parts)
        found = {n for column in columns for n in column.unique()}
        types = [name for n, name in enumerate(run.recipe.types) if n in found]
        path.write_text(json.dumps({"types": types}))

    run.build(path, write, run.recipe.types, [log.table for log in logs])
    return found_types(run.output, run.recipe)


def found_types(output: Path, recipe: Recipe) -> list[str]:
    """Read the types that step 1 found; before it ran, all types of the recipe."""
    path = output / FILE
    return json.loads(path.read_text())["types"] if path.exists() else [*recipe.types]
