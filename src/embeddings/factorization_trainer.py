"""Train a FactorizationEmbedding with numba kernels.

The loss is that of skip-gram with negative sampling (Mikolov et al., 2013), which factorises a
matrix of log-odds (Levy and Goldberg, 2014). OTTO's third place used it with one vector per item;
here an item has a source and a target vector. The optimizer is Adagrad (Duchi et al., 2011) with
one learning rate per vector.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32, I32, I64, Mask, count_items, most_frequent, offsets_of_sizes
from src.core.nearest import nearest
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches
from src.data.sessions import Sessions
from src.embeddings import factorization_kernel as kernel
from src.embeddings.base import HELD_OUT_ONE_IN, MAX_HELD_OUT, unit

if TYPE_CHECKING:
    from src.embeddings.factorization import FactorizationEmbedding

GROUPS = 2
"""Groups of items, a thread each. The result depends on this number, not on that of threads."""
BATCH_PAIRS = 2**20
"""Pairs in memory at a time, about."""
RECALL_AT = 20
"""Nearest items among which recall looks for the target."""


def sessions_with_pairs(sessions: Sessions) -> tuple[I64, I32]:
    """Select the sessions of two events and more, as CSR: offsets (int64) and items (int32)."""
    size = np.diff(sessions.offsets)
    return offsets_of_sizes(size[size >= 2]), sessions.item[np.repeat(size >= 2, size)]


class FactorizationTrainer:
    """Trains the source and target vectors of one row on one split."""

    def __init__(self, sessions: Sessions, row: FactorizationEmbedding, seed: int) -> None:
        self.row, self.seed, self.n_items = row, seed, sessions.n_items
        self.stopping = EarlyStopping("recall_20", row.patience, row.epochs)
        self.offsets, self.item = sessions_with_pairs(sessions)
        self.count = count_items(self.item, self.n_items)
        self.log: Log = []
        rng = np.random.default_rng([seed, 0])
        n = self.offsets.size - 1
        n_held_out = min(MAX_HELD_OUT, n // HELD_OUT_ONE_IN)
        self.held_out = np.zeros(n, np.bool_)
        self.held_out[rng.choice(n, n_held_out, replace=False)] = True
        shape = (self.n_items, row.dim)
        self.sources = ((rng.random(shape, np.float32) - 0.5) / row.dim).astype(np.float32)
        self.targets = np.zeros(shape, np.float32)
        self.squares = np.zeros((2, self.n_items), np.float32)  # of gradients: sources, targets
        self.best = self.sources, self.targets
        self._make_alias_tables()

    def _make_alias_tables(self) -> None:
        """Make an alias table of each group of items; items ascend within a group."""
        seen = np.flatnonzero(self.count)
        groups = [seen[seen % GROUPS == g] for g in range(GROUPS)]
        self.group_offsets = offsets_of_sizes(np.array([g.size for g in groups]))
        self.items = np.concatenate(groups).astype(np.int32)
        tables = [
            kernel.alias_table(self.count[g].astype(np.float64) ** self.row.ns_exponent)
            for g in groups
        ]
        self.keep_chance, self.alias = (np.concatenate(t) for t in zip(*tables, strict=True))

    @property
    def done(self) -> bool:
        """Whether all epochs are over, the last ones were not better, or there is no pair."""
        return self.offsets.size < 2 or self.stopping.done(self.log)

    @property
    def summary(self) -> dict[str, object]:
        """Entries of the progress line."""
        n, limit = len(self._batches()), self._max_batches
        sampled = {"batches per epoch": f"{limit} of {n}"} if n > limit else {}
        return {**sampled, "epochs": len(self.log), **self.stopping.best(self.log)}

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train on max_pairs pairs, or all; return the log line: loss and recall@20."""
        number, loss, pairs = len(self.log), np.zeros(GROUPS * GROUPS), 0
        rng = np.random.default_rng([self.seed, 1, number])
        negatives_per_group = self.row.negatives_per_pair // GROUPS
        batches = self._batches()
        order = rng.permutation(len(batches))[: self._max_batches]
        for batch in progress(order.tolist(), number):
            source, target = self._pairs(*batches[batch], ~self.held_out)
            offsets, source, target = kernel.group_pairs(
                source, target, rng.permutation(source.size), GROUPS
            )
            kernel.train(
                GROUPS, offsets, source, target, self.group_offsets, self.items, self.keep_chance,
                self.alias, negatives_per_group, self.row.learning_rate, int(rng.integers(2**31)),
                self.sources, self.targets, self.squares[0], self.squares[1], loss,
            )  # fmt: skip
            pairs += source.size
        return {"epoch": number, "loss": loss.sum() / max(pairs, 1), "recall_20": self._recall()}

    def keep(self) -> None:
        """Keep the vectors as the best so far."""
        self.best = self.sources.copy(), self.targets.copy()

    @property
    def _max_batches(self) -> int:
        return max(1, self.row.max_pairs // BATCH_PAIRS)

    def _batches(self) -> list[tuple[int, int]]:
        """Cut the sessions into ranges first : end of about BATCH_PAIRS pairs."""
        ends = self.offsets[1:] * self.row.max_steps // BATCH_PAIRS
        cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), self.offsets.size - 1]
        return [(a, b) for a, b in pairwise(cuts) if a < b]

    def _pairs(self, first: int, end: int, mask: Mask) -> tuple[I32, I32]:
        """List sources and targets of the pairs of those sessions first : end that are marked."""
        size = np.diff(self.offsets[first : end + 1])
        marked, max_steps = mask[first:end], self.row.max_steps
        offsets = offsets_of_sizes(size[marked])
        item = self.item[self.offsets[first] : self.offsets[end]][np.repeat(marked, size)]
        source = np.empty(kernel.count_pairs(offsets, max_steps), np.int32)
        target = np.empty_like(source)
        n = kernel.write_pairs(offsets, item, max_steps, source, target)
        return source[:n], target[:n]

    def _recall(self) -> float:
        """Compute recall@20: the share of held-out pairs whose target is near the source.

        Near means one of the RECALL_AT items with the highest cosine x ln(1 + count). Log-odds
        would rate the first epoch best: its vectors are short, and the most frequent items are near
        to all.
        """
        source, target = self._pairs(0, self.offsets.size - 1, self.held_out)
        if not source.size:
            return 0.0
        drawn = np.random.default_rng([self.seed, 2]).permutation(source.size)[:MAX_HELD_OUT]
        source, target = source[drawn], target[drawn]
        items = most_frequent(self.count, self.row.max_items)
        row_of = np.full(self.n_items, -1)
        row_of[items] = np.arange(items.size)
        scale = np.log1p(self.count[items])[:, None].astype(np.float32)
        scaled = unit(self.targets[items]) * scale
        near, _ = nearest(unit(self.sources[source]), scaled, RECALL_AT, skip=row_of[source])
        return float((items[near] == target[:, None]).any(axis=1).mean())

    def vectors(self) -> tuple[F32, F32]:
        """Return the source and target vectors of the best epoch; 0 for items without events."""
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
        """Read the state from a file that `save` wrote."""
        with np.load(path, allow_pickle=False) as state:
            self.log = [
                {"epoch": int(epoch), "loss": loss, "recall_20": recall}
                for epoch, loss, recall in state["log"].tolist()
            ]
            self.sources, self.targets = state["sources"], state["targets"]
            self.squares = state["squares"]
            self.best = state["best_sources"], state["best_targets"]
