"""Compare a gated content tower with plain inputs on a planted log with new items.

    python -m bench.gate [--seeds 5]

A log of clicks in time order. Items arrive one by one, with a text; texts tell a part of how an
item appeals to two groups of users. What is left shows in an item's earlier rows alone. Four worlds
differ in what texts tell, and in how many rows of new items there are to learn from. The first .65
of the log are rows to learn from, the next tenth stops the training, the rest is scored.

Prints AUC and log loss by the item's earlier rows, in means over seeds, with the paired difference
to the perceptron over all columns and its 95 % interval of Student's t; then the mean alpha.
Appends the tables to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn

from bench import measure
from bench.census import delta
from bench.gate_world import LEVELS, WORLDS, Log, planted_log
from src.core.arrays import F64, I64
from src.core.engines import resolve
from src.metrics.auc import AUC
from src.rankers.base import FitTask
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.alphas import alphas
from src.rankers.nets.base import InputSizes, Net
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.mlp import MLP
from src.rankers.nets.modules.content_gate import ContentGateModule
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.trainer import fit
from src.rankers.train_set import TrainSet


class FixedGate(ContentGateModule):
    """A gate that sees nothing; its value is fixed, or learned as one number."""

    def __init__(self, row: FixedContent, sizes: InputSizes) -> None:
        super().__init__(row, sizes)
        self.fixed, self.logit = row.share, nn.Parameter(torch.zeros(1))

    def alpha(self, backbone: Tensor, content: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the same value for each row."""
        value = self.logit.sigmoid() if self.fixed is None else torch.tensor([self.fixed])
        return value.expand_as(content)


@dataclass(frozen=True)
class FixedContent(ContentGate):
    """A content tower with a fixed share; None: learned."""

    share: float | None = None

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the parts."""
        return FixedGate(self, sizes)


BASE = MLP((64, 32), dim=8)
PARTS: dict[str, Any] = {
    "content": ("text_",), "histories": (
        History("user_count", ("user_",)), History("item_count", ("item_",), items=True),
    ), "hidden": (32,),
}  # fmt: skip
GATED = ContentGate(BASE, **PARTS)
NETS: dict[str, Net] = {
    "plain": BASE,
    "plain, histories hidden": FixedContent(BASE, **PARTS, share=0.0, branch_weight=0.0),
    "gate": GATED,
    "gate, no history hidden": replace(GATED, hidden_histories=0.0),
    "one alpha, learned": FixedContent(BASE, **PARTS),
    "mean of both": FixedContent(BASE, **PARTS, share=0.5),
}
OTHERS = ("plain, histories hidden", "mean of both", "one alpha, learned")
"""Nets with one part of the gate; only where new items are rare in training."""
FIRST_SEED = 10  # logs of seeds below chose how the nets are trained


class Result(NamedTuple):
    """AUC and log loss of the scored rows by level and of all, and the mean alpha by level."""

    auc: list[float]
    loss: list[float]
    alpha: list[float]


def trained(net: Net, log: Log, folder: Path, seed: int) -> Result:
    """Train on the first rows, and score the last."""
    rows = log.label.size
    row = NetRanker(
        "x", net, BCE(), stop=AUC(), categories=("group",), max_items=rows, min_count=20,
        batch_size=256, epochs=24, patience=6, learning_rate=0.008,
    )  # fmt: skip
    train, stop = np.searchsorted(log.part, [1, 2]).tolist()
    X = np.column_stack([*log.columns.values()]).astype(np.float32)
    frame = pl.DataFrame({
        "session": np.arange(stop, dtype=np.int32), "item": log.item[:stop].astype(np.int32),
        "fold": (np.arange(stop) < train).astype(np.int8),
        "label:x": log.label[:stop].astype(np.float32),
        **dict(zip(log.columns, X[:stop].T, strict=True)),
    })  # fmt: skip
    path = folder / "rows.parquet"
    frame.write_parquet(path)
    task = FitTask(row, "x", 0, folder / "logs", resolve("cpu"), seed)
    train_set = TrainSet.read([path], ["x"])
    data = FoldQueries.read(row, task, train_set, no_events(stop), 1)
    model = fit(row, task, data)
    order = [list(log.columns).index(name) for name in model.scaler.columns]
    n = rows - stop
    scored = QueryRows.of(
        model.scaler, np.arange(n + 1), log.label[stop:].astype(np.float32),
        log.item[stop:].astype(np.int32), [X[stop:, order]], no_events(n),
    )  # fmt: skip
    score = model.score_queries(scored, np.arange(n)).astype(float)
    alpha = alphas(model, scored, np.arange(n))[:, 0] if isinstance(net, ContentGate) else None
    return result(score, log.label[stop:], log.level[stop:], alpha)


def result(score: F64, label: F64, level: I64, alpha: np.ndarray | None) -> Result:
    """Compute the figures of each level, and of all rows."""
    found = Result([], [], [])
    for of_level in (level == 0, level == 1, level == 2, level >= 0):
        y, s = label[of_level], score[of_level]
        found.auc.append(float(roc_auc_score(y, s)))
        found.loss.append(float(log_loss(y, 1 / (1 + np.exp(-s)))))
        found.alpha.append(float("nan") if alpha is None else float(alpha[of_level].mean()))
    return found


def lines(found: dict[str, list[Result]], what: str) -> Iterator[list[str]]:
    """Format the means of each net, and its differences to the plain one."""
    base = np.array([getattr(r, what) for r in found["plain"]])
    for name, results in found.items():
        value = np.array([getattr(r, what) for r in results])
        cells = [f"{mean:.4f}" for mean in value.mean(0)]
        if name != "plain":
            deltas = [" ".join(delta(value[:, c], base[:, c])) for c in range(value.shape[1])]
            cells = [f"{cell}, {change}" for cell, change in zip(cells, deltas, strict=True)]
        yield [name, *cells]


def alphas_of(found: dict[str, list[Result]]) -> Iterator[list[str]]:
    """Format the mean alphas of each net with a gate."""
    for name, results in found.items():
        if type(NETS[name]) is ContentGate:
            yield [name, *(f"{x:.3f}" for x in np.mean([r.alpha for r in results], axis=0))]


def main(argv: list[str]) -> int:
    """Train, print, append the tables of each world."""
    parser = argparse.ArgumentParser(prog="bench.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args(argv)
    origin = measure.origin(argv, "bench.gate")
    for world, facts in WORLDS.items():
        found: dict[str, list[Result]] = {
            name: [] for name in NETS if facts.kept < 1 or name not in OTHERS
        }
        for seed in range(FIRST_SEED, FIRST_SEED + args.seeds):
            log = planted_log(facts, seed)
            for name in found:
                with tempfile.TemporaryDirectory() as folder:
                    found[name].append(trained(NETS[name], log, Path(folder), seed))
                print(world, seed, name, *(f"{x:.4f}" for x in found[name][-1].auc), flush=True)
        for what, words in (("auc", "AUC"), ("loss", "log loss"), ("alpha", "mean alpha")):
            heading = measure.title(origin, f"{args.seeds} seeds", world, words)
            rows = lines(found, what) if what != "alpha" else alphas_of(found)
            measure.append_table(heading, measure.table(("net", *LEVELS, "all"), rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
