"""Train nets on batches of whole queries."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import polars as pl
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from src.core.arrays import I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches, train_in_epochs
from src.rankers.base import FitTask
from src.rankers.din import DINRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.model import NetModel

STOP_METRIC = "valid_mrr"


class NetTrainer:
    """Trains a net on the train queries; keeps the state with the best MRR of valid queries."""

    def __init__(self, model: NetModel, data: FoldQueries, seed: list[int]) -> None:
        self.model, self.data, self.seed = model, data, seed
        ranker, net = model.ranker, model.net
        self.stopping = EarlyStopping(STOP_METRIC, ranker.patience, ranker.epochs)
        self.log: Log = []
        dense = dict(net.named_parameters())
        items = dense.pop("item.weight")  # its gradients are sparse
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(dense.values(), lr=ranker.learning_rate),
            torch.optim.SparseAdam([items], lr=ranker.learning_rate),
        ]
        self.n_batches = max(1, -(-data.train.size // ranker.batch_size))
        self.step = 0
        self.best: dict[str, Tensor] = {}

    @property
    def done(self) -> bool:
        return self.stopping.done(self.log)

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train one epoch; return the log line: mean loss, and metrics of the valid queries."""
        number, losses = len(self.log), []
        order = np.random.default_rng([*self.seed, number]).permutation(self.data.train)
        for queries in progress(np.array_split(order, self.n_batches), number):
            batch = self.model.tensors(self.data.rows.batch(queries))
            score = self.model.net(batch)
            offsets = pad(batch["query"].bincount().cumsum(0), (1, 0))
            loss = Softmax()(score, batch["label"], offsets)
            self.update(loss)
            losses.append(loss.item())
        metrics = valid_metrics(self.model, self.data.rows, self.data.valid)
        return {"round": number, "train_loss": float(np.mean(losses))} | metrics

    def update(self, loss: Tensor) -> None:
        """Take a step of both optimizers; the learning rate falls linearly to 0."""
        ranker = self.model.ranker
        rate = ranker.learning_rate * (1 - self.step / (self.n_batches * ranker.epochs))
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1

    def keep(self) -> None:
        """Keep the current state as the best so far."""
        self.best = {name: value.clone() for name, value in self.model.net.state_dict().items()}


def fit(ranker: DINRanker, task: FitTask, data: FoldQueries) -> NetModel:
    """Train one net, write its logs, and return its best state."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    model = NetModel.new(ranker, data.scaler, data.n_event_types, task.engine, task.seed)
    trainer = NetTrainer(model, data, [task.seed, task.fold])
    total = trainer.n_batches * ranker.epochs
    with tqdm(total=total, desc=str(task), position=task.fold, leave=False, disable=None, delay=2,
              mininterval=1.0) as bar:  # fmt: skip

        def progress(batches: list[I64], epoch: int) -> Iterable[I64]:
            for queries in batches:
                yield queries
                bar.update()

        train_in_epochs(trainer, progress)
    model.net.load_state_dict(trainer.best)
    params = vars(ranker) | {"features": data.scaler.names, "items": len(data.scaler.items)}
    best = int(trainer.stopping.best(trainer.log)["round"])
    curve, seconds = pl.DataFrame(trainer.log), time.perf_counter() - start
    task.write_logs(curve, best, params, data.counts, seconds)
    return model


def valid_metrics(model: NetModel, rows: QueryRows, queries: I64) -> dict[str, float]:
    """Compute AUC over all rows of queries, and the mean reciprocal rank of the best positive."""
    score = model.score_queries(rows, queries)
    label = rows.labels(queries)
    size = np.diff(rows.offsets)[queries]
    first = np.cumsum(size) - size
    best = np.maximum.reduceat(np.where(label > 0, score, -np.inf), first)
    rank = np.add.reduceat(score > np.repeat(best, size), first, dtype=np.int64) + 1
    return {
        "valid_auc": float(roc_auc_score(label > 0, score)),
        STOP_METRIC: float((1 / rank).mean()),
    }
