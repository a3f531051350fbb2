"""Students of a pre-ranker: what they learn from, and two small models that learn it.

A list is one query: the candidates of its pool and some random items of the catalogue, with cheap
features, the teacher's score and labels. The random items are the last segment: a student that
never sees them cannot rank down what an earlier cut would not have passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import xgboost as xgb

from src.core.arrays import F32, I64, Mask

if TYPE_CHECKING:
    from torch import Tensor

Draw = Callable[["Lists", int, np.random.Generator], I64]
SEGMENTS, HEAD, TAIL, RANDOM = 16, 20, 40, 4
"""Segments of a list; its first and last candidates for pairs; random items that are drawn."""
EPOCHS, BATCH, RATE, DECAY = 20, 32, 2e-3, 1e-4


@dataclass(frozen=True)
class Lists:
    """Lists with cheap features as CSR.

    X: float32 (rows, features). teacher: log of the expected gain, float32 (rows). gain: weight of
    the objectives that the item is a positive of, 0 for a negative. in_pool: False for random
    items. order: rows of each list, the teacher's best first, in the pool alone.
    """

    X: F32
    offsets: I64
    teacher: F32
    gain: F32
    in_pool: Mask

    @property
    def n(self) -> int:
        return self.offsets.size - 1

    def rows(self, query: int) -> I64:
        """Return the rows of the pool of a query, the teacher's best first."""
        rows = np.arange(*self.offsets[query : query + 2])
        rows = rows[self.in_pool[rows]]
        return rows[np.argsort(-self.teacher[rows], kind="stable")]

    def random(self, query: int) -> I64:
        """Return the rows of the random items of a query."""
        rows = np.arange(*self.offsets[query : query + 2])
        return rows[~self.in_pool[rows]]

    def select(self, queries: I64) -> Lists:
        """Keep some lists."""
        sizes = np.diff(self.offsets)[queries]
        rows = np.concatenate([np.arange(*self.offsets[q : q + 2]) for q in queries])
        offsets = np.append(0, np.cumsum(sizes))
        parts = (self.teacher[rows], self.gain[rows], self.in_pool[rows])
        return Lists(self.X[rows], offsets, *parts)


def borders(n: int, segments: int, geometric: bool) -> I64:
    """Return the borders of the segments of n ranks: of equal size, or narrow at the head."""
    if not geometric:
        return np.unique(np.linspace(0, n, segments + 1).astype(np.int64))
    return np.unique(np.append(0, np.geomspace(1, n, segments).astype(np.int64)))


def one_of_each(rows: I64, geometric: bool, rng: np.random.Generator) -> I64:
    """Draw one row from each segment of a list that is sorted by the teacher."""
    edges = borders(rows.size, min(SEGMENTS, rows.size), geometric)
    return rows[rng.integers(edges[:-1], edges[1:])]


def some_random(lists: Lists, query: int, rng: np.random.Generator) -> I64:
    rows = lists.random(query)
    return rng.choice(rows, min(RANDOM, rows.size), replace=False)


@dataclass(frozen=True)
class PairRecipe:
    """Pairs of rows, the better one first; the loss is ln(1 + exp(worse - better))."""

    pairs: Callable[[Lists, int, np.random.Generator], tuple[I64, I64]]
    random: ClassVar[bool] = False  # pairs are of the pool

    def rows(self, lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, F32]:
        """Draw the pairs of a query: first all better rows, then all worse ones."""
        better, worse = self.pairs(lists, query, rng)
        return np.concatenate([better, worse]), np.zeros(0, np.float32)

    def loss(self, score: Tensor, target: Tensor) -> Tensor:
        """Compute the mean logistic loss of the pairs of a list."""
        from torch.nn.functional import softplus

        better, worse = score.chunk(2)
        return softplus(worse - better).mean()


def head_tail(lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, I64]:
    rows = lists.rows(query)
    head, tail = rows[:HEAD], rows[HEAD:][-TAIL:]
    n = SEGMENTS if tail.size else 0
    return rng.choice(head, n), rng.choice(tail, n) if n else tail


def segment_pairs(lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, I64]:
    drawn = one_of_each(lists.rows(query), True, rng)
    better, worse = np.triu_indices(drawn.size, 1)
    return drawn[better], drawn[worse]


def positive_not_shown(lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, I64]:
    """Pair the positives with candidates that the teacher ranks behind the list that is shown."""
    rows = lists.rows(query)
    positive, behind = rows[lists.gain[rows] > 0], rows[HEAD:]
    behind = behind[lists.gain[behind] == 0]
    n = SEGMENTS if positive.size and behind.size else 0
    return (rng.choice(positive, n), rng.choice(behind, n)) if n else (rows[:0], rows[:0])


@dataclass(frozen=True)
class Distillation:
    """KL of the softmax of the teacher's log gains and that of the student, over drawn rows."""

    geometric: bool | None  # None: all rows of the pool
    random: bool = False  # random items are a last segment

    def rows(self, lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, F32]:
        """Draw rows and their targets, which sum to 1."""
        rows = lists.rows(query)
        if self.geometric is not None:
            rows = one_of_each(rows, self.geometric, rng)
        if self.random:
            rows = np.append(rows, some_random(lists, query, rng))
        target = np.exp(lists.teacher[rows] - lists.teacher[rows].max(initial=0))
        return rows, target / target.sum()

    def loss(self, score: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy, which is the KL and a constant."""
        return -(target * score.log_softmax(0)).sum()


@dataclass(frozen=True)
class Labels:
    """Softmax cross-entropy with what came true as target, over the pool and random items."""

    random: bool = False

    def rows(self, lists: Lists, query: int, rng: np.random.Generator) -> tuple[I64, F32]:
        """Return all rows and their shares of the gain."""
        rows = lists.rows(query)
        if self.random:
            rows = np.append(rows, some_random(lists, query, rng))
        total = lists.gain[rows].sum()
        return (rows, lists.gain[rows] / total) if total else (rows[:0], lists.gain[:0])

    def loss(self, score: Tensor, target: Tensor) -> Tensor:
        return -(target * score.log_softmax(0)).sum()


Objective = PairRecipe | Distillation | Labels


def scaled(X: F32, like: F32) -> F32:
    """Take signed logarithms of features, and standardise them by those of other rows.

    A feature that is constant in the other rows says nothing: it becomes 0.
    """
    logs, others = (np.sign(x) * np.log1p(np.abs(x)) for x in (X, like))
    std = others.std(0)
    std[std < 1e-6] = np.inf
    out: F32 = ((logs - others.mean(0)) / std).astype(np.float32)
    return out


def net_scores(objective: Objective, train: Lists, X: F32, seed: int, hidden: int = 32) -> F32:
    """Train a perceptron (hidden=0: a linear model) and score rows of X: float32 (rows)."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng, d = np.random.default_rng(seed), X.shape[1]
    layers = [torch.nn.Linear(d, 1)]
    if hidden:
        layers = [torch.nn.Linear(d, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1)]  # type: ignore[list-item]
    net = torch.nn.Sequential(*layers)
    seen = train.X if objective.random else train.X[train.in_pool]
    inputs = torch.from_numpy(scaled(train.X, seen))
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-train.n // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4 * RATE, total_steps=steps)
    for _ in range(EPOCHS):
        shuffled = rng.permutation(train.n)
        for queries in (shuffled[a : a + BATCH] for a in range(0, train.n, BATCH)):
            drawn = [objective.rows(train, q, rng) for q in queries]
            drawn = [(rows, target) for rows, target in drawn if rows.size]
            if drawn:
                score = net(inputs[np.concatenate([rows for rows, _ in drawn])])[:, 0]
                parts = score.split([rows.size for rows, _ in drawn])
                targets = [torch.from_numpy(target) for _, target in drawn]
                loss = sum(map(objective.loss, parts, targets), torch.zeros(())) / len(drawn)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
    with torch.no_grad():
        found: F32 = net(torch.from_numpy(scaled(X, seen)))[:, 0].numpy()
    return found


TREES = {"max_depth": 4, "learning_rate": 0.1, "tree_method": "hist", "nthread": 1, "max_bin": 64,
         "min_child_weight": 5, "colsample_bytree": 0.5, "subsample": 0.9}  # fmt: skip
ROUNDS = 80


def tree_scores(objective: Distillation | Labels, train: Lists, X: F32, seed: int) -> F32:
    """Boost trees on the softmax cross-entropy over whole lists, and score rows of X."""
    rng = np.random.default_rng(seed)
    drawn = [objective.rows(train, q, rng) for q in range(train.n)]
    rows = np.concatenate([rows for rows, _ in drawn])
    target = np.concatenate([target for _, target in drawn])
    starts = np.append(0, np.cumsum([r.size for r, _ in drawn if r.size]))[:-1]
    sizes = np.diff(np.append(starts, rows.size))

    def gradient(score: F32, _: xgb.DMatrix) -> tuple[F32, F32]:
        e = np.exp(score - np.repeat(np.maximum.reduceat(score, starts), sizes))
        p = e / np.repeat(np.add.reduceat(e, starts), sizes)
        return p - target, np.maximum(p * (1 - p), 1e-6)

    matrix = xgb.QuantileDMatrix(train.X[rows], target, max_bin=64, nthread=1)
    params = TREES | {"min_child_weight": 0.05, "base_score": 0.0, "seed": seed}
    model = xgb.train(params, matrix, ROUNDS, obj=gradient)
    found: F32 = model.inplace_predict(X, predict_type="margin")
    return found
