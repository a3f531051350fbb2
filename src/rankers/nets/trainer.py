"""Train nets on batches of whole queries."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from src.core import store
from src.core.arrays import I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches, train_in_epochs
from src.rankers.base import FitTask
from src.rankers.losses.per_task import PerTask
from src.rankers.net import NetRanker
from src.rankers.nets.importance import importance
from src.rankers.nets.inputs import FoldQueries
from src.rankers.nets.model import NetModel
from src.rankers.nets.valid_metrics import column_of, valid_metrics
from src.rankers.rounds import Rounds


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
            scores = scores + batch["correction"] if ranker.loss.is_of_odds else scores
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
            ranker, scaler, data.n_event_types, task.engine, task.seed, data.objectives,
            data.vectors,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"ranker {ranker.name}: {error}") from error
    trainer = NetTrainer(model, data, [task.seed, task.fold])
    with Rounds(task, ranker.epochs, every=1, steps=trainer.steps, unit="epoch") as epochs:

        def progress(batches: list[Any], epoch: int) -> Iterable[Any]:
            for batch in batches:
                yield batch
                epochs.bar.update()

        train_in_epochs(trainer, progress, lambda: epochs.end(*ended(trainer.log)))
    model.load_state(trainer.best)
    store.write_text(task.logs / "importance.csv", importance(model, data, task.seed).write_csv())
    for file, table in ranker.net.log_tables(model, data).items():
        store.write_text(task.logs / file, table.write_csv())
    rows = {"net": repr(ranker.net), "loss": repr(ranker.loss), "stop": str(ranker.stop)}
    params = vars(ranker) | rows | {"features": scaler.names, "items": len(scaler.items)}
    best = int(trainer.stopping.best(trainer.log)["round"])
    curve, seconds = pl.DataFrame(trainer.log), time.perf_counter() - start
    task.write_logs(curve, best, params, data.counts, seconds)
    return model


def ended(log: Log) -> tuple[int, Line]:
    """Return the number of the last epoch, and its loss and metrics."""
    return int(log[-1]["round"]), {k: value for k, value in log[-1].items() if k != "round"}


def sparse_names(net: nn.Module) -> list[str]:
    """List the names of the parameters whose gradients are sparse: tables of item vectors."""
    tables = ((name, part) for name, part in net.named_modules() if isinstance(part, nn.Embedding))
    return [f"{name}.weight" for name, table in tables if table.sparse]
