"""Lines about rounds: in a pipe alone, every so many.

pytest tests/rankers/test_rounds.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.rounds import Rounds
from src.rankers.xgb import XGBoostRanker

TREES = XGBoostRanker("trees", (("objective", "rank:ndcg"),))


@pytest.mark.parametrize("piped", [True, False])
def test_lines_in_a_pipe(piped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = FitTask(TREES, "orders", 2, tmp_path, resolve("cpu"), 5)
    with Rounds(task, 5, every=2) as rounds:
        rounds.piped = piped
        for number in range(5):
            rounds.end(number, {"auc": 0.5, "ndcg@5": number / 8})
    start = f"{'orders trees, fold 2':<34} round"
    lines = [f"{start} 2 of 5  auc 0.5000  ndcg@5 0.1250",
             f"{start} 4 of 5  auc 0.5000  ndcg@5 0.3750"]  # fmt: skip
    assert capsys.readouterr().out.splitlines() == (lines if piped else [])
