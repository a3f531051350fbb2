"""Learning a `TwoTowerEmbedding` with torch: items of the next events against items drawn by chance.

The loss is a softmax over a sample, of cosines at a low temperature, corrected for how likely each
item was drawn (Bengio and Senecal, 2008; Yi et al., 2019); the nets are in src/embeddings/two_tower_nets.py.

Only the items of a batch are touched: their vectors and Adam's two moments are gathered, updated
and put back (lazy Adam), so a batch costs the same whatever the number of items.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import F32, I32, I64
from src.core.early_stopping import Log, best, finished
from src.data.sessions import Sessions
from src.embeddings.rows import TwoTowerEmbedding
from src.embeddings.two_tower_batches import (
    NO_ITEM,
    Negatives,
    Sample,
    Shard,
    Targets,
    Windows,
    epoch_batches,
    split_positions,
)
from src.embeddings.two_tower_nets import Net

SHARDS = 2  # parts of a batch, a thread each; their number, unlike that of threads, is in the bytes
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam
QUERIES = 8192  # windows encoded at a time
PRODUCTS = 2**34  # of held-out targets and items, at most: some of the targets where it is more
ITEMS = 16384  # whose vectors are looked at at a time
CELLS = 2**21  # products of held-out targets and items in memory at a time: as a cache holds them


@dataclass
class State:
    """Everything that training changes: what a checkpoint holds."""

    net: Net
    adam: torch.optim.Adam
    vectors: Tensor  # (items, size), of any length; cosines do not see it
    moments: tuple[Tensor, Tensor]  # Adam's, of the vectors
    steps: int = 0
    log: Log = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # net and vectors of the best epoch

    @classmethod
    def new(
        cls, row: TwoTowerEmbedding, n_items: int, n_types: int, seed: int, device: str
    ) -> State:
        """The start of a training, the same for the same seed."""
        torch.manual_seed(seed)
        net = Net(row, n_types).to(device)
        vectors = torch.empty(n_items, row.size).normal_(std=row.size**-0.5).to(device)
        adam = torch.optim.Adam(net.parameters(), lr=row.rate, betas=BETAS, eps=EPSILON)
        return cls(net, adam, vectors, (torch.zeros_like(vectors), torch.zeros_like(vectors)))

    def save(self, path: Path) -> None:
        """Write the whole state to a file."""
        parts = vars(self) | {"net": self.net.state_dict(), "adam": self.adam.state_dict()}
        torch.save(parts, path)

    def load(self, path: Path) -> None:
        """Go on from a file of the same row."""
        device = self.vectors.device
        del self.vectors, self.moments  # not two of each in memory
        parts = torch.load(path, map_location=device, weights_only=True)
        self.net.load_state_dict(parts.pop("net"))
        self.adam.load_state_dict(parts.pop("adam"))
        for name, value in parts.items():
            setattr(self, name, value)

    def keep(self) -> None:
        """Remember the net and the vectors as the best so far."""
        net = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.best = {"net": net, "vectors": self.vectors.clone()}

    def update(self, items: Tensor, gradient: Tensor, rate: float) -> None:
        """One step of Adam (Kingma and Ba, 2015) on some of the vectors, the others untouched."""
        for moment, beta, value in zip(
            self.moments, BETAS, (gradient, gradient * gradient), strict=True
        ):
            moment[items] = torch.lerp(value, moment[items], beta)
        first, second = (
            moment[items] / (1 - beta**self.steps)
            for moment, beta in zip(self.moments, BETAS, strict=True)
        )
        self.vectors[items] -= rate * first / (second.sqrt() + EPSILON)


class Trainer:
    """One row on one split: positions in, item vectors and query vectors out."""

    def __init__(
        self, sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str,
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.sessions, self.row, self.seed, self.device = sessions, row, seed, device
        self.pool = pool
        self.positions, self.held_out = split_positions(sessions, row, seed)
        self.negatives = Negatives(sessions, row)
        self.state = State.new(row, sessions.n_items, n_types, seed, device)

    @property
    def log(self) -> Log:
        """A line per epoch: its number, loss, recall@20 and mrr@5."""
        return self.state.log

    @property
    def facts(self) -> dict[str, object]:
        """What there is to tell of the training."""
        n, most = self.positions.size, self.row.positions
        part = {"only": f"{most:,} positions an epoch"} if n > most else {}
        return {"positions": n, **part, "epochs": len(self.log), **best(self.log)}

    @property
    def done(self) -> bool:
        """All epochs are over, or the last ones did not help."""
        return not self.positions.size or finished(self.log, self.row)

    def epoch(self, progress: Callable[[list[I32]], Iterable[I32]] = iter) -> None:
        """Learn from one epoch's positions, then see what the held-out sessions say."""
        number, losses = len(self.state.log), []
        torch.manual_seed(self.seed * 1009 + number)
        rng = np.random.default_rng([self.seed, 2, number])
        batches = epoch_batches(self.positions, self.row, self.seed, number)
        total = self.row.epochs * len(batches)
        self.state.net.train()
        for batch in progress(batches):
            rate = self.row.rate * max(1 - self.state.steps / total, 0.0)
            losses.append(self._learn(batch, rng, rate) * batch.size)
        recall, mrr = self._held_out_scores()
        loss = sum(losses) / sum(batch.size for batch in batches)
        self.state.log.append({"epoch": number, "loss": loss, "recall@20": recall, "mrr@5": mrr})
        if best(self.log) is self.log[-1]:
            self.state.keep()

    def _learn(self, position: I32, rng: np.random.Generator, rate: float) -> float:
        """One batch; returns its mean loss."""
        state = self.state
        state.steps += 1
        drawn, log_chance = self.negatives.draw(rng)
        batch = [self._shard(p, rng) for p in np.array_split(position, SHARDS) if p.size]
        ids = [drawn, *(part.item for part in batch)]
        items, slot = np.unique(np.concatenate(ids), return_inverse=True)
        slots = np.split(slot, np.cumsum([part.size for part in ids])[:-1])
        places, sample = self._tensor(items), Sample(slots[0], log_chance, items.size)
        vectors = state.vectors[places].requires_grad_()
        unit = normalize(vectors)
        found = self.pool.map(
            lambda part, slot: self._gradients(part, slot, unit.detach(), sample, position.size),
            batch, slots[1:],
        )  # fmt: skip
        losses, gradients = zip(*found, strict=True)  # in order, whoever came first
        of_unit, *of_net = (sum(parts) for parts in zip(*gradients, strict=True))
        for parameter, gradient in zip(state.net.parameters(), of_net, strict=True):
            parameter.grad = gradient
        for group in state.adam.param_groups:
            group["lr"] = rate
        state.adam.step()
        torch.autograd.backward(unit, of_unit)
        assert vectors.grad is not None
        with torch.no_grad():
            state.update(places, vectors.grad, rate)
        return float(sum(losses))

    def _shard(self, position: I32, rng: np.random.Generator) -> Shard:
        """A part of a batch: what one thread learns from."""
        windows = Windows.of(self.sessions, position, self.row.last)
        there = windows.item != NO_ITEM
        there[:, 1:] &= rng.random((position.size, self.row.last - 1)) >= self.row.dropout
        return Shard(windows, there, Targets.of(self.sessions, position, self.row.ahead))

    def _gradients(
        self, part: Shard, slot: I64, unit: Tensor, sample: Sample, n: int
    ) -> tuple[float, tuple[Tensor, ...]]:
        """Loss of a shard, and its gradients by the unit vectors and the net's parameters."""
        torch.set_num_threads(1)
        net, windows, targets = self.state.net, part.windows, part.targets
        unit.requires_grad_()
        seen, right = np.split(slot, [windows.item.size])
        session = net.encode(unit, self._window(windows, seen, part.there))
        query = net.query(session[self._tensor(targets.position)], self._tensor(targets.type))
        query = query / self.row.temperature
        log_chance = self._tensor(-sample.log_chance)
        logits = torch.addmm(log_chance, query, unit[self._tensor(sample.slot)].T)
        among = sample.number[right]  # which of the drawn items a target is, or -1
        hit = np.flatnonzero(among >= 0)
        logits[self._tensor(targets.row[hit]), self._tensor(among[hit])] = -torch.inf
        if self.row.hardest is not None:
            most = min(self.row.hardest, logits.shape[1])
            logits = logits.topk(most, sorted=False).values
        rest = logits.exp_().sum(1)  # cosines are bounded: no overflow
        of = self._tensor(targets.row)
        score = (query[of] * unit[self._tensor(right)]).sum(1)
        loss = torch.log1p(rest[of] * torch.exp(-score)) @ self._tensor(targets.weight) / n
        return float(loss.detach()), torch.autograd.grad(loss, [unit, *net.parameters()])

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _window(self, windows: Windows, slot: I64, there: NDArray[np.bool_]) -> dict[str, Tensor]:
        """A window's arrays; `slot` is the row of each event's item among the vectors at hand."""
        w = {name: self._tensor(getattr(windows, name)) for name in ("kind", "ago", "step", "hour")}
        slot = slot.reshape(there.shape)
        return w | {"there": self._tensor(there), "slot": self._tensor(slot)}

    def _sessions(self, position: I64) -> Tensor:
        """Session vectors (n, size) at some positions, by all item vectors."""
        return self._encoded(Windows.of(self.sessions, position, self.row.last))

    @torch.no_grad()
    def _encoded(self, windows: Windows) -> Tensor:
        """Session vectors of some windows, by all item vectors."""
        items, slot = np.unique(np.maximum(windows.item, 0), return_inverse=True)
        vectors = normalize(self.state.vectors[self._tensor(items)])
        return self.state.net.encode(vectors, self._window(windows, slot, windows.item != NO_ITEM))

    @torch.no_grad()
    def _held_out_scores(self) -> tuple[float, float]:
        """Recall@20 of the next `ahead` events' items, MRR@5 of the very next, among all items."""
        self.state.net.eval()
        if not self.held_out.size:
            return 0.0, 0.0
        t = Targets.of(self.sessions, self.held_out, self.row.ahead)
        session = self._sessions(self.held_out)[self._tensor(t.position)]
        query = self.state.net.query(session, self._tensor(t.type))
        most = max(PRODUCTS // self.negatives.items.size, 1)
        some = np.sort(np.random.default_rng([self.seed, 3]).permutation(t.row.size)[:most])
        truth = self._tensor(t.item[some])
        rank = self._ranks(query[self._tensor(t.row[some])], truth).cpu().numpy()
        very_next = (np.diff(t.position[t.row], prepend=-1) > 0)[some]
        mrr = np.where(rank < 5, 1 / (1 + rank), 0.0)[very_next]
        recall = ((rank < 20) * t.weight[some]).sum() / t.weight[some].sum()
        return float(recall), float(mrr.sum() / max(mrr.size, 1))

    def _ranks(self, query: Tensor, truth: Tensor) -> Tensor:
        """How many of all items that occur are nearer to each query than its true one."""
        right = (query * normalize(self.state.vectors[truth])).sum(1, keepdim=True)
        rank = torch.zeros(len(truth), dtype=torch.int64, device=self.device)
        known = self._tensor(self.negatives.items)
        place, step = torch.searchsorted(known, truth), min(CELLS // len(truth) + 1, ITEMS)
        for first in range(0, len(known), step):
            score = query @ normalize(self.state.vectors[known[first : first + step]]).T
            mine = ((place >= first) & (place < first + step)).nonzero()[:, 0]
            score[mine, place[mine] - first] = -torch.inf
            rank += score.gt_(right).sum(1).long()  # in place: no tables of booleans
        return rank

    def item_vectors(self) -> F32:
        """Unit vectors (items, size) of the best epoch; items that never occur are 0."""
        self._restore()
        vectors = np.zeros(tuple(self.state.vectors.shape), np.float32)
        for first in range(0, self.negatives.items.size, ITEMS):
            seen = self.negatives.items[first : first + ITEMS]
            vectors[seen] = normalize(self.state.vectors[self._tensor(seen)]).cpu().numpy()
        return vectors

    @torch.no_grad()
    def query_vectors(self, wanted: list[int], path: Path) -> None:
        """Write unit vectors (wanted types, queries, size) of the best epoch as .npy."""
        self._restore()
        self.state.net.eval()
        last = self.sessions.offsets[self.sessions.first_query + 1 :] - 1
        shape = (len(wanted), last.size, self.row.size)
        with open(path, "wb") as f:  # numpy's memory map would not take a name of another ending
            np.lib.format.write_array_header_1_0(
                f, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            for kind in wanted:
                for first in range(0, last.size, QUERIES):
                    session = self._sessions(last[first : first + QUERIES])
                    kinds = torch.full((len(session),), kind, device=self.device)
                    f.write(self.state.net.query(session, kinds).cpu().numpy().tobytes())

    @torch.no_grad()
    def queries_alone(self, kind: int) -> F32:
        """Query vectors (items, size) of sessions of one event each, of this type and wanting it.

        By 1 / temperature longer than the unit: their products with item vectors are log-odds.
        """
        self._restore()
        self.state.net.eval()
        found = np.empty((self.sessions.n_items, self.row.size), np.float32)
        for first in range(0, len(found), QUERIES):
            items = np.arange(first, min(first + QUERIES, len(found)))
            session = self._encoded(Windows.alone(items, kind, self.row.last))
            wanted = torch.full((len(session),), kind, device=self.device)
            query = self.state.net.query(session, wanted) / self.row.temperature
            found[items] = query.cpu().numpy()
        return found

    def _restore(self) -> None:
        if self.state.best:
            self.state.net.load_state_dict(self.state.best["net"])
            self.state.vectors = self.state.best["vectors"]

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        self.state.save(path)

    def load(self, path: Path) -> None:
        """Go on from such a file."""
        self.state.load(path)


@contextmanager
def training(
    sessions: Sessions, row: TwoTowerEmbedding, n_types: int, seed: int, device: str
) -> Iterator[Trainer]:
    """A trainer whose results do not depend on how many threads the machine has."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read where there is a GPU
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with ThreadPoolExecutor(SHARDS) as pool:
            yield Trainer(sessions, row, n_types, seed, device, pool)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
