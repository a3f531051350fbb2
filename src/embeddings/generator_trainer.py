"""Train a GeneratorEmbedding with torch: cross-entropy of the next item's codes, at all places."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from src.core.arrays import F32, I64
from src.core.training import EarlyStopping, Line, Log, Progress, all_batches
from src.data.sequence_batch import session_of
from src.data.sessions import Sessions
from src.embeddings.base import HELD_OUT_ONE_IN, MAX_HELD_OUT
from src.embeddings.deterministic import deterministic_pool
from src.generation.generation import Generation
from src.generation.ids import Ids
from src.generation.net import GeneratorNet, Shape, draw_dropout_from
from src.generation.trie import Trie
from src.generation.windows import NO_ITEM, Windows

if TYPE_CHECKING:
    from src.embeddings.generator import GeneratorEmbedding

MICRO_BATCHES = 2
"""Shares of a batch, a thread each. The result depends on this number, not on that of threads."""
SORTED = 50  # batches whose windows are sorted by length together, so that few places are empty
SCORED = 20  # items generated for held-out events
QUERIES_AT_A_TIME = 256
WARM_UP = 0.05  # share of the steps in which the learning rate grows from 0
BETAS = (0.9, 0.98)  # of AdamW


class GeneratorTrainer:
    """Trains the net of one row on one split."""

    def __init__(
        self, sessions: Sessions, ids: Ids, row: GeneratorEmbedding, seed: int, device: str,
        pool: ThreadPoolExecutor, texts: F32 | None = None,
    ) -> None:  # fmt: skip
        self.sessions, self.row, self.seed, self.pool = sessions, row, seed, pool
        self.texts = texts
        self.stopping = EarlyStopping(f"recall_{SCORED}", row.patience, row.epochs)
        self.windows, self.held_out = split_events(sessions, row.max_len, seed)
        torch.manual_seed(seed)
        shape = Shape(ids.sizes, row.dim, row.layers, row.heads, row.max_len, row.dropout,
                      len(ids.items) if row.own_vectors else 0,
                      0 if texts is None else texts.shape[1])  # fmt: skip
        self.net = GeneratorNet(shape)
        if row.begin_at_centres and ids.centres and len(ids.items):
            self.net.begin_at(ids.centres)
        self.net.to(device)
        self.generation = Generation(self.net, ids, Trie.of(ids))
        self.adam = torch.optim.AdamW(
            self.net.parameters(), betas=BETAS, weight_decay=row.weight_decay
        )
        self.steps, self.log = 0, Log()
        self.best: dict[str, Any] = {}

    @property
    def done(self) -> bool:
        """Whether all epochs are over, the last ones were not better, or nothing can be learned."""
        nothing = not self.windows.length.size or not self.generation.trie.item.size
        return nothing or self.stopping.done(self.log)

    @property
    def summary(self) -> dict[str, object]:
        """Entries of the progress line."""
        best = self.stopping.best(self.log)
        return {"items with an id": self.generation.trie.item.size, "epochs": len(self.log), **best}

    def epoch(self, progress: Progress = all_batches) -> Line:
        """Train on max_windows windows, or all; return the log line."""
        number, losses, sizes = len(self.log), [], []
        rng = np.random.default_rng([self.seed, 2, number])
        batches = self._batches(rng)
        total = self.row.epochs * len(batches)
        self.net.train()
        for batch in progress(batches, number):
            done = self.steps / total
            rise, fall = done / WARM_UP, (1 - done) / (1 - WARM_UP)
            rate = self.row.learning_rate * max(min(rise, fall), 0.0)
            losses.append(self.train_batch(batch, rng, rate) * batch.size)
            sizes.append(batch.size)
        line = {"epoch": number, "loss": sum(losses) / sum(sizes)}
        return {**line, self.stopping.metric: self._recall()}

    def train_batch(self, windows: I64, rng: np.random.Generator, rate: float) -> float:
        """Train on a batch of windows with this learning rate; return the mean loss of an item."""
        self.steps += 1
        shares = [share for share in np.array_split(windows, MICRO_BATCHES) if share.size]
        places = int(self.windows.length[windows].sum())
        draws = rng.spawn(len(shares))
        results = self.pool.map(partial(self._gradients, places), shares, draws)
        losses, gradients = zip(*results, strict=True)  # in order, whichever thread ends first
        of_net = (sum(parts[1:], parts[0]) for parts in zip(*gradients, strict=True))
        for parameter, gradient in zip(self.net.parameters(), of_net, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        return float(sum(losses))

    def _gradients(
        self, places: int, windows: I64, rng: np.random.Generator
    ) -> tuple[float, tuple[Tensor, ...]]:
        """Compute the loss of windows and its gradients; places: of the whole batch."""
        torch.set_num_threads(1)
        generation = self.generation
        draw_dropout_from(rng)
        some = self.windows.take(windows)
        target = some.items(self.sessions)
        if self.row.any_order:
            target = shuffled(target, some.length, rng)
        hidden = rng.random(target.shape) < self.row.hidden
        read = np.where(hidden, NO_ITEM, target)[:, :-1]
        codes = generation.codes(read)
        states = self.net.encode(generation.tensor(codes), self._text(some.first)).flatten(0, 1)
        place = np.flatnonzero(generation.codes(target)[..., 0].ravel() >= 0)
        found = generation.sum_of_levels(states, place, target.ravel()[place])
        loss = -found.sum() / places
        gradients = torch.autograd.grad(loss, list(self.net.parameters()), materialize_grads=True)
        return float(loss.detach()), gradients

    def _text(self, event: I64) -> Tensor | None:
        """Return the vectors of the texts of events' sessions, if the net reads texts."""
        if self.texts is None:
            return None
        return self.generation.tensor(self.texts[session_of(self.sessions, event)])

    def _batches(self, rng: np.random.Generator) -> list[I64]:
        """Draw the windows of an epoch; those of a batch are of similar lengths."""
        size = self.row.batch_size
        order = rng.permutation(self.windows.length.size)[: self.row.max_windows]
        batches = []
        for first in range(0, order.size, SORTED * size):
            some = order[first : first + SORTED * size]
            some = some[np.argsort(self.windows.length[some], kind="stable")]
            batches += np.split(some, range(size, some.size, size))
        return [batches[number] for number in rng.permutation(len(batches))]

    def _recall(self) -> float:
        """Compute the share of held-out events that are among SCORED generated items."""
        self.net.eval()
        found = []
        for first in range(0, self.held_out.size, QUERIES_AT_A_TIME):
            event = self.held_out[first : first + QUERIES_AT_A_TIME]
            session = session_of(self.sessions, event)
            begin = np.maximum(self.sessions.offsets[session], event - self.row.max_len)
            items = Windows(begin, event - begin).items(self.sessions)
            text = None if self.texts is None else self.texts[session]
            listed = self.generation.lists(items, SCORED, text)[0]
            found.append((listed == self.sessions.item[event][:, None]).any(axis=1))
        return float(np.concatenate(found).mean()) if found else 0.0

    def keep(self) -> None:
        """Keep the net as the best so far."""
        self.best = {name: value.clone() for name, value in self.net.state_dict().items()}

    def best_generation(self) -> Generation:
        """Return the net of the best epoch; ends the training."""
        if self.best:
            self.net.load_state_dict(self.best)
        self.net.eval()
        return self.generation

    def save(self, path: Path) -> None:
        """Write everything that training changes to a file."""
        state = {"net": self.net.state_dict(), "adam": self.adam.state_dict(), "best": self.best}
        torch.save(state | {"steps": self.steps, "log": self.log}, path)

    def load(self, path: Path) -> None:
        """Read the state from a file that `save` wrote for the same row."""
        state = torch.load(path, map_location=self.net.start.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.adam.load_state_dict(state["adam"])
        self.best, self.steps, self.log = state["best"], state["steps"], state["log"]


def shuffled(items: I64, length: I64, rng: np.random.Generator) -> I64:
    """Shuffle the items of each row; length: of the rows, behind which nothing moves."""
    draw = rng.random(items.shape)
    draw[np.arange(items.shape[1]) >= length[:, None]] = 1.0
    return np.take_along_axis(items, draw.argsort(axis=1, kind="stable"), 1)


def split_events(sessions: Sessions, max_len: int, seed: int) -> tuple[Windows, I64]:
    """Cut sessions of two events and more to windows; hold out the last event of some sessions.

    Returns the windows, and the held-out events: about one session in HELD_OUT_ONE_IN, MAX_HELD_OUT
    at most.
    """
    length = np.diff(sessions.offsets)
    long = np.flatnonzero(length > 1)
    rng = np.random.default_rng([seed, 1])
    some = rng.permutation(long)[: min(MAX_HELD_OUT, -(-long.size // HELD_OUT_ONE_IN))]
    visible = length[long] - np.isin(long, some)
    windows = Windows.of(sessions.offsets[long], visible, max_len)
    return windows, sessions.offsets[some + 1] - 1


@contextmanager
def generator_trainer(
    sessions: Sessions, ids: Ids, row: GeneratorEmbedding, seed: int, device: str,
    texts: F32 | None = None,
) -> Iterator[GeneratorTrainer]:  # fmt: skip
    """Yield a trainer inside `deterministic_pool`; texts: vectors of those of all sessions."""
    with deterministic_pool(MICRO_BATCHES) as pool:
        yield GeneratorTrainer(sessions, ids, row, seed, device, pool, texts)
