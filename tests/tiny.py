"""A tiny simulated shop, a recipe of few rows for it, and the numbered scripts run on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import worlds
from worlds import OTTO, ROOT

from src import cli
from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Recipe
from src.datasets.base import Dataset
from src.datasets.demo.shop import ShopConfig
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.two_tower import TwoTowerFeature
from src.rankers.xgb import XGBoostRanker

SHOP = ShopConfig(1500, 600, community_items=100, seed=3)
STEPS = sorted(path.stem for path in ROOT.glob("[1-7]_*.py"))
MATRICES = ("near3", "buy2buy", "day_carts", "ahead2_clicks")
RETRIEVERS = {"own", "near3_ends", "buy2buy", "day_carts", "ahead_clicks", "vsknn", "popular",
              "w2v_recent"}  # fmt: skip
SMALL_TREES = {"max_depth": 3}
LOGISTIC, GRADED = worlds.TINY.rankers
NDCG = XGBoostRanker("ndcg", (("objective", "rank:ndcg"),), max_features=40)
NET = TwoTowerEmbedding("net", dim=8, batch_negatives=64, batch_size=256, epochs=2)
NET_CARTS = TwoTowerRetriever("net_carts", "net", objective=1, top=20)
RECIPE = replace(
    worlds.TINY,
    matrices=tuple(row for row in worlds.TINY.matrices if row.name in MATRICES),
    embeddings=(
        Word2VecEmbedding("w2v", dim=8, epochs=2),
        FactorizationEmbedding("mf", dim=8, epochs=3),
        NET,
    ),
    retrievers=(*(row for row in worlds.TINY.retrievers if row.name in RETRIEVERS), NET_CARTS),
    baselines=tuple(row for row in worlds.TINY.baselines if set(row.retrievers) <= RETRIEVERS),
    features=(
        PoolFeature(),
        SessionFeature(),
        SessionItemFeature(),
        *(MatrixFeature(name, ("position",)) for name in MATRICES),
        EmbeddingFeature("w2v", ("position",)),
        EmbeddingFeature("mf", ("position",)),
        TwoTowerFeature("net"),
        PopularityFeature(0, (86400,)),
        ItemStatisticsFeature(),
    ),
    rankers=tuple(
        replace(
            row,
            num_boost_round=20,
            max_features=row.max_features and 40,
            params=tuple({**dict(row.params), **SMALL_TREES}.items()),
        )
        for row in (LOGISTIC, NDCG, GRADED)
    ),
    min_train_queries=300,  # valid has 217, so that an earlier window joins the training data
    negatives_per_positive=4.0,
)

RUNNER = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
import tiny
from src.core import store
source, out, last_words = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
give_name = store.replace
def replace(part, path):
    if path.relative_to(out).as_posix() in last_words:
        os.kill(os.getpid(), signal.SIGKILL)
    give_name(part, path)
store.replace = replace
sys.exit(tiny.run_steps(source, out))
"""


def run_steps(
    source: Path,
    out: Path,
    steps: Sequence[str] = STEPS,
    recipe: Recipe = RECIPE,
    dataset: Dataset = OTTO,
    engine: str = "cpu",
) -> int:
    """Run scripts one after the other, as the shell would; the first exit code that is not 0."""
    with pytest.MonkeyPatch.context() as patch:
        worlds.register(patch, recipe, dataset)
        argv = ["--dataset", recipe.name, "--input", str(source), "--output", str(out)]
        for name in steps:
            step = worlds.script(name)
            if code := cli.main(
                step.__doc__, step.__file__, step.body, [*argv, "--engine", engine]
            ):
                return code
    return 0


def run_alone(tmp_path: Path, source: Path, out: Path, kill_at: str = "") -> int:
    """All steps in a process of their own with one thread, killed when a file gets its name."""
    (tmp_path / "runner.py").write_text(RUNNER.format(root=str(ROOT)))
    threads = ("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS")
    command = [sys.executable, str(tmp_path / "runner.py"), str(source), str(out), kill_at]
    env = {**os.environ, **dict.fromkeys(threads, "1")}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True).returncode
