"""Tiny raw worlds on disk, and step 1 run on them in-process."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from src import cli
from src.data.recipe import Recipe
from src.datasets import DATASETS
from src.datasets.base import Dataset

ROOT = Path(__file__).resolve().parent.parent
TYPES = ("clicks", "carts", "orders")
T0, DAY = 1_659_304_800_000, 86_400_000

Event = tuple[int, int, str]  # item, ts, type
Sessions = list[tuple[int, list[Event]]]

OTTO, NEWS = DATASETS["otto"], DATASETS["tianchi"]
TINY = replace(OTTO.recipe, name="tiny", split_days=7, alternatives=())


def line(session: int, events: list[Event]) -> str:
    keys = ("aid", "ts", "type")
    row = {"session": session, "events": [dict(zip(keys, e, strict=True)) for e in events]}
    return json.dumps(row, separators=(",", ":"))


def write(folder: Path, stem: str, sessions: Sessions) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.jsonl"
    path.write_text("".join(line(*session) + "\n" for session in sessions))
    return path


def read(path: Path) -> Sessions:
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    return [(r["session"], [(e["aid"], e["ts"], e["type"]) for e in r["events"]]) for r in rows]


def splits(out: Path) -> list[dict[str, Any]]:
    """The splits that step 1 made."""
    found: list[dict[str, Any]] = json.loads((out / "splits.json").read_text())
    return found


def script(name: str) -> ModuleType:
    """A numbered script as a module."""
    spec = importlib.util.spec_from_file_location(f"step{name[0]}", ROOT / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def register(patch: pytest.MonkeyPatch, recipe: Recipe, dataset: Dataset = OTTO) -> None:
    """Offer a recipe as a dataset of its own, with the formats of another one."""
    patch.setitem(DATASETS, recipe.name, replace(dataset, recipe=recipe))


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str, **changes: Any) -> int:
    """Run 1_preparation.py from folder/in to folder/out; changes are those of the recipe."""
    register(patch, replace(TINY, **changes))
    step = script("1_preparation")
    argv = ["--dataset", "tiny", "--input", str(folder / "in"), "--output", str(folder / "out")]
    argv += ["--engine", "cpu", *flags]
    return cli.main(step.__doc__, step.__file__, step.body, argv)
