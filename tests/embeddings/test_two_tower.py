"""The two-tower net: its arrays against plain loops, planted worlds, the same bytes.

pytest tests/embeddings/test_two_tower.py
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import torch
from planted import BARE, planted_events, planted_split, sessions_of

from src.core.training import EarlyStopping, Log, train_epoch, train_in_epochs
from src.data.recipe import Objective
from src.data.schemas import EVENTS
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.embeddings import two_tower_metrics, two_tower_nets, two_tower_vectors
from src.embeddings.neighbours import neighbours_by_likelihood
from src.embeddings.two_tower import ENCODERS, TwoTowerEmbedding
from src.embeddings.two_tower_batches import Batch, Targets, split_positions
from src.embeddings.two_tower_trainer import deterministic_trainer

ROOT = Path(__file__).resolve().parents[2]
RING = 30  # items of the planted world
CLICK, BUY = 0, 1
ROW = TwoTowerEmbedding("net", dim=16, max_len=4, n_targets=1, batch_negatives=16, batch_size=128,
                        epochs=12, learning_rate=0.02, patience=12)  # fmt: skip


def ring(n_sessions: int = 260, length: int = 12, seed: int = 1) -> Sessions:
    """A click goes to the next item, a buy to the one after; which of them, nobody can know."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n_sessions):
        state, ts = int(rng.integers(RING)), 1_660_000_000 + int(rng.integers(10**6))
        for _ in range(length):
            event_type = int(rng.integers(2))
            state, ts = (state + 1 + event_type) % RING, ts + int(rng.integers(100))
            rows.append((session, state, ts, event_type))
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    return Sessions.from_events(events, n_sessions, RING + 1, n_sessions - 40)


@pytest.fixture(scope="module")
def planted() -> Sessions:
    return sessions_of(planted_events(), 260)


class Trained(NamedTuple):
    """What a training leaves."""

    items: np.ndarray
    queries: np.ndarray
    log: Log


def trained(
    sessions: Sessions, row: TwoTowerEmbedding, tmp_path: Path, stop_after: int = 0, seed: int = 3
) -> Trained:
    """Vectors and log; with `stop_after`, killed after so many epochs and resumed."""
    file, state = tmp_path / "q.npy", tmp_path / "state"
    if stop_after:
        with deterministic_trainer(sessions, row, 3, seed, "cpu") as trainer:
            for _ in range(stop_after):
                train_epoch(trainer)
            trainer.save(state)
    with deterministic_trainer(sessions, row, 3, seed, "cpu") as trainer:
        if stop_after:
            trainer.load(state)
        train_in_epochs(trainer)
        towers = trainer.best_towers()
        towers.query_tower.write_vectors(sessions, [CLICK, BUY], file)
        return Trained(towers.item_vectors(), np.load(file), trainer.log)


@pytest.mark.parametrize("negatives", [100, 12])
def test_the_loss_is_a_softmax_over_the_drawn_items(negatives: int) -> None:
    """A drawn item counts for all that it stands for; a query's own targets are no negatives."""
    s = ring(60)
    row = replace(ROW, batch_negatives=negatives, dropout=0.0, n_targets=2)
    position = split_positions(s, 1)[0][::9]
    t = Targets.of(s, position, row.n_targets)
    with deterministic_trainer(s, row, 3, 1, "cpu") as trainer:
        drawn, log_chance = trainer.sampler.draw(np.random.default_rng(1))
        items = trainer.best_towers().item_vectors().astype(np.float64)
        sequences = SequenceBatch.of(s, position, row.max_len)
        session = trainer.state.encode(sequences)[torch.from_numpy(t.position)]
        query = trainer.state.net.query(session, torch.from_numpy(t.type)).detach().double()
        score = np.exp(query.numpy() @ items.T / row.temperature)
        rng = np.random.default_rng(1)
        batch = Batch.of(s, position, row, trainer.sampler, rng)
        loss = trainer.train_batch(batch, rate=0.0)
    assert drawn.size == RING if negatives == 100 else drawn.size < 13
    stands_for = dict(zip(drawn.tolist(), np.exp(-log_chance.astype(np.float64)), strict=True))
    wanted = 0.0
    for q, y, weight in zip(t.query, t.item, t.weight, strict=True):
        others = set(stands_for) - set(t.item[t.query == q].tolist())
        rest = sum(stands_for[i] * score[q, i] for i in others)
        wanted -= weight * np.log(score[q, y] / (score[q, y] + rest))
    assert loss == pytest.approx(wanted / position.size, rel=1e-4)


@pytest.mark.parametrize("cells", [1, 500, 2**21])
def test_ranks(monkeypatch: pytest.MonkeyPatch, planted: Sessions, cells: int) -> None:
    """How many items that occur are nearer than the true one, in blocks of whatever size."""
    monkeypatch.setattr(two_tower_metrics, "CELLS", cells)
    rng = np.random.default_rng(1)
    seen = np.unique(planted.item)
    truth = rng.choice(seen, 50)
    query = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(50, 16)))).float()
    with deterministic_trainer(planted, ROW, 3, 1, "cpu") as trainer:
        target = torch.from_numpy(truth).long()
        found = two_tower_metrics.ranks(trainer.state, query, target, trainer.sampler.items)
        score = query.numpy() @ trainer.best_towers().item_vectors().T
    nearer = score > score[range(50), truth][:, None]
    assert found.tolist() == nearer[:, seen].sum(axis=1).tolist()
    assert found.max() > seen.size / 2 and found.min() < 9


def test_every_encoder_has_a_net() -> None:
    assert list(two_tower_nets.ENCODERS) == list(ENCODERS)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_encoder_claims_what_it_holds_of_long_sessions(tmp_path: Path, encoder: str) -> None:
    data, row = planted_split(tmp_path), TwoTowerEmbedding("net", encoder=encoder)
    short, long = (replace(row, max_len=n).memory(data.run, "valid") for n in (10, 50))
    held = 4 * row.dim * 40 * row.batch_size * (75 if encoder == "transformer" else 12)
    assert long - short > held


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_predicted_type_decides(tmp_path: Path, encoder: str) -> None:
    s = ring()
    items, queries, log = trained(s, replace(ROW, encoder=encoder), tmp_path)
    last = s.item[s.offsets[s.first_query + 1 :] - 1]
    for event_type, query in enumerate(queries):
        best = (query @ items.T).argmax(axis=1)
        assert (best == (last + 1 + event_type) % RING).mean() > 0.9
    assert log[-1]["loss"] < log[0]["loss"] and log[-1]["recall_20"] == 1.0
    np.testing.assert_allclose(np.linalg.norm(queries, axis=2), 1, rtol=1e-5)
    lengths = np.linalg.norm(items, axis=1)
    np.testing.assert_allclose(lengths, [1] * RING + [0], rtol=1e-5)  # the last item never occurs


def test_a_single_event_has_the_query_of_a_session_of_it(tmp_path: Path, monkeypatch) -> None:
    """In log-odds; and its likeliest neighbour is what comes next."""
    s = ring()
    with deterministic_trainer(s, ROW, 3, 3, "cpu") as trainer:
        train_in_epochs(trainer)
        towers = trainer.best_towers()
        single, items = towers.single_event_queries(CLICK), towers.item_vectors()
    events = [(i, i, 12 * 3600 + i, CLICK) for i in range(RING)]  # a session each, at noon
    each = Sessions.from_events(
        pl.DataFrame(events, schema=EVENTS, orient="row"), RING, RING + 1, 0
    )
    monkeypatch.setattr(two_tower_vectors, "SESSIONS_AT_A_TIME", 7)
    towers.query_tower.write_vectors(each, [CLICK, BUY], tmp_path / "q.npy")
    wanted = np.load(tmp_path / "q.npy")[0] / ROW.temperature
    np.testing.assert_allclose(single[:RING], wanted, rtol=1e-4, atol=1e-5)
    near = neighbours_by_likelihood(single, items, 1, np.bincount(s.item, minlength=RING + 1), RING)
    assert (near.item == (np.arange(RING) + 1) % RING).mean() > 0.9


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_query_without_an_event_has_no_vector(tmp_path: Path, encoder: str) -> None:
    """Its numbers are 0, not those of the session before it; all others are as without it."""
    s, row = ring(60), replace(ROW, encoder=encoder, epochs=2)
    first, n = s.first_query, s.n_sessions
    empty = [first, first + 1, first + 5, n]  # in front of these sessions, and at the end
    with_empty = replace(s, offsets=np.insert(s.offsets, empty, s.offsets[empty]))
    plain = trained(s, row, tmp_path).queries
    items, queries, log = trained(with_empty, row, tmp_path)
    is_empty = np.diff(with_empty.offsets)[first:] == 0
    assert is_empty.sum() == len(empty) and queries.shape[1] == n - first + len(empty)
    assert not queries[:, is_empty].any() and np.isfinite(items).all()
    np.testing.assert_array_equal(queries[:, ~is_empty], plain)
    assert len(log) == 2


def test_same_seed_same_bytes_and_kills_do_not_matter(tmp_path: Path) -> None:
    s, row = ring(80), replace(ROW, epochs=4, batch_negatives=12, n_targets=3)
    one = trained(s, row, tmp_path)
    for other in (trained(s, row, tmp_path), trained(s, row, tmp_path, stop_after=2)):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(one[:2], other[:2], strict=True))
        assert one[2] == other[2]
    assert trained(s, row, tmp_path, seed=4)[0].tobytes() != one[0].tobytes()


def test_it_stops_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    s = ring(60)
    row = replace(
        ROW, epochs=9, patience=2, learning_rate=1e-9
    )  # nothing changes, so nothing helps
    items, _, log = trained(s, row, tmp_path)
    assert [line["epoch"] for line in log] == [0, 1, 2]
    learned = trained(s, replace(ROW, epochs=6, patience=9), tmp_path)
    best = EarlyStopping("recall_20", 9, 6).best(learned.log)
    kept = int(best["epoch"]) + 1
    some = trained(s, replace(ROW, epochs=6, patience=9), tmp_path, stop_after=kept)
    assert some[0].tobytes() == learned[0].tobytes() != items.tobytes()


def test_a_small_log_gets_more_epochs() -> None:
    row = replace(ROW, epochs=2, min_positions=100)
    assert [row.epochs_for(n) for n in (0, 1, 10, 33, 50, 1000)] == [10, 10, 10, 4, 2, 2]
    assert replace(row, max_positions=25).epochs_for(1000) == 4, "an epoch reads 25"
    for wanted in (1, 2600 * 8):
        row = replace(ROW, epochs=2, min_positions=wanted)
        with deterministic_trainer(ring(), row, 3, 3, "cpu") as trainer:
            assert trainer.stopping.max_epochs == row.epochs_for(trainer.positions.size)
            assert (trainer.stopping.max_epochs > 2) == (wanted > 1)
    with deterministic_trainer(ring(), row, 3, 3, "cpu") as trainer:
        train_in_epochs(trainer)
        loss = [line["loss"] for line in trainer.log]
    assert len(loss) > 4 and loss[-1] < loss[3] < loss[1], "it learns to the end"


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    events = pl.DataFrame([(0, 1, 5, 0), (1, 2, 6, 0)], schema=EVENTS, orient="row")
    items, queries, log = trained(Sessions.from_events(events, 2, 4, 1), ROW, tmp_path)
    assert log == [] and queries.shape == (2, 1, 16) and items.any(axis=1).tolist() == [0, 1, 1, 0]


def test_only_training_loads_torch() -> None:
    kinds = ("word2vec", "factorization", "two_tower", "pretrained")
    modules = [*(f"src.embeddings.{kind}" for kind in kinds), "src.features.table",
               "src.candidates.lists", "src.candidates.two_tower", "src.rankers.score"]  # fmt: skip
    code = f"import sys, {', '.join(modules)}; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_rows_that_make_no_sense() -> None:
    for wrong in (
        {"encoder": "lstm"},
        {"n_targets": 0},
        {"max_len": 0},
        {"temperature": 0.0},
        {"dropout": 1.0},
    ):
        with pytest.raises(ValueError, match="embedding x"):
            TwoTowerEmbedding("x", **wrong)


def test_an_objective_that_is_no_event_type() -> None:
    """There is no vector to predict it with."""
    replace(BARE, embeddings=(ROW,))
    with pytest.raises(ValueError, match=r"embedding net: \['views'\] are no event types"):
        replace(BARE, embeddings=(ROW,), objectives=(Objective("views", 1.0),))
