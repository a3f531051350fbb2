"""Train nets on batches of whole queries."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from src.core import store
from src.core.arrays import F32, I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches, train_in_epochs
from src.metrics.base import Metric
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.query_scores import score_ranks
from src.rankers.base import FitTask
from src.rankers.losses.per_task import PerTask
from src.rankers.net import NetRanker
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.model import NetModel


class OneNet:
    """A net with its optimizers and its draws."""

    def __init__(self, model: NetModel, data: FoldQueries, number: int, seed: list[int]) -> None:
        self.model, self.data, self.net = model, data, model.nets[number]
        self.seed = [*seed, number] if number else seed
        ranker = model.ranker
        weight_of = dict(ranker.net.weights)
        self.weights = tuple(weight_of.get(name, 1.0) for name in model.objectives)
        dense = dict(self.net.named_parameters())
        sparse = [dense.pop(name) for name in sparse_names(self.net)]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                dense.values(), lr=ranker.learning_rate, weight_decay=ranker.weight_decay
            )
        ]
        if sparse:
            self.optimizers.append(torch.optim.SparseAdam(sparse, lr=ranker.learning_rate))
        self.n_batches = max(1, -(-data.train.size // ranker.batch_size))
        self.step = 0

    @property
    def progress(self) -> float:
        """Share of the steps that are done, if no epoch is saved."""
        return self.step / (self.n_batches * self.model.ranker.epochs)

    def batches(self, epoch: int) -> list[tuple[OneNet, I64, torch.Generator]]:
        """Shuffle the train queries of an epoch into batches; the loss draws by the generator."""
        rng = np.random.default_rng([*self.seed, epoch])
        order = rng.permutation(self.data.train)
        draws = torch.Generator()
        draws.manual_seed(int(rng.integers(2**62)))
        self.net.train()
        return [(self, queries, draws) for queries in np.array_split(order, self.n_batches)]

    def train(self, queries: I64, draws: torch.Generator) -> float:
        """Take a step of the optimizers on a batch; return its loss.

        The learning rate falls linearly to 0.
        """
        batch, ranker = self.model.tensors(self.data.rows.batch(queries)), self.model.ranker
        loss_at, loss = ranker.loss.at(self.progress), torch.zeros(())
        if self.weights:
            loss_at = PerTask(loss_at, self.weights)
        for weight, scores in self.net.branches(batch):
            loss = loss + weight * loss_at(scores, batch["label"], batch["offsets"], draws)
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = ranker.learning_rate * (1 - self.progress)
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return loss.item()


class NetTrainer:
    """Trains the nets of a model, epoch by epoch beside each other.

    It keeps the state where their mean score is best on the valid queries.
    """

    def __init__(self, model: NetModel, data: FoldQueries, seed: list[int]) -> None:
        self.model, self.data, ranker = model, data, model.ranker
        self.nets = [OneNet(model, data, number, seed) for number in range(ranker.nets)]
        self.stopping = EarlyStopping(column_of(ranker.stop), ranker.patience, ranker.epochs)
        self.log: Log = []
        self.best: list[dict[str, Tensor]] = []

    @property
    def done(self) -> bool:
        return self.stopping.done(self.log)

    @property
    def steps(self) -> int:
        """Number of batches of all epochs and nets."""
        return self.model.ranker.epochs * sum(net.n_batches for net in self.nets)

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train one epoch; return the log line: mean loss, and metrics of the valid queries."""
        number = len(self.log)
        batches = [batch for net in self.nets for batch in net.batches(number)]
        losses = [net.train(queries, draws) for net, queries, draws in progress(batches, number)]
        metrics = valid_metrics(self.model, self.data.rows, self.data.valid)
        return {"round": number, "train_loss": float(np.mean(losses))} | metrics

    def keep(self) -> None:
        """Keep the current state as the best so far."""
        self.best = [{n: value.clone() for n, value in s.items()} for s in self.model.state()]


def fit(ranker: NetRanker, task: FitTask, data: FoldQueries) -> NetModel:
    """Train the nets of one model, write its logs, and return its best state."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    scaler = data.rows.scaler
    try:
        model = NetModel.new(
            ranker, scaler, data.n_event_types, task.engine, task.seed, data.objectives
        )
    except ValueError as error:
        raise ValueError(f"ranker {ranker.name}: {error}") from error
    trainer = NetTrainer(model, data, [task.seed, task.fold])
    with tqdm(total=trainer.steps, desc=str(task), position=task.fold, leave=False, disable=None,
              delay=2, mininterval=1.0) as bar:  # fmt: skip

        def progress(batches: list[Any], epoch: int) -> Iterable[Any]:
            for batch in batches:
                yield batch
                bar.update()

        train_in_epochs(trainer, progress)
    model.load_state(trainer.best)
    for file, table in ranker.net.log_tables(model, data).items():
        store.write_text(task.logs / file, table.write_csv())
    rows = {"net": repr(ranker.net), "loss": repr(ranker.loss), "stop": str(ranker.stop)}
    params = vars(ranker) | rows | {"features": scaler.names, "items": len(scaler.items)}
    best = int(trainer.stopping.best(trainer.log)["round"])
    curve, seconds = pl.DataFrame(trainer.log), time.perf_counter() - start
    task.write_logs(curve, best, params, data.counts, seconds)
    return model


def sparse_names(net: nn.Module) -> list[str]:
    """List the names of the parameters whose gradients are sparse: tables of item vectors."""
    tables = ((name, part) for name, part in net.named_modules() if isinstance(part, nn.Embedding))
    return [f"{name}.weight" for name, table in tables if table.sparse]


def column_of(metric: Metric) -> str:
    """Return the column of the log that holds a metric of the valid queries."""
    return f"valid_{metric}".replace("@", "_")


def valid_metrics(model: NetModel, rows: QueryRows, queries: I64) -> dict[str, float]:
    """Compute AUC over all rows of queries (0.5 if all are alike), and the metric that stops.

    Of a multi-task net, both are means over the objectives.
    """
    score, label = model.score_queries(rows, queries), rows.labels(queries)
    query = np.repeat(np.arange(queries.size), np.diff(rows.offsets)[queries])
    metric = model.ranker.stop
    if not model.objectives:
        return metrics_of(query, score, label, metric)
    every = []
    for score_of_task, label_of_task in zip(score.T, label.T, strict=True):
        known = ~np.isnan(label_of_task)
        every.append(metrics_of(query[known], score_of_task[known], label_of_task[known], metric))
    return {name: float(np.mean([task[name] for task in every])) for name in every[0]}


def metrics_of(query: I64, score: F32, label: F32, metric: Metric) -> dict[str, float]:
    """Compute AUC over all rows, and the mean of a metric over queries; query: ascending."""
    first = np.searchsorted(query, query)
    rank = np.empty(query.size, np.int32)
    rank[np.lexsort((-score, query))] = np.arange(query.size) - first
    positive = label > 0
    one_class = positive.all() or not positive.any()
    if isinstance(metric, PooledMetric):
        scores = pooled_scores(query, score, label, metric)
    else:
        scores = score_ranks(query, rank, label, metric)
    return {
        "valid_auc": 0.5 if one_class else float(roc_auc_score(positive, score)),
        column_of(metric): scores.score(),
    }
