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
from worlds import ROOT

from src import cli, datasets
from src.candidates.rows import TwoTowerRetriever
from src.data.recipe import Recipe
from src.datasets.demo import simulate
from src.embeddings.rows import FactorizationEmbedding, TwoTowerEmbedding, Word2VecEmbedding
from src.features.rows import (
    EmbeddingFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    PopularityFeature,
    TwoTowerFeature,
)
from src.rankers.rows import XGBoostRanker

WORLD = simulate.World(1500, 600, community_items=100, seed=3)
STEPS = sorted(path.stem for path in ROOT.glob("[1-7]_*.py"))
MATRICES = ("near3", "buy2buy", "day_carts", "ahead2_clicks")
RULES = {"own", "near3_ends", "buy2buy", "day_carts", "ahead_clicks", "vsknn", "popular",
         "w2v_recent"}  # fmt: skip
SMALL_TREES = {"max_depth": 3}
LOGISTIC, GRADED = worlds.TINY.rankers
NDCG = XGBoostRanker("ndcg", (("objective", "rank:ndcg"),), columns=40)
NET = TwoTowerEmbedding("net", size=8, negatives=64, batch=256, epochs=2)
RETRIEVAL = TwoTowerRetriever("net_carts", "net", objective=1, top=20)
RECIPE = replace(
    worlds.TINY,
    matrices=tuple(row for row in worlds.TINY.matrices if row.name in MATRICES),
    embeddings=(
        Word2VecEmbedding("w2v", size=8, epochs=2),
        FactorizationEmbedding("mf", size=8, epochs=3),
        NET,
    ),
    rules=(*(row for row in worlds.TINY.rules if row.name in RULES), RETRIEVAL),
    baselines=tuple(row for row in worlds.TINY.baselines if set(row.rules) <= RULES),
    features=(
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
            rounds=20,
            columns=row.columns and 40,
            params=tuple({**dict(row.params), **SMALL_TREES}.items()),
        )
        for row in (LOGISTIC, NDCG, GRADED)
    ),
    train_queries=300,  # valid has 217, so that an earlier window is learned from too
    negatives=4.0,
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
    source: Path, out: Path, steps: Sequence[str] = STEPS, recipe: Recipe = RECIPE
) -> int:
    """Run scripts one after the other, as the shell would; the first exit code that is not 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.RECIPES, recipe.name, recipe)
        argv = ["--dataset", recipe.name, "--input", str(source), "--output", str(out)]
        for name in steps:
            step = worlds.script(name)
            if code := cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu"]):
                return code
    return 0


def run_alone(tmp_path: Path, source: Path, out: Path, kill_at: str = "") -> int:
    """All steps in a process of their own with one thread, killed when a file gets its name."""
    (tmp_path / "runner.py").write_text(RUNNER.format(root=str(ROOT)))
    threads = ("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS")
    command = [sys.executable, str(tmp_path / "runner.py"), str(source), str(out), kill_at]
    env = {**os.environ, **dict.fromkeys(threads, "1")}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True).returncode
