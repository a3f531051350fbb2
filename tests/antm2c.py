"""Small files in AntM2C's form, and step 1 run on them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import worlds

from src import cli
from src.core import text_blocks
from src.datasets import DATASETS
from src.datasets.antm2c import row_blocks
from src.datasets.antm2c.columns import COLUMNS, LABEL

ANTM2C = DATASETS["antm2c"]
RECIPE = replace(ANTM2C.recipe, name="ads")
START = datetime(2023, 7, 10)

Row = dict[str, str]


def row(hours: float, user: int = 1, item: int = 5, click: int | str = 0, **more: str) -> Row:
    """One impression, so many hours after START; minutes only where they are even."""
    time = START + timedelta(hours=hours)
    form = "%Y-%m-%d %H:%M:%S" if time.minute % 2 else "%Y/%-m/%-d %-H:%M"
    return {"user_id": f"{user}", "item_id": f"{item}", "log_time": time.strftime(form),
            LABEL: f"{click}", "scene": "A", **more}  # fmt: skip


def planted(rows: int, seed: int, days: float = 31.0) -> list[Row]:
    """Rows in the order of time; scene B is clicked more often than A, and an even item too."""
    rng, found = np.random.default_rng(seed), list[Row]()
    for hours in np.sort(rng.random(rows) * days * 24).tolist():
        scene, item = "AB"[int(rng.integers(2))], int(rng.integers(30))
        click = rng.random() < 0.1 + 0.4 * (scene == "B") + 0.4 * (item % 2)
        found.append(row(hours, int(rng.integers(60)), item, int(click), scene=scene,
                         deep_features_0=f"{rng.integers(4)}",
                         deep_features_19=f"{rng.random():.3f}",
                         query_entity_seq="车,保险", item_entity_names="保险"))  # fmt: skip
    return found


def write(path: Path, rows: Sequence[Row | str], columns: Sequence[str] = COLUMNS) -> Path:
    """Write a file; a text among the rows is written as it stands, as a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for made in rows:
            if isinstance(made, str):
                file.write(made + "\n")
            else:
                writer.writerow(made)
    return path


def small_blocks(patch: pytest.MonkeyPatch, size: int) -> None:
    """Cut files into blocks of about `size` bytes."""
    patch.setattr(text_blocks, "READ", 16)
    patch.setattr(row_blocks, "BLOCK_BYTES", size)


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str) -> int:
    """Run 1_preparation.py from folder/in to folder/out."""
    worlds.register(patch, RECIPE, ANTM2C)
    step = worlds.script("1_preparation")
    argv = ["--dataset", "ads", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])
