"""Train a TwoTowerEmbedding with torch.

The loss is a sampled softmax of cosines (two_tower_loss.py).

A batch updates the vectors of its own items alone, with Adam's moments of these (lazy Adam). So its
cost does not depend on the number of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import I32, I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches
from src.data.sessions import Sessions
from src.embeddings.deterministic import deterministic_pool, made_ahead
from src.embeddings.two_tower_batches import (
    MICRO_BATCHES,
    Batch,
    MicroBatch,
    NegativeSampler,
    epoch_batches,
    split_positions,
)
from src.embeddings.two_tower_loss import sampled_softmax
from src.embeddings.two_tower_metrics import held_out_scores
from src.embeddings.two_tower_state import TrainingState, net_inputs
from src.embeddings.two_tower_vectors import TrainedTowers

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding


class TwoTowerTrainer:
    """Trains the net and the item vectors of one row on one split."""

    def __init__(
        self, sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str,
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.sessions, self.row, self.seed, self.pool = sessions, row, seed, pool
        self.positions, self.held_out = split_positions(sessions, seed)
        most = row.epochs_for(self.positions.size)
        self.stopping = EarlyStopping("recall_20", row.patience, most)
        self.sampler = NegativeSampler(sessions, row)
        self.state = TrainingState.new(row, sessions.n_items, n_types, seed, device)

    @property
    def log(self) -> Log:
        """A line per epoch: its number, the loss, recall@20 and MRR@5 of held-out positions."""
        return self.state.log

    @property
    def summary(self) -> dict[str, object]:
        """Entries of the progress line."""
        n, limit = self.positions.size, self.row.max_positions
        sampled = {"positions per epoch": limit} if n > limit else {}
        best = self.stopping.best(self.log)
        return {"positions": n, **sampled, "epochs": len(self.log), **best}

    @property
    def done(self) -> bool:
        """Whether all epochs are over, the last ones were not better, or there is no position."""
        return not self.positions.size or self.stopping.done(self.log)

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train on max_positions positions, or all; return the log line."""
        number, losses = len(self.log), []
        torch.manual_seed(self.seed * 1009 + number)
        rng = np.random.default_rng([self.seed, 2, number])
        batches = epoch_batches(self.positions, self.row, self.seed, number)
        total = self.stopping.max_epochs * len(batches)
        self.state.net.train()

        def batch_of(position: I32) -> Batch:
            return Batch.of(self.sessions, position, self.row, self.sampler, rng)

        for batch in made_ahead(self.pool, batch_of, progress(batches, number)):
            rate = self.row.learning_rate * max(1 - self.state.steps / total, 0.0)
            losses.append(self.train_batch(batch, rate) * batch.size)
        loss = sum(losses) / sum(position.size for position in batches)
        scores = held_out_scores(
            self.state, self.sessions, self.row, self.held_out, self.sampler.items, self.seed
        )
        return {"epoch": number, "loss": loss, **scores}

    def train_batch(self, batch: Batch, rate: float) -> float:
        """Train on a batch with this learning rate; return the mean loss of its positions."""
        state = self.state
        state.steps += 1
        items = state.tensor(batch.items)
        vectors = state.vectors.index_select(0, items).requires_grad_()
        unit = normalize(vectors)
        gradients_of = partial(self._gradients, batch, unit.detach().requires_grad_())
        results = self.pool.map(gradients_of, batch.micro_batches, batch.local_row)
        losses, gradients = zip(*results, strict=True)  # in order, whichever thread ends first
        of_unit, *of_net = (sum(terms) for terms in zip(*gradients, strict=True))
        for parameter, gradient in zip(state.net.parameters(), of_net, strict=True):
            parameter.grad = gradient
        for group in state.adam.param_groups:
            group["lr"] = rate
        state.adam.step()
        torch.autograd.backward(unit, of_unit)
        assert vectors.grad is not None
        with torch.no_grad():
            state.update(items, vectors, vectors.grad, rate)
        return float(sum(losses))

    def _gradients(
        self, batch: Batch, unit: Tensor, part: MicroBatch, local_row: I64
    ) -> tuple[float, tuple[Tensor, ...]]:
        """Compute the loss, and its gradients by the unit vectors and the parameters of the net.

        local_row: rows in `unit` of the micro-batch's items.
        """
        torch.set_num_threads(1)
        state, targets = self.state, part.targets
        event_row, target_row = np.split(local_row, [part.sequences.item.size])
        inputs = net_inputs(part.sequences, event_row, part.mask, unit.device)
        session = state.net.encode(unit, inputs)
        query = state.net.query(session[state.tensor(targets.position)], state.tensor(targets.type))
        query = query / self.row.temperature
        loss = sampled_softmax(query, unit, targets, target_row, batch.negatives) / batch.size
        return float(loss.detach()), torch.autograd.grad(loss, [unit, *state.net.parameters()])

    def keep(self) -> None:
        """Keep the net and the vectors as the best so far."""
        self.state.keep()

    def best_towers(self) -> TrainedTowers:
        """Return the towers of the best epoch; ends the training."""
        self.state.restore_best()
        self.state.net.eval()
        return TrainedTowers(self.state, self.sessions, self.row, self.sampler.items)

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        self.state.save(path)

    def load(self, path: Path) -> None:
        """Read the state from a file that `save` wrote."""
        self.state.load(path)


@contextmanager
def deterministic_trainer(
    sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str
) -> Iterator[TwoTowerTrainer]:
    """Yield a trainer inside `deterministic_pool`; a thread of it makes the next batch."""
    with deterministic_pool(MICRO_BATCHES + 1) as pool:
        yield TwoTowerTrainer(sessions, row, n_types, seed, device, pool)
