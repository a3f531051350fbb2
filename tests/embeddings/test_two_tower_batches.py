"""What a two-tower net reads and is trained on, against plain loops.

pytest tests/embeddings/test_two_tower_batches.py
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from planted import planted_events, sessions_of

from src.data.sequence_batch import TIME_BUCKETS, SequenceBatch, bucket
from src.data.sessions import Sessions
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.two_tower_batches import (
    NegativeSampler,
    Targets,
    epoch_batches,
    split_positions,
)

ROW = TwoTowerEmbedding("net", batch_size=128)


@pytest.fixture(scope="module")
def planted() -> Sessions:
    return sessions_of(planted_events(), 260)


@pytest.mark.parametrize("max_len", [1, 5])
def test_sequences(planted: Sessions, max_len: int) -> None:
    s, position = planted, np.arange(planted.item.size)[::7]
    batch = SequenceBatch.of(s, position, max_len)
    for i, p in enumerate(position):
        begin = max(b for b in s.offsets if b <= p)
        mine = range(p, max(begin - 1, p - max_len), -1)  # newest first
        pad = [0] * (max_len - len(mine))
        assert batch.item[i].tolist() == [s.item[j] for j in mine] + [-1] * len(pad)
        assert batch.event_type[i].tolist() == [s.type[j] for j in mine] + pad
        recency = [int(s.ts[p] - s.ts[j]) for j in mine]
        assert (
            batch.recency[i].tolist()
            == [min(x.bit_length(), TIME_BUCKETS - 1) for x in recency] + pad
        )
        gap = [0, *(b - a for a, b in pairwise(recency))]
        assert batch.gap[i].tolist() == [min(x.bit_length(), TIME_BUCKETS - 1) for x in gap] + pad
        assert batch.hour[i] == s.ts[p] // 3600 % 24


def test_a_session_without_an_event_is_padding(planted: Sessions) -> None:
    batch = SequenceBatch.of(planted, np.array([-1, 40, -1]), 5)
    other = SequenceBatch.of(planted, np.array([40]), 5)
    for name in ("item", "event_type", "recency", "gap", "hour"):
        values = getattr(batch, name)
        assert (values[[0, 2]] == (-1 if name == "item" else 0)).all()
        assert values[1].tolist() == getattr(other, name)[0].tolist()
    assert batch.mask.any(axis=1).tolist() == [False, True, False]


def test_a_sequence_does_not_hold_what_follows(planted: Sessions) -> None:
    s = planted
    position = (s.offsets[:-1] + s.offsets[1:]) // 2  # and behind them, all is different
    later = np.arange(s.item.size) > np.repeat(position, np.diff(s.offsets))
    other = replace(s, item=s.item + 1 * later, type=s.type + 1 * later, ts=s.ts + 99 * later)
    for name in ("item", "event_type", "recency", "gap", "hour"):
        one, two = (getattr(SequenceBatch.of(of, position, 5), name) for of in (s, other))
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("n_targets", [1, 4])
def test_targets(planted: Sessions, n_targets: int) -> None:
    s = planted
    position = split_positions(s, 1)[0][::5]
    t = Targets.of(s, position, n_targets)
    found = list(zip(t.position[t.query], t.type[t.query], t.item, t.weight, strict=True))
    wanted = []
    for i, p in enumerate(position):
        places = range(p + 1, min(p + 1 + n_targets, min(b for b in s.offsets if b > p)))
        wanted += [(i, s.type[j], s.item[j], np.float32(1 / len(places))) for j in places]
    assert found == wanted
    assert len(set(zip(t.position, t.type, strict=True))) == t.position.size


def test_buckets() -> None:
    assert bucket(np.array([-5, 0, 1, 2, 3, 4, 2**40])).tolist() == [
        0,
        0,
        1,
        2,
        2,
        3,
        TIME_BUCKETS - 1,
    ]


def test_positions(planted: Sessions) -> None:
    s = planted
    last = set((s.offsets[1:] - 1).tolist())
    learned, held = split_positions(s, 1)
    owner = np.repeat(np.arange(s.n_sessions), np.diff(s.offsets))
    assert not set(owner[learned]) & set(owner[held]) and len(set(owner[held])) == held.size > 5
    assert not last & {*learned.tolist(), *held.tolist()}
    rest = set(range(s.item.size)) - last - set(learned.tolist())
    assert set(owner[sorted(rest)]) == set(owner[held])
    again = np.concatenate(epoch_batches(learned, ROW, 1, 0))
    assert sorted(again) == learned.tolist() and again.tolist() != learned.tolist()
    some = np.concatenate(epoch_batches(learned, replace(ROW, max_positions=100), 1, 0))
    assert 80 < np.unique(some).size == some.size <= 100


def test_negatives(planted: Sessions) -> None:
    row = replace(ROW, batch_negatives=40, ns_exponent=0.75)
    negatives, rng = NegativeSampler(planted, row), np.random.default_rng(1)
    draws = [negatives.draw(rng) for _ in range(3000)]
    often = np.bincount(np.concatenate([items for items, _ in draws]), minlength=planted.n_items)
    chance = np.zeros(planted.n_items)
    for items, log_chance in draws:
        chance[items] = np.exp(log_chance)
    np.testing.assert_allclose(often / 3000, chance, atol=0.05)
    everything, certain = NegativeSampler(planted, replace(row, batch_negatives=200)).draw(rng)
    assert everything.tolist() == np.unique(planted.item).tolist() and not certain.any()
