"""Matrix factorisation: pairs and draws against plain loops, planted worlds, the same bytes.

pytest tests/test_factors.py
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

from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.embeddings import factorization_kernel as factors_kernel
from src.embeddings import factorization_trainer as factors
from src.embeddings import vectors as embeddings
from src.embeddings.rows import FactorizationEmbedding

RING = 30
ROW = FactorizationEmbedding("mf", size=16, epochs=15, patience=15, rate=0.3)


def ring(n_sessions: int = 300, types: int = 1) -> Sessions:
    """Item after item round a ring; events of another type than 0 are of any items."""
    rng, rows = np.random.default_rng(1), []
    for session in range(n_sessions):
        state = int(rng.integers(RING))
        for step in range(int(rng.integers(1, 15))):
            kind = int(rng.integers(types))
            state = (state + 1) % RING if kind == 0 else state
            rows.append((session, int(rng.integers(RING)) if kind else state, step, kind))
    return Sessions.from_events(
        pl.DataFrame(rows, schema=EVENTS, orient="row"), n_sessions, RING + 1, n_sessions
    )


def trained(
    s: Sessions, row: FactorizationEmbedding, file: Path | None = None, seed: int = 1
) -> factors.Trainer:
    """A trainer that is done; with a file, it was killed and loaded again after every epoch."""
    trainer = factors.Trainer(s, row, seed)
    while not trainer.done:
        trainer.epoch()
        if file is not None:
            trainer.save(file)
            trainer = factors.Trainer(s, row, seed)
            trainer.load(file)
    return trainer


def as_bytes(trainer: factors.Trainer) -> list[bytes]:
    return [side.tobytes() for side in trainer.vectors()]


@pytest.mark.parametrize("steps", [1, 3, 99])
def test_pairs(steps: int) -> None:
    s = sessions_of(planted_events(40))
    n = factors_kernel.count_pairs(s.offsets, 3, 30, steps)
    x, y = np.empty(n, np.int32), np.empty(n, np.int32)
    n = factors_kernel.write_pairs(s.offsets, s.item, 3, 30, steps, x, y)
    sessions = [s.item[s.offsets[i] : s.offsets[i + 1]].tolist() for i in range(3, 30)]
    wanted = [
        (a, b) for items in sessions for i, b in enumerate(items)
        for a in items[max(0, i - steps) : i] if a != b
    ]  # fmt: skip
    assert list(zip(x[:n].tolist(), y[:n].tolist(), strict=True)) == wanted


def test_groups_hold_every_pair_once() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 50, (2, 1000)).astype(np.int32)
    order = rng.permutation(1000)
    starts, gx, gy = factors_kernel.into_groups(x, y, order, 3)
    pairs = [(x[p], y[p]) for g in range(3) for p in order if x[p] % 3 == g]
    assert list(zip(gx, gy, strict=True)) == pairs
    assert starts.tolist() == [0, *np.cumsum(np.bincount(x % 3)).tolist()]


def test_alias_table() -> None:
    chance = np.random.default_rng(1).random(101) ** 4 + 1e-6
    keep, other = factors_kernel.alias_table(chance)
    found = keep.astype(np.float64)
    np.add.at(found, other, 1.0 - keep)
    np.testing.assert_allclose(found / 101, chance / chance.sum(), atol=1e-6)


def test_it_learns_the_direction() -> None:
    s = ring()
    source, target = trained(s, ROW).vectors()
    count = np.bincount(s.item, minlength=RING + 1)
    near = embeddings.likely(source, target, 1, count)
    assert (near.item == (np.arange(RING) + 1) % RING).all() and not source[RING].any()
    back = embeddings.likely(target, source, 1, count)
    assert (back.item == (np.arange(RING) - 1) % RING).all()


def test_only_the_kept_types_count() -> None:
    s, row = ring(types=2), replace(ROW, types=(0,))
    source, target = trained(s, row).vectors()
    count = np.bincount(s.item, minlength=RING + 1)
    near = embeddings.likely(source, target, 1, count)
    assert (near.item == (np.arange(RING) + 1) % RING).all()
    offsets, item = factors.kept_sessions(s, row)
    kept = [s.item[a:b][s.type[a:b] == 0].tolist() for a, b in pairwise(s.offsets)]
    found = [item[a:b].tolist() for a, b in pairwise(offsets)]
    assert found == [items for items in kept if len(items) > 1]
    recent = replace(row, last_days=3 / 86400)  # seconds 12 and later of 14
    assert factors.kept_sessions(s, recent)[1].size == sum(
        n for n in (sum((s.type[a:b] == 0) & (s.ts[a:b] > s.ts.max() - 3))
                    for a, b in pairwise(s.offsets)) if n > 1
    )  # fmt: skip


def test_same_bytes_whatever_the_threads_and_kills(tmp_path: Path) -> None:
    s, row = sessions_of(planted_events()), replace(ROW, epochs=4, steps=3)
    one = trained(s, row)
    numba.set_num_threads(1)
    alone = trained(s, row)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    killed = trained(s, row, tmp_path / "state")
    assert as_bytes(one) == as_bytes(alone) == as_bytes(killed)
    assert one.log == alone.log == killed.log
    assert as_bytes(trained(s, row, seed=2)) != as_bytes(one)


def test_chunks_cover_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "CHUNK", 50)
    trainer = factors.Trainer(sessions_of(planted_events(40)), ROW, 1)
    chunks = trainer._chunks()
    assert len(chunks) > 5 and chunks[0][0] == 0 and chunks[-1][1] == trainer.offsets.size - 1
    assert all(a[1] == b[0] for a, b in pairwise(chunks))


def test_an_epoch_may_be_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "CHUNK", 50)
    s, seen = sessions_of(planted_events(40)), []
    some = factors.Trainer(s, replace(ROW, pairs=120), 1)
    some.epoch(lambda chunks: seen.append(chunks) or chunks)
    some.epoch(lambda chunks: seen.append(chunks) or chunks)
    assert [len(chunks) for chunks in seen] == [2, 2] and seen[0] != seen[1]
    assert some.facts["only parts"] == f"2 of {len(some._chunks())} an epoch"


def test_unseen_items_have_no_vector_and_few_sessions_are_no_error() -> None:
    s = sessions_of(planted_events(60))
    seen = np.isin(np.arange(N_ITEMS), s.item)
    for side in trained(s, replace(ROW, epochs=1)).vectors():
        assert (side.any(axis=1) == seen).all() and not seen.all()
    empty = trained(s, replace(ROW, last_days=0.0))
    assert empty.log == [] and not empty.vectors()[0].any()
