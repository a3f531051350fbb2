"""Train a FactorizationEmbedding with numba kernels.

Logistic matrix factorisation with drawn negatives (Mikolov et al., 2013, read as one by Levy and
Goldberg, 2014), as OTTO's third place used it, but directed: an item has one vector as the earlier
item of a pair and another as the later one. Adagrad with one rate per row (Duchi et al., 2011).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, I32, I64, count_items, most_frequent
from src.core.nearest import nearest
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches
from src.data.sessions import Sessions
from src.data.units import DAY
from src.embeddings import factorization_kernel as kernel
from src.embeddings.base import HELD_OUT, unit

if TYPE_CHECKING:
    from src.embeddings.factorization import FactorizationEmbedding

GROUPS = 2
"""Groups of items, a thread each. Bytes depend on this number, not on that of threads."""
BATCH_PAIRS = 2**20
"""Pairs in memory at a time, about."""


def kept_sessions(sessions: Sessions, row: FactorizationEmbedding) -> tuple[I64, I32]:
    """Select the events that a row reads, of sessions with two of them at least.

    Returns a CSR of items: offsets (int64) and items (int32).
    """
    keep = np.ones(sessions.item.size, np.bool_)
    if row.types is not None:
        keep &= np.isin(sessions.type, row.types)
    if row.last_days is not None and sessions.ts.size:
        keep &= sessions.ts > int(sessions.ts.max()) - int(row.last_days * DAY)
    running = np.zeros(keep.size + 1, np.int32)
    np.cumsum(keep, out=running[1:], dtype=np.int32)
    size = np.diff(running[sessions.offsets])
    del running
    keep &= np.repeat(size >= 2, np.diff(sessions.offsets))
    offsets = np.concatenate([[0], np.cumsum(size[size >= 2])]).astype(np.int64)
    return offsets, sessions.item[keep]


class FactorizationTrainer:
    """One row on one split: pairs of items in, vectors of both sides out."""

    def __init__(self, sessions: Sessions, row: FactorizationEmbedding, seed: int) -> None:
        self.row, self.seed, self.n_items = row, seed, sessions.n_items
        self.stopping = EarlyStopping("recall_20", row.patience, row.epochs)
        self.offsets, self.item = kept_sessions(sessions, row)
        self.count = count_items(self.item, self.n_items)
        self.log: Log = []
        rng = np.random.default_rng([seed, 0])
        n = self.offsets.size - 1
        self.held_out = np.zeros(n, np.bool_)
        self.held_out[rng.choice(n, min(HELD_OUT, n // 20), replace=False)] = True
        shape = (self.n_items, row.dim)
        self.sources = ((rng.random(shape, np.float32) - 0.5) / row.dim).astype(np.float32)
        self.targets = np.zeros(shape, np.float32)
        self.squares = np.zeros((2, self.n_items), np.float32)  # of gradients, of both sides
        self.best = self.sources, self.targets
        self._prepare_draws()

    def _prepare_draws(self) -> None:
        """Make the alias table of every group of targets, which ascend in it."""
        seen = np.flatnonzero(self.count)
        groups = [seen[seen % GROUPS == g] for g in range(GROUPS)]
        self.group_offsets = np.concatenate([[0], np.cumsum([g.size for g in groups])])
        self.items = np.concatenate(groups).astype(np.int32)
        tables = [
            kernel.alias_table(self.count[g].astype(np.float64) ** self.row.ns_exponent)
            for g in groups
        ]
        self.keep_chance, self.alias = (np.concatenate(t) for t in zip(*tables, strict=True))

    @property
    def done(self) -> bool:
        """Whether all epochs are over, or the last ones did not help, or no session is kept."""
        return self.offsets.size < 2 or self.stopping.done(self.log)

    @property
    def summary(self) -> dict[str, object]:
        """Entries of the progress line."""
        n, most = len(self._batches()), max(1, self.row.max_pairs // BATCH_PAIRS)
        part = {"batches per epoch": f"{most} of {n}"} if n > most else {}
        return {**part, "epochs": len(self.log), **self.stopping.best(self.log)}

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train on every pair of the sessions once; return loss and recall@20."""
        number, loss, pairs = len(self.log), np.zeros(GROUPS * GROUPS), 0
        rng = np.random.default_rng([self.seed, 1, number])
        batches = self._batches()
        order = rng.permutation(len(batches))[: max(1, self.row.max_pairs // BATCH_PAIRS)]
        for batch in progress(order.tolist(), number):
            x, y = self._pairs(*batches[batch], ~self.held_out)
            offsets, x, y = kernel.group_pairs(x, y, rng.permutation(x.size), GROUPS)
            kernel.train(
                GROUPS, offsets, x, y, self.group_offsets, self.items, self.keep_chance, self.alias,
                -(-self.row.negatives_per_pair // GROUPS), self.row.learning_rate,
                int(rng.integers(2**31)), self.sources, self.targets,
                self.squares[0], self.squares[1], loss,
            )  # fmt: skip
            pairs += x.size
        return {"epoch": number, "loss": loss.sum() / max(pairs, 1), "recall_20": self._recall()}

    def keep(self) -> None:
        """Keep the vectors as the best so far."""
        self.best = self.sources.copy(), self.targets.copy()

    def _batches(self) -> list[tuple[int, int]]:
        """Cut the sessions into runs, first and end, of about BATCH_PAIRS pairs."""
        ends = self.offsets[1:] * self.row.max_steps // BATCH_PAIRS
        cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), self.offsets.size - 1]
        return [(a, b) for a, b in pairwise(cuts) if a < b]

    def _pairs(self, first: int, end: int, chosen: NDArray[np.bool_]) -> tuple[I32, I32]:
        """List the pairs of the chosen sessions among first : end."""
        size = np.diff(self.offsets[first : end + 1])
        ours, n_steps = chosen[first:end], self.row.max_steps
        offsets = np.concatenate([[0], np.cumsum(size[ours])]).astype(np.int64)
        events = self.item[self.offsets[first] : self.offsets[end]][np.repeat(ours, size)]
        n = offsets.size - 1
        x = np.empty(kernel.count_pairs(offsets, 0, n, n_steps), np.int32)
        y = np.empty_like(x)
        n = kernel.write_pairs(offsets, events, 0, n, n_steps, x, y)
        return x[:n], y[:n]

    def _recall(self) -> float:
        """Share of held-out pairs whose target is among the 20 nearest of all items.

        Nearest by cosine x ln(1 + count). By the log-odds themselves the first epoch would be best:
        vectors are short there, and the most frequent items are everyone's neighbours.
        """
        x, y = self._pairs(0, self.offsets.size - 1, self.held_out)
        if not x.size:
            return 0.0
        drawn = np.random.default_rng([self.seed, 2]).permutation(x.size)[:HELD_OUT]
        x, y = x[drawn], y[drawn]
        items = most_frequent(self.count, self.row.max_items)
        row_of = np.full(self.n_items, -1)
        row_of[items] = np.arange(items.size)
        scale = np.log1p(self.count[items])[:, None].astype(np.float32)
        targets = unit(self.targets[items]) * scale
        near, _ = nearest(unit(self.sources[x]), targets, 20, skip=row_of[x])
        return float((items[near] == y[:, None]).any(axis=1).mean())

    def vectors(self) -> tuple[F32, F32]:
        """Vectors of the best epoch, as sources and as targets; of unseen items 0."""
        seen = (self.count > 0)[:, None]
        return self.best[0] * seen, self.best[1] * seen

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        lines = [list(line.values()) for line in self.log]
        with open(path, "wb") as file:
            np.savez(file, log=lines, sources=self.sources, targets=self.targets,
                     squares=self.squares, best_sources=self.best[0],
                     best_targets=self.best[1])  # fmt: skip

    def load(self, path: Path) -> None:
        """Resume from such a file."""
        with np.load(path, allow_pickle=False) as state:
            self.log = [
                {"epoch": int(epoch), "loss": loss, "recall_20": recall}
                for epoch, loss, recall in state["log"].tolist()
            ]
            self.sources, self.targets = state["sources"], state["targets"]
            self.squares = state["squares"]
            self.best = state["best_sources"], state["best_targets"]
