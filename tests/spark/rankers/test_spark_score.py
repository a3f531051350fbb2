"""Scores that tasks of Spark write have the bytes of those of the CPU, for trees and nets.

pytest tests/spark/rankers
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from planted import run_in
from polars.exceptions import ComputeError
from pools_world import WHOLE, steps, write_world

from src.core import store
from src.core.engines import CpuEngine, Engine, SparkEngine
from src.data import shards
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.rankers.score import score_split
from src.rankers.train_table import trainable_objectives

NET = NetRanker(
    "net", DIN(dim=4, max_len=3), Softmax(), max_items=1000, min_count=1, epochs=1, batch_size=256
)
RECIPE = replace(WHOLE, rankers=(*WHOLE.rankers, NET))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_world(tmp_path_factory.mktemp("world"))
    steps(run_in(folder, RECIPE))
    return folder


def scores(folder: Path, split: str, engine: Engine) -> bytes:
    """Score a split; the bytes of its file."""
    run = run_in(folder, RECIPE, engine=engine)
    (file,) = shards.shard_files(run, split, "scores")
    store.remove(file)
    assert score_split(run, split, trainable_objectives(run)) == [True]
    assert not list(file.parent.glob(".part-*"))
    return file.read_bytes()


def swap_models(folder: Path) -> None:
    """Give two folds the models of each other."""
    first, second = sorted(folder.glob("models/trees/clicks/fold_*.ubj"))[:2]
    for one, other in ((first, second), *(map(store.manifest_path, [first, second]),)):
        one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
        one.write_bytes(other_bytes)
        other.write_bytes(one_bytes)


def test_scores_have_the_bytes_of_the_cpu(world: Path, spark: SparkEngine) -> None:
    for split in ("valid", "test"):  # out of fold, and by the mean of all models
        assert scores(world, split, spark) == scores(world, split, CpuEngine(2))


def test_a_task_keeps_no_model_that_changed(world: Path, spark: SparkEngine) -> None:
    before = scores(world, "valid", spark)
    swap_models(world)
    after = scores(world, "valid", spark)
    assert after == scores(world, "valid", CpuEngine(1)) != before


def test_an_error_of_a_task_is_that_of_the_cpu(world: Path, spark: SparkEngine) -> None:
    pool, said = world / "valid" / "pool" / "part-0000.parquet", list[str]()
    whole = pool.read_bytes()
    pool.write_bytes(b"PAR1")
    for engine in (CpuEngine(1), spark):
        with pytest.raises(ComputeError, match="A Parquet file must") as error:
            scores(world, "valid", engine)
        said.append(str(error.value))
        assert not list(world.rglob(".part-*"))
    pool.write_bytes(whole)
    assert said[0] == said[1]
