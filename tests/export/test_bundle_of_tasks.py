"""A bundle with a multi-task net: one model per fold, a score per objective, as in the run.

pytest tests/export/test_bundle_of_tasks.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from exported import assert_same_scores, planted_run, require_packages
from pools_world import WHOLE

from src.core.run import Run
from src.export.write import export_folder
from src.rankers.base import ALL
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.esmm import ESMM
from src.rankers.nets.ple import PLE

pytestmark = pytest.mark.slow

SCENE = "session_last_type"
GATED = ContentGate(
    ESMM((8,), dim=4, scene=SCENE, scene_rows=20), ("rrf",),
    (History("session_events", ("session_items",)),), gate=(SCENE,), dim=4,
)  # fmt: skip
ROWS = (
    NetRanker("ple", PLE((8,), (4,), dim=4, scene=SCENE, scene_rows=20), BCE(), epochs=1,
              categories=(SCENE,), nets=2),
    NetRanker("chain", GATED, BCE(), epochs=1, categories=(SCENE,)),
)  # fmt: skip
RECIPE = replace(WHOLE, folds=2, rankers=ROWS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    require_packages()
    return planted_run(tmp_path_factory.mktemp("planted"), RECIPE)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_scores_of_each_objective_in_a_fresh_process_are_those_of_the_run(
    split: str, run: Run, tmp_path: Path
) -> None:
    columns = [f"{row.name}_{objective}" for row in ROWS for objective in ("clicks", "carts")]
    own = assert_same_scores(run, split, tmp_path / "raw", columns)
    for row in ROWS:
        assert (own[f"{row.name}_clicks"] != own[f"{row.name}_carts"]).any()


def test_a_model_is_written_once_for_all_objectives(run: Run) -> None:
    models = sorted((export_folder(run) / "models").rglob("*.pt"))
    names = [path.relative_to(export_folder(run)).as_posix() for path in models]
    assert names == [f"models/{n}/{ALL}/fold_{f}.pt" for n in ("chain", "ple") for f in (0, 1)]
