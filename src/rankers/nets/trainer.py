"""Train nets on whole queries, and score with them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from src.core.arrays import F32, I64
from src.core.engines.base import Engine
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches, train_in_epochs
from src.data.shards import batches
from src.rankers.base import FitTask, RankerModel
from src.rankers.din import DINRanker
from src.rankers.losses import softmax_loss
from src.rankers.nets.inputs import FoldQueries, InputScaler, QueryRows, last_events

if TYPE_CHECKING:
    from src.rankers.batches import CandidateBatch

SCORED_QUERIES = 100  # at a time
STOP_BY = "valid_mrr"

_seeding = Lock()  # all threads of a process share torch's random numbers


@dataclass
class NetModel(RankerModel):
    """A net with the scaler of its inputs."""

    ranker: DINRanker
    scaler: InputScaler
    net: nn.Module
    engine: Engine

    @classmethod
    def new(
        cls, ranker: DINRanker, scaler: InputScaler, n_event_types: int, engine: Engine, seed: int
    ) -> Self:
        """Initialise a net, the same for the same seed."""
        with _seeding:
            torch.manual_seed(seed)
            net = ranker.net(scaler.sizes(n_event_types))
        return cls(ranker, scaler, net.to(engine.device), engine)

    @property
    def names(self) -> list[str]:
        return self.scaler.columns

    def save(self, path: Path) -> None:
        """Write the net and the scaler to a file."""
        scaler = {name: _tensors(value) for name, value in vars(self.scaler).items()}
        torch.save({"scaler": scaler, "net": self.net.state_dict()}, path)

    @classmethod
    def load(cls, ranker: DINRanker, path: Path, n_event_types: int, engine: Engine) -> Self:
        """Read what `save` wrote for the same ranker; nothing is unpickled but tensors and text."""
        parts = torch.load(path, map_location="cpu", weights_only=True)
        scaler = InputScaler(**{name: _arrays(value) for name, value in parts["scaler"].items()})
        net = ranker.net(scaler.sizes(n_event_types))
        net.load_state_dict(parts["net"])
        return cls(ranker, scaler, net.to(engine.device), engine)

    def scores(self, batch: CandidateBatch) -> F32:
        """Score the candidates of a batch by their features and their sessions' last events."""
        pool = batch.pool
        sessions = np.arange(pool.first, pool.end)
        histories = last_events(batch.data.sessions, sessions, self.ranker.max_len)
        columns = [batch.names.index(name) for name in self.names]
        X = batch.X[np.ix_(batch.rows, np.array(columns, np.int64))]
        no_label = np.zeros(pool.item.size, np.int8)
        rows = QueryRows.of(self.scaler, pool.offsets, no_label, pool.item, [X], histories)
        return self.score_queries(rows, np.arange(pool.n_queries), self.engine.threads)

    def score_queries(self, rows: QueryRows, queries: I64, threads: int = 1) -> F32:
        """Score all rows of some queries; the same on any number of threads."""

        def score(some: I64) -> F32:
            with torch.no_grad():
                scores: F32 = self.net(self.tensors(rows.batch(some))).cpu().numpy()
            return scores

        parts = [queries[a:b] for a, b in batches(0, queries.size, SCORED_QUERIES)]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate([np.empty(0, np.float32), *pool.map(score, parts)])

    def tensors(self, batch: dict[str, NDArray]) -> dict[str, Tensor]:
        """Move a batch to where the net is."""
        device = self.engine.device
        return {name: torch.from_numpy(value).to(device) for name, value in batch.items()}


def _tensors(value: Any) -> Any:
    """Turn arrays, also in lists, into tensors."""
    if isinstance(value, list):
        return [_tensors(inner) for inner in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    """Turn tensors, also in lists, into arrays."""
    if isinstance(value, list):
        return [_arrays(inner) for inner in value]
    return value.numpy() if isinstance(value, Tensor) else value


class NetTrainer:
    """Trains a net on the train queries; keeps the state that ranks the valid queries best."""

    def __init__(self, model: NetModel, data: FoldQueries, seed: list[int]) -> None:
        self.model, self.data, self.seed = model, data, seed
        ranker, net = model.ranker, model.net
        self.stopping = EarlyStopping(STOP_BY, ranker.patience, ranker.epochs)
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
        """Train one epoch: the mean loss, and the metrics of the valid queries."""
        number, losses = len(self.log), []
        order = np.random.default_rng([*self.seed, number]).permutation(self.data.train)
        for queries in progress(np.array_split(order, self.n_batches), number):
            batch = self.model.tensors(self.data.rows.batch(queries))
            score = self.model.net(batch)
            loss = softmax_loss(score, batch["query"], batch["position"], batch["label"])
            self.update(loss)
            losses.append(loss.item())
        metrics = valid_metrics(self.model, self.data.rows, self.data.valid)
        return {"round": number, "train_loss": float(np.mean(losses))} | metrics

    def update(self, loss: Tensor) -> None:
        """Step both optimizers; the learning rate falls linearly to 0."""
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
        """Keep the present state as the best so far."""
        self.best = {name: value.clone() for name, value in self.model.net.state_dict().items()}


def fit(ranker: DINRanker, task: FitTask, data: FoldQueries) -> NetModel:
    """Train one net, write its logs, and return it in its best state."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    model = NetModel.new(ranker, data.scaler, data.n_event_types, task.engine, task.seed)
    trainer = NetTrainer(model, data, [task.seed, task.fold])
    total = trainer.n_batches * ranker.epochs
    with tqdm(total=total, desc=str(task), position=task.fold, leave=False, disable=None, delay=2,
              mininterval=1.0) as bar:  # fmt: skip

        def progress(parts: list[I64], epoch: int) -> Iterable[I64]:
            for queries in parts:
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
    """AUC of all rows of some queries, and the mean reciprocal rank of the best positive."""
    score = model.score_queries(rows, queries)
    label = rows.labels(queries)
    size = np.diff(rows.offsets)[queries]
    first = np.cumsum(size) - size
    best = np.maximum.reduceat(np.where(label == 1, score, -np.inf), first)
    rank = np.add.reduceat(score > np.repeat(best, size), first, dtype=np.int64) + 1
    return {
        "valid_auc": float(roc_auc_score(label == 1, score)),
        STOP_BY: float((1 / rank).mean()),
    }
