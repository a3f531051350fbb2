"""experiments.csv: a line per finished run of a recipe, to compare ideas by looking."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from src.core import store
from src.core.run import Run
from src.data.recipe import Recipe
from src.features.table import Features

SHOWN = 8  # changed rows that a line names


def rows_of(recipe: Recipe) -> dict[str, str]:
    """Every row and number of a recipe that can change a score, each with its hash."""
    found = {}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if callable(value) or field.name in ("expect", "source"):
            continue
        if isinstance(value, tuple) and (not value or is_dataclass(value[0])):
            for row in value:
                first = [str(getattr(row, f.name)) for f in fields(row)[:1]]
                name = " ".join([type(row).__name__, *first, store.digest(row)[:4]])
                found[name] = store.digest(row)
        else:
            found[f"{field.name}={value}"] = store.digest(value)
    return found


def changed(before: dict[str, str], now: dict[str, str]) -> str:
    """What came (+) and went (-), in words."""
    told = [f"+{name}" for name in now if name not in before]
    told += [f"-{name}" for name in before if name not in now]
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return "; ".join(told[:SHOWN]) + more


def append(
    run: Run, head: dict[str, Any], scores: dict[str, Any], gain: dict[str, float | None]
) -> None:
    """Add a line to experiments.csv, unless the last one is of the same recipe, code and score."""
    path, rows = run.output / "experiments.csv", rows_of(run.recipe)
    digests = {"recipe": pl.String, "code": pl.String}  # which may look like numbers
    table = pl.read_csv(path, schema_overrides=digests) if path.exists() else None
    recipe = store.digest(rows)[:8]
    folder = run.output / "logs" / "recipes"
    before = folder / f"{table['recipe'][-1] if table is not None else recipe}.json"
    known = json.loads(before.read_text()) if before.exists() else rows
    line = pl.DataFrame(
        {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "recipe": recipe,
            "code": store.code_version(run.script)[:8],
            "metric": head["metric"],
            "score": head["score"], "low": head["ci95"][0], "high": head["ci95"][1],
            **scores,
            "features": len(Features(run.recipe).names),
            "rankers": "+".join(row.name for row in run.recipe.rankers),
            "sample": run.sample,
            "change": changed(known, rows),
            **gain,
        }
    )  # fmt: skip
    if table is not None:
        same = ["recipe", "code", "score", "sample"]
        if table.select(same).tail(1).equals(line.select(same)):
            return
        line = pl.concat([table, line], how="diagonal_relaxed")
    store.write_text(folder / f"{recipe}.json", json.dumps(rows, indent=1))
    store.write_text(path, line.write_csv())
