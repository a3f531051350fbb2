"""Matrix factorisation: pairs and draws against plain loops, planted worlds, the same bytes.

pytest tests/embeddings/test_factorization.py
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from planted import N_ITEMS, planted_events, sessions_of

from src.core.training import train_epoch
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.embeddings import factorization_kernel as kernel
from src.embeddings import factorization_trainer as training
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.factorization_trainer import FactorizationTrainer, sessions_with_pairs
from src.embeddings.neighbours import neighbours_by_likelihood

RING = 30
ROW = FactorizationEmbedding("mf", dim=16, epochs=15, patience=15, learning_rate=0.3)


def ring(n_sessions: int = 300) -> Sessions:
    """Item after item round a ring."""
    rng, rows = np.random.default_rng(1), []
    for session in range(n_sessions):
        first = int(rng.integers(RING))
        length = int(rng.integers(1, 15))
        rows += [(session, (first + step) % RING, step, 0) for step in range(length)]
    return Sessions.from_events(
        pl.DataFrame(rows, schema=EVENTS, orient="row"), n_sessions, RING + 1, n_sessions
    )


def trained(
    s: Sessions, row: FactorizationEmbedding, file: Path | None = None, seed: int = 1
) -> FactorizationTrainer:
    """A trainer that is done; with a file, it was killed and loaded again after every epoch."""
    trainer = FactorizationTrainer(s, row, seed)
    while not trainer.done:
        train_epoch(trainer)
        if file is not None:
            trainer.save(file)
            trainer = FactorizationTrainer(s, row, seed)
            trainer.load(file)
    return trainer


def as_bytes(trainer: FactorizationTrainer) -> list[bytes]:
    return [side.tobytes() for side in trainer.vectors()]


@pytest.mark.parametrize("max_steps", [1, 3, 99])
def test_pairs(max_steps: int) -> None:
    s = sessions_of(planted_events(40))
    offsets = s.offsets[3:31]
    n = kernel.count_pairs(offsets, max_steps)
    x, y = np.empty(n, np.int32), np.empty(n, np.int32)
    n = kernel.write_pairs(offsets, s.item, max_steps, x, y)
    sessions = [s.item[s.offsets[i] : s.offsets[i + 1]].tolist() for i in range(3, 30)]
    wanted = [
        (a, b) for items in sessions for i, b in enumerate(items)
        for a in items[max(0, i - max_steps) : i] if a != b
    ]  # fmt: skip
    assert list(zip(x[:n].tolist(), y[:n].tolist(), strict=True)) == wanted


def test_groups_hold_every_pair_once() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 50, (2, 1000)).astype(np.int32)
    order = rng.permutation(1000)
    offsets, gx, gy = kernel.group_pairs(x, y, order, 3)
    pairs = [(x[p], y[p]) for g in range(3) for p in order if x[p] % 3 == g]
    assert list(zip(gx, gy, strict=True)) == pairs
    assert offsets.tolist() == [0, *np.cumsum(np.bincount(x % 3)).tolist()]


def test_alias_table() -> None:
    chance = np.random.default_rng(1).random(101) ** 4 + 1e-6
    keep, alias = kernel.alias_table(chance)
    found = keep.astype(np.float64)
    np.add.at(found, alias, 1.0 - keep)
    np.testing.assert_allclose(found / 101, chance / chance.sum(), atol=1e-6)


def test_it_learns_the_direction() -> None:
    s = ring()
    source, target = trained(s, ROW).vectors()
    count = np.bincount(s.item, minlength=RING + 1)
    near = neighbours_by_likelihood(source, target, 1, count, RING)
    assert (near.item == (np.arange(RING) + 1) % RING).all() and not source[RING].any()
    back = neighbours_by_likelihood(target, source, 1, count, RING)
    assert (back.item == (np.arange(RING) - 1) % RING).all()


def test_sessions_of_one_event_have_no_pairs() -> None:
    s = sessions_of(planted_events(40))
    offsets, item = sessions_with_pairs(s)
    events = [s.item[a:b].tolist() for a, b in pairwise(s.offsets)]
    kept = [item[a:b].tolist() for a, b in pairwise(offsets)]
    assert kept == [items for items in events if len(items) > 1] != events


def test_same_bytes_whatever_the_threads_and_kills(tmp_path: Path) -> None:
    s, row = sessions_of(planted_events()), replace(ROW, epochs=4, max_steps=3)
    one = trained(s, row)
    numba.set_num_threads(1)
    alone = trained(s, row)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    killed = trained(s, row, tmp_path / "state")
    assert as_bytes(one) == as_bytes(alone) == as_bytes(killed)
    assert one.log == alone.log == killed.log
    assert as_bytes(trained(s, row, seed=2)) != as_bytes(one)


def test_batches_cover_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "BATCH_PAIRS", 50)
    trainer = FactorizationTrainer(sessions_of(planted_events(40)), ROW, 1)
    batches = trainer._batches()
    assert len(batches) > 5 and batches[0][0] == 0 and batches[-1][1] == trainer.offsets.size - 1
    assert all(a[1] == b[0] for a, b in pairwise(batches))


def test_an_epoch_may_be_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "BATCH_PAIRS", 50)
    s, seen = sessions_of(planted_events(40)), []
    some = FactorizationTrainer(s, replace(ROW, max_pairs=120), 1)
    for _ in range(2):
        train_epoch(some, lambda batches, _: seen.append(batches) or batches)
    assert [len(batches) for batches in seen] == [2, 2] and seen[0] != seen[1]
    assert some.summary["batches per epoch"] == f"2 of {len(some._batches())}"


def test_unseen_items_have_no_vector_and_few_sessions_are_no_error() -> None:
    s = sessions_of(planted_events(60))
    seen = np.isin(np.arange(N_ITEMS), s.item)
    for side in trained(s, replace(ROW, epochs=1)).vectors():
        assert (side.any(axis=1) == seen).all() and not seen.all()
    alone = sessions_of(planted_events(60).unique("session", keep="first", maintain_order=True))
    empty = trained(alone, ROW)
    assert empty.log == [] and not empty.vectors()[0].any()
