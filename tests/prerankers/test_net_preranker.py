"""A net as a pre-ranker: one model for all objectives, as trees have.

pytest tests/prerankers/test_net_preranker.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import run_in
from pools_world import CHEAP, KEEP, RECIPE, SPLITS, WHOLE, write_world

from src.candidates.pool import Pool, pool_file
from src.data.shards import shards
from src.prerankers.base import stage_of
from src.prerankers.comparison import first_candidates
from src.prerankers.cut import cut_pools
from src.rankers.base import ALL
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.train_set import TrainSet
from src.rankers.train_table import train_files

NET = NetRanker("cheap", MLP((16,)), Softmax(), batch_size=16, epochs=6, learning_rate=0.02,
                shared=True)  # fmt: skip
ROW = replace(CHEAP, ranker=NET)


def test_a_shared_net_cuts_the_pools(tmp_path: Path) -> None:
    """It keeps more positives than the order of the pool, which says nothing here."""
    folder = write_world(tmp_path)
    run = run_in(folder, replace(RECIPE, preranker=ROW))
    cut_pools(run)
    assert [p.name for p in sorted((folder / "models" / "cheap").iterdir())] == [ALL]
    labels = pl.read_parquet(folder / "valid" / "labels.parquet")
    truth = {*labels.select("session", "item").iter_rows()}
    shard = shards(run, "valid")[0]
    pool = Pool.load(run_in(folder, WHOLE), "valid", shard)
    first = pool.keep_rows(first_candidates(pool, pool.rrf_score, KEEP))
    kept, plain = (
        len(truth.intersection(zip(p.session.tolist(), p.item.tolist(), strict=True)))
        for p in (Pool.load(run, "valid", shard), first)
    )
    assert kept > plain + 0.3 * len(truth)
    assert all(pool_file(run, split, shards(run, split)[0]).exists() for split in SPLITS)
    files = train_files(stage_of(run, ROW))
    grades = TrainSet.read(files, ["clicks", "carts"]).label
    assert np.unique(grades).tolist() == [0, 1, 2], "a cart counts more than a click"


def test_a_net_without_one_score_for_all_is_no_preranker() -> None:
    alone = replace(ROW, ranker=replace(NET, shared=False))
    tasks = replace(ROW, ranker=NetRanker("cheap", MMoE(), BCE()))
    for row in (alone, tasks):
        with pytest.raises(ValueError, match="shared by all objectives"):
            replace(RECIPE, preranker=row)
