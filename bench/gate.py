"""Compare a gated content tower with plain inputs on a planted log with new items.

    python -m bench.gate [--seeds 6]

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
from src.core.arrays import F64, I64
from src.core.engines import resolve
from src.metrics.auc import AUC
from src.rankers.base import FitTask
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.alphas import alphas
from src.rankers.nets.base import InputSizes, Net
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.inputs import FoldQueries, QueryRows, no_events
from src.rankers.nets.mlp import MLP
from src.rankers.nets.modules.content_gate import ContentGateModule
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.trainer import fit
from src.rankers.train_set import TrainSet

ROWS, TEXT = 40_000, 16
TEXTS = [f"text_{n}" for n in range(TEXT)]
NUMBERS = ["user_count", "user_rate", "item_count", "item_rate", *TEXTS]
LEVELS = {"zero": (0, 1), "few": (1, 5), "warm": (5, ROWS)}
"""Earlier rows of the item, from and until."""


class World(NamedTuple):
    """What texts tell, and how many rows of new items there are to learn from."""

    of_text: tuple[float, ...]  # share of the variance of an appeal, by level
    kept: float = 1.0  # share of the train rows below the level warm


WORLDS = {
    "new items are common": World((0.5, 0.5, 0.5)),
    "new items are rare in training": World((0.5, 0.5, 0.5), 0.03),
    "texts are noise": World((0.0, 0.0, 0.0)),
    "texts tell of new items only": World((1.0, 0.5, 0.0)),
}
GROUPS = 2  # of users; an item appeals to each in its own way
LIFE = 0.3  # mean time from the arrival of an id to a row of it, as a share of the log
TRAIN, STOP = 0.65, 0.75  # ends of the parts, as shares of the rows


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


class Log(NamedTuple):
    """A planted log: features by name, and of each row its label, item, level and part."""

    columns: dict[str, F64]
    label: F64
    item: I64
    level: I64
    part: I64  # 0 to learn from, 1 to stop, 2 to score; ascending


def as_of(key: I64, label: F64) -> tuple[F64, F64]:
    """Count the earlier rows of each row's key, and compute their click rate, missing if none."""
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], key[order])
    before = np.cumsum(label[order]) - label[order]
    count, clicks = np.empty(key.size), np.empty(key.size)
    count[order], clicks[order] = np.arange(key.size) - first, before - before[first]
    with np.errstate(invalid="ignore"):
        return count, clicks / count


def arrivals(rng: np.random.Generator, rows: int) -> I64:
    """Draw ids in time order: each arrives at some time, and comes back a few times or often."""
    times = 1 + np.minimum(rng.pareto(0.7, rows), 1000).astype(int)
    ids = np.repeat(np.arange(rows), times)
    at = rng.random(rows)[ids] + rng.exponential(LIFE, ids.size)
    chosen = np.sort(rng.permutation(np.flatnonzero(at < 1))[: 4 * rows])
    return ids[chosen[np.argsort(at[chosen], kind="stable")]][:rows]


def planted_log(world: World, seed: int, rows: int = ROWS) -> Log:
    """Draw a log; the first rows are those to learn from."""
    rng = np.random.default_rng(seed)
    item, user = arrivals(rng, rows), arrivals(rng, rows)
    text, taste = rng.normal(size=(rows, TEXT)), 0.7 * rng.normal(size=rows)
    own, group = rng.normal(size=(rows, GROUPS)), rng.integers(0, GROUPS, rows)
    told = (text[:, 0] * text[:, 1] + text[:, 2] + text[:, 3]) / 3**0.5
    count, _ = as_of(item, np.zeros(rows))
    level = np.digitize(count, [end for _, end in LEVELS.values()][:-1])
    share = np.array(world.of_text)[level]
    appeal = share**0.5 * told[item] + (1 - share) ** 0.5 * own[item, group[user]]
    text[rng.random(rows) < 0.1] = np.nan
    logit = 2 * appeal + taste[user]
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    columns: dict[str, F64] = {}
    for name, key in (("user", user), ("item", item)):
        columns[f"{name}_count"], columns[f"{name}_rate"] = as_of(key, label)
    columns |= dict(zip(TEXTS, text[item].T, strict=True))
    columns["group"] = group[user].astype(float)
    cold = (level < 2) & (np.arange(rows) < STOP * rows)
    kept = ~cold | (rng.random(rows) < world.kept)
    part = np.digitize(np.arange(rows), [TRAIN * rows, STOP * rows])
    columns = {name: values[kept] for name, values in columns.items()}
    return Log(columns, label[kept], item[kept], level[kept], part[kept])


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
        "label_x": log.label[:stop].astype(np.float32),
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


def lines(world: str, found: dict[str, list[Result]], what: str) -> Iterator[list[str]]:
    """Format the means of each net, and its differences to the plain one."""
    base = np.array([getattr(r, what) for r in found["plain"]])
    for name, results in found.items():
        value = np.array([getattr(r, what) for r in results])
        cells = [f"{mean:.4f}" for mean in value.mean(0)]
        if name != "plain":
            deltas = [" ".join(delta(value[:, c], base[:, c])) for c in range(value.shape[1])]
            cells = [f"{cell}, {change}" for cell, change in zip(cells, deltas, strict=True)]
        yield [world, name, *cells]


def main(argv: list[str]) -> int:
    """Train, print, append."""
    parser = argparse.ArgumentParser(prog="bench.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args(argv)
    tables: dict[str, list[list[str]]] = {"auc": [], "loss": [], "alpha": []}
    for world, facts in WORLDS.items():
        found: dict[str, list[Result]] = {name: [] for name in NETS}
        for seed in range(args.seeds):
            log = planted_log(facts, seed)
            for name, net in NETS.items():
                with tempfile.TemporaryDirectory() as folder:
                    found[name].append(trained(net, log, Path(folder), seed))
                print(world, seed, name, *(f"{x:.4f}" for x in found[name][-1].auc), flush=True)
        for what in ("auc", "loss"):
            tables[what] += lines(world, found, what)
        for name, results in found.items():
            alpha = np.mean([r.alpha for r in results], axis=0)
            if not np.isnan(alpha).any():
                tables["alpha"].append([world, name, *(f"{x:.3f}" for x in alpha)])
    origin = measure.origin(argv, "bench.gate")
    for what, words in (("auc", "AUC"), ("loss", "log loss"), ("alpha", "mean alpha")):
        heading = measure.title(origin, f"{args.seeds} seeds", words)
        head = ("world", "net", *LEVELS, "all")
        measure.append_table(heading, measure.table(head, tables[what]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
