"""The seven scripts with a pre-ranker, and with --causal; a second run and `make status`.

pytest tests/pipeline/test_preranker_pipeline.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import worlds
from results import submitted
from tiny import RECIPE, run_steps

from src.cli import parse
from src.features.pool import PoolFeature
from src.features.two_tower import TwoTowerFeature
from src.prerankers.base import PreRanker
from src.rankers.xgb import XGBoostRanker
from src.tools import status

pytestmark = pytest.mark.slow

KEEP = 25
ROW = PreRanker(
    XGBoostRanker("cheap", (("objective", "rank:ndcg"), ("max_depth", 3)), 10, shared=True),
    features=(PoolFeature(), TwoTowerFeature("net")),
    keep=KEEP,
)
CUT = replace(RECIPE, preranker=ROW)


@pytest.fixture(scope="module")
def out(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "out"
    assert run_steps(source, folder, recipe=CUT) == 0
    return folder


def planned(source: Path, out: Path) -> dict[str, str]:
    """The files that a run would make, and why."""
    with pytest.MonkeyPatch.context() as patch:
        worlds.register(patch, CUT)
        argv = ["--dataset", CUT.name, "--input", str(source), "--output", str(out)]
        steps = status.plan(parse("", Path(status.__file__), [*argv, "--engine", "cpu"]))
    assert not [step.missing for step in steps if step.missing]
    return {name: why for step in steps for name, why in step.reasons.items() if why}


def test_only_kept_candidates_are_scored_and_every_query_is_answered(out: Path) -> None:
    assert submitted(out, "test") == []
    for split in ("valid", "test"):
        tables = [
            pl.read_parquet(out / split / name / "*.parquet")
            for name in ("preranked", "scores", "pool")
        ]
        kept, scored, pool = (table.group_by("session").len().sort("session") for table in tables)
        assert kept["len"].max() == KEEP < pool["len"].max()
        assert scored.equals(kept)


def test_nothing_is_left_to_do_after_a_run(source: Path, out: Path) -> None:
    assert planned(source, out) == {}


def test_a_lost_cut_is_reported(source: Path, out: Path) -> None:
    lost = next((out / "test" / "preranked").glob("*.parquet"))
    saved = lost.read_bytes()
    lost.unlink()
    assert planned(source, out) == {lost.relative_to(out).as_posix(): status.NOT_MADE}
    lost.write_bytes(saved)
    assert planned(source, out) == {}


def test_the_causal_form_goes_to_the_end(source: Path, tmp_path: Path) -> None:
    assert run_steps(source, tmp_path / "out", recipe=CUT.causal()) == 0
    assert submitted(tmp_path / "out", "test") == []
