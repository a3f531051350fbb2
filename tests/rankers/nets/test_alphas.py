"""The logged mean of a gate's alpha by coldness.

pytest tests/rankers/nets/test_alphas.py
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pytest
from graded import graded_lists, rows_of, trained

from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.alphas import alphas, levels
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.mlp import MLP
from src.rankers.nets.model import NetModel
from src.rankers.nets.scaling import MAX_DEVIATION

GATE = ContentGate(MLP((8,)), ("a",), (History("rank", ("b",)),), ("taste",), (8,))
ROW = NetRanker("x", GATE, Softmax(), batch_size=16, epochs=2)


def test_the_logs_tell_mean_alphas_by_coldness(tmp_path: Path) -> None:
    """`rank` is the count here: 1, 2, ...; missing is none."""
    lists = graded_lists(tmp_path)
    data = rows_of(ROW, lists, tmp_path)
    model = trained(ROW, lists, tmp_path)
    found = pl.read_csv(tmp_path / "logs_0" / "alpha.csv")
    alpha = alphas(model, data.rows, data.valid)[:, 0]
    count = np.nan_to_num(lists.load(lists.fold == 0, ["rank"])[:, 0])
    assert found.columns == ["scene", "rank", "rows", "alpha"] and found["scene"].null_count() == 3
    for level, some in (("zero", count == 0), ("1-4", (count > 0) & (count < 5)),
                        ("5+", count >= 5)):  # fmt: skip
        (line,) = found.filter(rank=level).rows(named=True)
        assert line["rows"] == some.sum() > 9
        assert line["alpha"] == pytest.approx(alpha[some].mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        (np.log1p(0.01), 0.05, ["zero", None, None, None]),  # hardly any row has a history
        (np.log1p(1000), 0.3, [None, None, "5+", "5+"]),  # nearly all have a long one
        (np.log1p(4), 1.0, ["zero", "1-4", "5+", "5+"]),
    ],
)
def test_a_count_that_is_cut_off_has_no_level(
    mean: float, deviation: float, expected: list[str | None]
) -> None:
    scaler = SimpleNamespace(names=["other", "n"], mean=[0, mean], std=[1, deviation])
    scaled = (np.log1p([0, 3, 300, 2000]) - mean) / deviation
    numbers = np.zeros((4, 2), np.float16)
    numbers[:, 1] = np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION)
    model = cast(NetModel, SimpleNamespace(scaler=scaler))
    assert levels(model, numbers, "n").to_list() == expected
