"""Train a TwoTowerEmbedding with torch: items of the next events against drawn items.

The loss is a sampled softmax of cosines at a low temperature, corrected for how likely each item
was drawn (Bengio and Senecal, 2008; Yi et al., 2019).

A batch changes its own items only: their vectors and Adam's two moments are gathered, updated and
put back (lazy Adam). So the cost of a batch does not depend on the number of items.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import I32, I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches
from src.data.sessions import Sessions
from src.embeddings.two_tower_batches import (
    MicroBatch,
    NegativeSampler,
    SampledNegatives,
    epoch_batches,
    split_positions,
)
from src.embeddings.two_tower_metrics import held_out_scores
from src.embeddings.two_tower_state import TrainingState
from src.embeddings.two_tower_vectors import TrainedTowers

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

MICRO_BATCHES = 2
"""Parts of a batch, a thread each. Bytes depend on this number, not on that of threads."""


class TwoTowerTrainer:
    """One row on one split: positions in, item vectors and query vectors out."""

    def __init__(
        self, sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str,
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.sessions, self.row, self.seed, self.pool = sessions, row, seed, pool
        self.stopping = EarlyStopping("recall_20", row.patience, row.epochs)
        self.positions, self.held_out = split_positions(sessions, row, seed)
        self.sampler = NegativeSampler(sessions, row)
        self.state = TrainingState.new(row, sessions.n_items, n_types, seed, device)

    @property
    def log(self) -> Log:
        """A line per epoch: its number, loss, recall@20 and mrr@5."""
        return self.state.log

    @property
    def summary(self) -> dict[str, object]:
        """Entries of the progress line."""
        n, most = self.positions.size, self.row.max_positions
        part = {"positions per epoch": most} if n > most else {}
        best = self.stopping.best(self.log)
        return {"positions": n, **part, "epochs": len(self.log), **best}

    @property
    def done(self) -> bool:
        """Whether all epochs are over, or the last ones did not help, or there is no position."""
        return not self.positions.size or self.stopping.done(self.log)

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train on one epoch's positions; return loss, recall@20 and mrr@5."""
        number, losses = len(self.log), []
        torch.manual_seed(self.seed * 1009 + number)
        rng = np.random.default_rng([self.seed, 2, number])
        batches = epoch_batches(self.positions, self.row, self.seed, number)
        total = self.row.epochs * len(batches)
        self.state.net.train()
        for batch in progress(batches, number):
            rate = self.row.learning_rate * max(1 - self.state.steps / total, 0.0)
            losses.append(self.train_batch(batch, rng, rate) * batch.size)
        loss = sum(losses) / sum(batch.size for batch in batches)
        scores = held_out_scores(
            self.state, self.sessions, self.row, self.held_out, self.sampler.items, self.seed
        )
        return {"epoch": number, "loss": loss, **scores}

    def train_batch(self, position: I32, rng: np.random.Generator, rate: float) -> float:
        """Train on a batch of positions; return their mean loss."""
        state = self.state
        state.steps += 1
        drawn, log_chance = self.sampler.draw(rng)
        parts = [MicroBatch.of(self.sessions, p, self.row, rng)
                 for p in np.array_split(position, MICRO_BATCHES) if p.size]  # fmt: skip
        ids = [drawn, *(part.item for part in parts)]
        items, local = np.unique(np.concatenate(ids), return_inverse=True)
        local_rows = np.split(local, np.cumsum([part.size for part in ids])[:-1])
        rows, negatives = (
            state.tensor(items),
            SampledNegatives(local_rows[0], log_chance, items.size),
        )
        vectors = state.vectors[rows].requires_grad_()
        unit = normalize(vectors)
        results = self.pool.map(
            lambda part, local_row: self._gradients(
                part, local_row, unit.detach(), negatives, position.size
            ),
            parts, local_rows[1:],
        )  # fmt: skip
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
            state.update(rows, vectors.grad, rate)
        return float(sum(losses))

    def _gradients(
        self, part: MicroBatch, local_row: I64, unit: Tensor, negatives: SampledNegatives, n: int
    ) -> tuple[float, tuple[Tensor, ...]]:
        """Loss of a micro-batch, and its gradients by the unit vectors and the net's parameters."""
        torch.set_num_threads(1)
        state, targets = self.state, part.targets
        unit.requires_grad_()
        read, target_row = np.split(local_row, [part.sequences.item.size])
        session = state.net.encode(unit, state.net_inputs(part.sequences, read, part.mask))
        query = state.net.query(session[state.tensor(targets.position)], state.tensor(targets.type))
        query = query / self.row.temperature
        correction = state.tensor(-negatives.log_chance)
        logits = torch.addmm(correction, query, unit[state.tensor(negatives.local_row)].T)
        drawn = negatives.drawn_of_row[target_row]
        hit = np.flatnonzero(drawn >= 0)  # a query's own targets are no negatives
        logits[state.tensor(targets.query[hit]), state.tensor(drawn[hit])] = -torch.inf
        rest = logits.exp_().sum(1)  # cosines are bounded: no overflow
        query_of = state.tensor(targets.query)
        score = (query[query_of] * unit[state.tensor(target_row)]).sum(1)
        loss = torch.log1p(rest[query_of] * torch.exp(-score)) @ state.tensor(targets.weight) / n
        return float(loss.detach()), torch.autograd.grad(loss, [unit, *state.net.parameters()])

    def keep(self) -> None:
        """Keep the net and the vectors as the best so far."""
        self.state.keep()

    def best_towers(self) -> TrainedTowers:
        """Return to the best epoch, for its vectors; training is over then."""
        self.state.restore_best()
        self.state.net.eval()
        return TrainedTowers(self.state, self.sessions, self.row, self.sampler.items)

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        self.state.save(path)

    def load(self, path: Path) -> None:
        """Resume from such a file."""
        self.state.load(path)


@contextmanager
def training_of(
    sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str
) -> Iterator[TwoTowerTrainer]:
    """Yield a trainer whose results do not depend on how many threads the machine has."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read where there is a GPU
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with ThreadPoolExecutor(MICRO_BATCHES) as pool:
            yield TwoTowerTrainer(sessions, row, n_types, seed, device, pool)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
