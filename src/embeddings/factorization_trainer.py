"""Matrix factorisation of which item follows which: a `FactorizationEmbedding`, learned by numba kernels.

Logistic matrix factorisation with drawn negatives (Mikolov et al., 2013, read as one by Levy and
Goldberg, 2014), as OTTO's third place used it, but directed: an item has one vector as the earlier
item of a pair and another as the later one. Adagrad with one rate per row (Duchi et al., 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from src.core import nearest as search
from src.core.arrays import F32, I32, I64, count_items
from src.core.early_stopping import HELD_OUT, Log, best, finished
from src.data.sessions import Sessions
from src.data.units import DAY
from src.embeddings import factorization_kernel as kernel
from src.embeddings.rows import FactorizationEmbedding
from src.embeddings.vectors import unit

PARTS = 2  # groups of items, and so threads; their number is in the bytes, that of threads is not
CHUNK = 2**20  # pairs in memory at a time, about


def kept_sessions(sessions: Sessions, row: FactorizationEmbedding) -> tuple[I64, I32]:
    """CSR of the items of the events that a row looks at, of sessions with two of them at least."""
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


class Trainer:
    """One row on one split: pairs of items in, vectors of both sides out."""

    def __init__(self, sessions: Sessions, row: FactorizationEmbedding, seed: int) -> None:
        self.row, self.seed, self.n_items = row, seed, sessions.n_items
        self.offsets, self.item = kept_sessions(sessions, row)
        self.count = count_items(self.item, self.n_items)
        self.log: Log = []
        rng = np.random.default_rng([seed, 0])
        n = self.offsets.size - 1
        self.held = np.zeros(n, np.bool_)
        self.held[rng.choice(n, min(HELD_OUT, n // 20), replace=False)] = True
        shape = (self.n_items, row.size)
        self.sources = ((rng.random(shape, np.float32) - 0.5) / row.size).astype(np.float32)
        self.targets = np.zeros(shape, np.float32)
        self.sums = np.zeros((2, self.n_items), np.float32)
        self.best = self.sources, self.targets
        self._groups()

    def _groups(self) -> None:
        """The targets of every group, ascending, with a table to draw them from."""
        seen = np.flatnonzero(self.count)
        groups = [seen[seen % PARTS == g] for g in range(PARTS)]
        self.group_starts = np.concatenate([[0], np.cumsum([g.size for g in groups])])
        self.items = np.concatenate(groups).astype(np.int32)
        tables = [
            kernel.alias_table(self.count[g].astype(np.float64) ** self.row.popularity)
            for g in groups
        ]
        self.keep, self.other = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))

    @property
    def done(self) -> bool:
        """All epochs are over, or the last ones did not help."""
        return self.offsets.size < 2 or finished(self.log, self.row)

    @property
    def facts(self) -> dict[str, object]:
        """What there is to tell of the training."""
        chunks, most = len(self._chunks()), max(1, self.row.pairs // CHUNK)
        part = {"only parts": f"{most} of {chunks} an epoch"} if chunks > most else {}
        return {**part, "epochs": len(self.log), **best(self.log)}

    def epoch(self, progress: Callable[[list[int]], Iterable[int]] = iter) -> None:
        """Learn from every pair of the sessions once, then see what the held-out ones say."""
        number, loss, pairs = len(self.log), np.zeros(PARTS * PARTS), 0
        rng = np.random.default_rng([self.seed, 1, number])
        chunks = self._chunks()
        some = rng.permutation(len(chunks))[: max(1, self.row.pairs // CHUNK)]
        for chunk in progress(some.tolist()):
            x, y = self._pairs(*chunks[chunk], ~self.held)
            starts, x, y = kernel.into_groups(x, y, rng.permutation(x.size), PARTS)
            kernel.learn(
                PARTS, starts, x, y, self.group_starts, self.items, self.keep, self.other,
                -(-self.row.negatives // PARTS), self.row.rate, int(rng.integers(2**31)),
                self.sources, self.targets, self.sums[0], self.sums[1], loss,
            )  # fmt: skip
            pairs += x.size
        line = {"epoch": number, "loss": loss.sum() / max(pairs, 1), "recall@20": self._recall()}
        self.log.append(line)
        if best(self.log) is line:
            self.best = self.sources.copy(), self.targets.copy()

    def _chunks(self) -> list[tuple[int, int]]:
        """First and end session of stretches of about CHUNK pairs."""
        ends = self.offsets[1:] * self.row.steps // CHUNK
        borders = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), self.offsets.size - 1]
        return [(a, b) for a, b in pairwise(borders) if a < b]

    def _pairs(self, first: int, end: int, wanted: np.ndarray) -> tuple[I32, I32]:
        """Pairs of the wanted sessions among first : end."""
        size = np.diff(self.offsets[first : end + 1])
        mine = wanted[first:end]
        offsets = np.concatenate([[0], np.cumsum(size[mine])]).astype(np.int64)
        events = self.item[self.offsets[first] : self.offsets[end]][np.repeat(mine, size)]
        n = offsets.size - 1
        x = np.empty(kernel.count_pairs(offsets, 0, n, self.row.steps), np.int32)
        y = np.empty_like(x)
        n = kernel.write_pairs(offsets, events, 0, n, self.row.steps, x, y)
        return x[:n], y[:n]

    def _recall(self) -> float:
        """Share of held-out pairs whose target is among the 20 nearest of all items.

        Nearest by cosine x ln(1 + count): by the log-odds themselves, the first epoch would be
        best, where vectors are short and the most frequent items are everyone's neighbours.
        """
        x, y = self._pairs(0, self.offsets.size - 1, self.held)
        if not x.size:
            return 0.0
        some = np.random.default_rng([self.seed, 2]).permutation(x.size)[:HELD_OUT]
        x, y = x[some], y[some]
        items = search.frequent(self.count, self.row.among)
        place = np.full(self.n_items, -1)
        place[items] = np.arange(items.size)
        loud = np.log1p(self.count[items])[:, None].astype(np.float32)
        targets = unit(self.targets[items]) * loud
        near, _ = search.nearest(unit(self.sources[x]), targets, 20, place[x])
        return float((items[near] == y[:, None]).any(axis=1).mean())

    def vectors(self) -> tuple[F32, F32]:
        """Vectors of the best epoch, as sources and as targets; of unseen items 0."""
        seen = (self.count > 0)[:, None]
        return self.best[0] * seen, self.best[1] * seen

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        lines = [list(line.values()) for line in self.log]
        with open(path, "wb") as f:
            np.savez(f, log=lines, sources=self.sources, targets=self.targets, sums=self.sums,
                     best_sources=self.best[0], best_targets=self.best[1])  # fmt: skip

    def load(self, path: Path) -> None:
        """Go on from such a file."""
        with np.load(path, allow_pickle=False) as parts:
            names = ("epoch", "loss", "recall@20")
            self.log = [dict(zip(names, line, strict=True)) for line in parts["log"].tolist()]
            self.sources, self.targets, self.sums = (
                parts[name] for name in ("sources", "targets", "sums")
            )
            self.best = parts["best_sources"], parts["best_targets"]
