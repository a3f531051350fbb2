"""Planted runs that are exported, and their raw rows scored by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from needs import needs_package
from planted import run_in, whole
from pools_world import steps, write_world
from worlds import ROOT

from src.blend.cv import write_cv
from src.blend.final_blend import final_blends
from src.blend.scored_candidates import ScoredCandidates
from src.core.run import Run
from src.data.folds import folds
from src.data.recipe import Recipe
from src.data.shards import shard_file, shards
from src.data.split_data import SplitData
from src.export.write import export_folder, write_bundle
from src.features.table import FeatureTable
from src.rankers.batches import CandidateBatch, pools
from src.rankers.score import score_split
from src.rankers.train_table import trainable_objectives

CHILD = """
import sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import polars as pl
from src.export.bundle import Bundle
folder, portable, split = Path(sys.argv[1]), sys.argv[2] == "portable", Path(sys.argv[3])
bundle = Bundle.load(folder, portable)
rows, events = pl.read_parquet(split / "rows.parquet"), pl.read_parquet(split / "events.parquet")
offsets, fold = np.load(split / "offsets.npy"), np.load(split / "fold.npy")
fold = None if fold[0] < 0 else fold
columns = bundle.ranker_scores(bundle.batch(rows, offsets, events), fold)
columns |= bundle.scores(rows, offsets, events, fold)
if bundle.recipe.calibrator:
    found = bundle.probabilities(rows, offsets, events)
    columns |= {f"p_{name}": probability for name, probability in found.items()}
pl.DataFrame(columns).write_parquet(split / "scores.parquet")
"""


@dataclass(frozen=True)
class Foreign:
    """A row of code outside of src/, which no recipe may name."""


def planted_run(folder: Path, recipe: Recipe) -> Run:
    """Steps 5 to 7 of a planted world, exported; the raw id of an item is 10,000 - its dense id."""
    write_world(folder)
    ids = pl.read_parquet(folder / "items.parquet").with_columns(item_id=10_000 - pl.col("item_id"))
    whole(folder / "items.parquet", ids)
    run = run_in(folder, recipe, "7_blend.py")
    steps(run)
    score_split(run, "test", trainable_objectives(run))
    write_cv(run)
    write_bundle(run)
    return run


def write_raw(run: Run, split: str, to: Path) -> None:
    """Write what the bundle of a run takes for all lists of a split; columns in another order."""
    to.mkdir(parents=True)
    data, names = SplitData(run, split), FeatureTable(run.recipe).names
    (pool,) = pools(data, shards(run, split)[0])
    raw = data.items["item_id"]
    X = CandidateBatch.compute(FeatureTable(run.recipe), data, pool).X
    rows = pl.from_numpy(X, schema=names).with_columns(item=raw[pool.item])
    rows.select(sorted(rows.columns, reverse=True)).write_parquet(to / "rows.parquet")
    seen = pl.read_parquet(run.output / split / "events.parquet")
    seen = seen.filter(pl.col("session") >= pool.first)
    events = {
        "list": seen["session"] - pool.first, "item": raw[seen["item"]], "ts": seen["ts"],
        "type": [run.recipe.types[number] for number in seen["type"]],
    }  # fmt: skip
    pl.DataFrame(events).write_parquet(to / "events.parquet")
    np.save(to / "offsets.npy", pool.offsets)
    np.save(to / "fold.npy", folds(run, split)[pool.first : pool.end])


def scored_elsewhere(run: Run, raw: Path, form: str = "own") -> pl.DataFrame:
    """Scores of raw rows by a process that knows nothing but the bundle and this repository."""
    command = [sys.executable, "-W", "error", "-c", CHILD, str(export_folder(run)), form, str(raw)]
    subprocess.run(command, cwd=ROOT, check=True)
    return pl.read_parquet(raw / "scores.parquet")


def of_run(run: Run, split: str) -> pl.DataFrame:
    """The score file of a split."""
    return pl.read_parquet(shard_file(run.output / split / "scores", shards(run, split)[0]))


def blended(run: Run, split: str) -> dict[str, np.ndarray]:
    """Blended scores of a split for each objective, from its score file."""
    scores = {}
    for name, final in final_blends(run).items():
        candidates = ScoredCandidates.from_table(of_run(run, split), final.columns)
        scores[name] = candidates.blended(final.blend, final.stack)
    return scores


def require_packages() -> None:
    """Skip a test that lacks what writes or runs graphs; under REQUIRE_ALL it fails."""
    for package in ("onnxscript", "onnxruntime"):
        needs_package(package, "requirements-export.txt")


def assert_same_scores(run: Run, split: str, raw: Path, columns: list[str]) -> pl.DataFrame:
    """Score raw rows in a fresh process: as the run did, and by graphs nearly so; return these."""
    write_raw(run, split, raw)
    wanted = of_run(run, split)
    own, onnx = (scored_elsewhere(run, raw, form) for form in ("own", "portable"))
    for column in columns:
        score = wanted[column].to_numpy()
        assert own[column].to_list() == score.tolist() and len(set(score)) > 20
        np.testing.assert_allclose(onnx[column], score, rtol=0, atol=1e-5)
    return own
