"""Feature columns against plain loops over lists of events; no value sees the future.

pytest tests/test_features.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from planted import N_ITEMS
from test_rules import (
    LOOK_UPS,
    OWN,
    Events,
    history,
    planted_world,
    small_world,
    write_items,
    write_world,
)

from src.candidates import pool
from src.candidates.pool import Pool
from src.candidates.rules import World, block_lists
from src.data.schemas import EVENTS
from src.datasets import RECIPES
from src.embeddings import vectors as embeddings
from src.embeddings.rows import FactorizationEmbedding, Word2VecEmbedding
from src.features import table as features
from src.features.rows import (
    AGGREGATES,
    RELATIONS,
    WEIGHTINGS,
    ContextFeature,
    ContextPopularityFeature,
    EmbeddingFeature,
    ItemAgeFeature,
    ItemAttributeFeature,
    ItemStatisticsFeature,
    MatrixFeature,
    PopularityFeature,
)
from src.features.table import Features
from src.matrices.neighbours import MATRIX
from src.matrices.rows import CovisitationMatrix
from src.rankers.sampling import piece

Score = Callable[[int, int], float]  # of a history item and a candidate
HOUR, DAY = 3600, 86_400
TYPE_WEIGHT = (1.0, 6.0, 3.0)
WINDOWS = ((0, HOUR), (0, 7 * DAY), (1, DAY), (2, None))
POPULARITY = [PopularityFeature(0, (7 * DAY, HOUR)), PopularityFeature(1, (DAY,)),
              PopularityFeature(2, (None,))]  # fmt: skip
KNOWN = (ItemAgeFeature(), ItemAttributeFeature("words", RELATIONS), ContextFeature("device"),
         ContextPopularityFeature("device", (DAY,)), ItemStatisticsFeature(), ItemStatisticsFeature(7))  # fmt: skip
RULES = (OWN[0], LOOK_UPS[0])
ABOVE = {"near": 1.0, "vec": 0.3, "pair": 0.2}  # what `count` asks of a score
RECIPE = replace(
    RECIPES["otto"], matrices=(CovisitationMatrix("near", steps=2),),
    embeddings=(Word2VecEmbedding("vec"), FactorizationEmbedding("pair")),
    rules=RULES, baselines=(), type_weight=TYPE_WEIGHT,
    features=(MatrixFeature("near", above=1.0), EmbeddingFeature("vec", above=0.3),
              EmbeddingFeature("pair", above=0.2), *POPULARITY, *KNOWN),
)  # fmt: skip
MADE = Features(RECIPE)
at = MADE.names.index
PAIRS = [(w, a) for w in WEIGHTINGS for a in AGGREGATES]
POPULAR = ["popular_clicks_1h", "popular_clicks_168h", "popular_carts_24h", "popular_orders_all"]
ALIKE = "popular_same_device_24h"
COUNTED = ("sessions", "sessions_clicks", "sessions_carts", "sessions_orders", "weight_position",
           "weight_type", "weight_day", "weight_time", "weight_recsys")  # fmt: skip
RANKED = [*(f"{table}_{w}_sum" for table in ABOVE for w in WEIGHTINGS), *POPULAR, ALIKE,
          *(f"item_{name}_{span}" for span in ("all", "7d") for name in COUNTED)]  # fmt: skip

A, B, C, D, E = range(5)  # items
FOUR = [(A, 1000, 0), (B, 4360, 1), (A, 4420, 0), (C, 4480, 2)]
WEIGHTS = {  # of its events; by hand
    "equal": [1, 1, 1, 1],
    "position": [2**0.1 - 1, 2**0.4 - 1, 2**0.7 - 1, 1],
    "type": [1, 6, 1, 3],
    "day": [1, 1, 1, 1],
    "time": [1 / math.log(60), 1 / math.log(4), 1 / math.log(3), 1 / math.log(2)],
}
WEIGHTS["recsys"] = [  # time / (ln(2 + back) * ln(1 + events) * ln(1 + events of the item))
    time / math.log(5 - i) / math.log(5) / math.log((3, 2, 3, 2)[i])
    for i, time in enumerate(WEIGHTS["time"])
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """With vectors of all items but the last, and others in `pair` for those of the history."""
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(7)
    for name in ("vec", "pair", "pair.sources"):
        vectors = rng.normal(size=(N_ITEMS, 8))
        vectors[-1] = 0.0
        np.save(folder / f"{name}.npy", embeddings.unit(vectors))
    world = planted_world(folder)
    know(world)
    return world


def know(world: World) -> None:
    """Something about two items in three, and about two events in three."""
    words = [None if i % 3 == 0 else 100 + i % 7 for i in range(N_ITEMS)]
    write_items(world.output, N_ITEMS, {"words": words})
    path = world.output / "valid" / "events.parquet"
    events = pl.read_parquet(path)
    device = (pl.col("session") + pl.col("ts") // 60) % 5
    known = pl.when(pl.col("ts") % 3 > 0).then(device)
    events.with_columns(device=known).cast({"device": pl.Int32}).write_parquet(path)


@pytest.fixture(scope="module")
def made(world: World) -> Pool:
    lists = block_lists(world, dict(enumerate(RULES)), world.first_query, world.n_sessions)
    return pool.merge(lists, len(RULES), world.first_query, world.n_sessions, 25)


@pytest.fixture(scope="module", name="X")
def all_columns(world: World, made: Pool) -> np.ndarray:
    return MADE.compute(world, made)


def test_only_the_columns_that_are_asked_for_are_made(
    world: World, made: Pool, X: np.ndarray
) -> None:
    assert not MADE.compute(world, made, [])[:, len(MADE.families[0].names) :].any()
    for seed in range(3):
        some = np.random.default_rng(seed).permutation(len(MADE.names))[:9]
        few = MADE.compute(world, made, [MADE.names[column] for column in some])
        assert few[:, some].tobytes() == X[:, some].tobytes()
    ranked = MADE.targets[MADE.targets.size // 2]
    few = MADE.compute(world, made, [MADE.names[ranked]])
    assert few[:, ranked].any() and not few[:, MADE.targets[MADE.targets != ranked]].any()


def rows(made: Pool) -> list[tuple[int, int]]:
    return list(zip(made.session.tolist(), made.item.tolist(), strict=True))


def by_hand(world: World, session: int, *item: int, row: int = 0) -> tuple[list[str], np.ndarray]:
    """The columns of one feature row for a pool that no rule named."""
    few = Features(replace(RECIPE, rules=RULES[:1], features=RECIPE.features[row : row + 1]))
    none = np.full((len(item), 1), 255, np.uint8), np.zeros((len(item), 1), np.float32)
    made = Pool(session, np.array([0, len(item)]), np.array(item, np.int32), none[1][:, 0], *none)
    return few.names, few.compute(world, made)


def plain_weight(kind: str, events: Events, i: int) -> float:
    item, ts, type_ = events[i]
    time = 1 / math.log(2 + (events[-1][1] - ts) / 60)
    match kind:
        case "position":
            return 2 ** (0.1 + 0.9 * i / (len(events) - 1)) - 1 if len(events) > 1 else 1.0
        case "recsys":
            count = sum(event[0] == item for event in events)
            return (
                time
                / math.log(1 + len(events) - i)
                / math.log(1 + len(events))
                / math.log(1 + count)
            )
    day = float(events[-1][1] - ts <= DAY)
    return {"equal": 1.0, "type": TYPE_WEIGHT[type_], "day": day, "time": time}[kind]


def plain_score(events: Events, kind: str, how: str, score: Score, candidate: int) -> float:
    """Every event speaks for itself."""
    weights = [plain_weight(kind, events, i) for i in range(len(events))]
    votes = [w * score(e[0], candidate) for w, e in zip(weights, events, strict=True)]
    if how == "max":
        return max(0.0, *votes)
    return sum(votes) / (sum(weights) if how == "mean" else 1.0)


@pytest.mark.parametrize("tail", [100, 4])
@pytest.mark.parametrize("table", ["near", "vec", "pair"])
def test_matrix_and_embedding_columns(
    monkeypatch: pytest.MonkeyPatch, world: World, made: Pool, table: str, tail: int
) -> None:
    monkeypatch.setattr(features, "TAIL", tail)
    X = MADE.compute(world, made)
    near = {(x, y): weight for x, y, weight in world.matrix("near").to_frame().iter_rows()}
    sides = {"vec": ("vec", "vec"), "pair": ("pair.sources", "pair"), "near": ("vec", "vec")}
    cosine = np.inner(*(np.load(world.output / f"{name}.npy") for name in sides[table]))
    score: Score = (lambda *pair: near.get(pair, 0.0)) if table == "near" else lambda *p: cosine[p]
    events = {s: history(world, s)[-tail:] for s in set(made.session.tolist())}
    for kind, how in PAIRS:
        wanted = [plain_score(events[s], kind, how, score, y) for s, y in rows(made)]
        found = X[:, at(f"{table}_{kind}_{how}")]
        assert np.ptp(found) > 0
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    for back in range(5):
        alone = [score(events[s][-1 - back][0], y) if len(events[s]) > back else 0.0
                 for s, y in rows(made)]  # fmt: skip
        found = X[:, at(f"{table}_latest_{back}")]
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-6)
        assert (tail == 4 and back == 4) or np.ptp(found) > 0
    loud = [
        sum(score(x, y) > ABOVE[table] for x in {e[0] for e in events[s]}) for s, y in rows(made)
    ]
    assert X[:, at(f"{table}_count")].tolist() == loud and len(set(loud)) > 2


@pytest.mark.parametrize(("kind", "how"), PAIRS)
def test_weightings_by_hand(tmp_path: Path, kind: str, how: str) -> None:
    pairs = [(A, D, 2.0), (C, D, 0.5), (C, E, 9.0)]
    pl.DataFrame(pairs, schema=MATRIX, orient="row").write_parquet(tmp_path / "near.parquet")
    names, X = by_hand(small_world(tmp_path, [FOUR], 1), 0, D, A)
    w = WEIGHTS[kind]
    votes = [2.0 * w[0], 0, 2.0 * w[2], 0.5 * w[3]]  # A, seen twice, counts twice
    wanted = {"sum": sum(votes), "mean": sum(votes) / sum(w), "max": max(votes)}[how]
    np.testing.assert_allclose(X[:, names.index(f"near_{kind}_{how}")], [wanted, 0.0], rtol=1e-5)


def test_popularity_columns(world: World, made: Pool, X: np.ndarray) -> None:
    now = {s: history(world, s)[-1][1] for s in set(made.session.tolist())}
    for (type_, window), name in zip(WINDOWS, POPULAR, strict=True):
        events = [e for s in range(world.n_sessions) for e in history(world, s) if e[2] == type_]
        times = {y: [ts for item, ts, _ in events if item == y] for y in range(N_ITEMS)}
        first = {s: now[s] - window if window else 0 for s in now}
        wanted = [sum(first[s] <= ts < now[s] for ts in times[y]) for s, y in rows(made)]
        assert X[:, at(name)].tolist() == wanted and len(set(wanted)) > 1
    hour, week = X[:, at("popular_clicks_1h")], X[:, at("popular_clicks_168h")]
    trend = X[:, at("popular_clicks_1h_of_168h")]
    np.testing.assert_allclose(trend, hour / np.maximum(week, 1))
    assert np.ptp(trend) > 0


def test_popularity_window_borders(tmp_path: Path) -> None:
    now, times = HOUR + 2, (1, 2, HOUR + 1, HOUR + 2, HOUR + 3)
    world = small_world(tmp_path, [[(A, ts, 0) for ts in times], [(A, now, 0)]], 1)
    names, X = by_hand(world, 1, A, row=3)
    assert X[0, names.index(POPULAR[0])] == 2


def test_popularity_of_a_type_that_never_occurs(tmp_path: Path) -> None:
    """Clicks alone: an item has not the next one's for carts, nor the last one what lies behind."""
    clicks = [(y, 100 + y, 0) for y in range(5)]
    world = small_world(tmp_path, [clicks, [(A, 200, 0)]], 1)
    row = next(n for n, feature in enumerate(RECIPE.features)
               if isinstance(feature, PopularityFeature) and feature.type == 2)  # fmt: skip
    names, X = by_hand(world, 1, A, B, C, D, E, row=row)
    assert not X[:, names.index("popular_orders_all")].any()
    names, X = by_hand(world, 1, A, B, C, D, E, row=row - 2)
    assert X[:, names.index("popular_clicks_1h")].tolist() == [1] * 5


def test_popularity_windows_that_reach_ahead(tmp_path: Path) -> None:
    now, times = 1000, (899, 900, 1000, 1049, 1050)
    world = small_world(tmp_path, [[(A, ts, 0) for ts in times], [(A, now, 0)]], 1)
    recipe = replace(RECIPE, rules=RULES[:1], features=(PopularityFeature(0, (100,), 50),))
    few = Features(recipe)
    made = Pool(1, np.array([0, 1]), np.array([A], np.int32), np.zeros(1, np.float32),
                np.full((1, 1), 255, np.uint8), np.zeros((1, 1), np.float32))  # fmt: skip
    name = "popular_clicks_0.0277778h_0.0138889h_ahead"
    assert few.compute(world, made)[0, few.names.index(name)] == 4  # the query's own, too


def test_popularity_among_the_alike(world: World, made: Pool, X: np.ndarray) -> None:
    s, device = world.sessions, world.context("device")
    last = s.offsets[1:] - 1
    for i, (session, item) in enumerate(rows(made)):
        now, mine = s.ts[last[session]], device[last[session]]
        around = (s.ts >= now - DAY) & (s.ts < now) & (s.item == item) & (device == mine)
        assert X[i, at(ALIKE)] == around.sum()
    assert np.ptp(X[:, at(ALIKE)]) > 1


def test_seen_columns(world: World, made: Pool, X: np.ndarray) -> None:
    everything = [e for s in range(world.n_sessions) for e in history(world, s)]
    times = {y: [ts for item, ts, _ in everything if item == y] for y in range(N_ITEMS)}
    for i, (session, item) in enumerate(rows(made)):
        now = history(world, session)[-1][1]
        ago = [now - ts for ts in times[item] if ts < now] or [-1]
        assert X[i, at("seen_first")] == max(ago) and X[i, at("seen_latest")] == min(ago)


def test_item_and_context_columns(world: World, made: Pool, X: np.ndarray) -> None:
    words = world.items["words"].to_list()
    device = world.context("device")[world.sessions.offsets[1:] - 1]
    columns = [at(f"words_{relation}") for relation in RELATIONS]
    for i, (session, item) in enumerate(rows(made)):
        events = history(world, session)
        now, mine, last = events[-1][1], words[item], words[events[-1][0]]
        known = [w for y, _, _ in events if (w := words[y]) is not None]
        both = mine is not None and last is not None
        wanted = [
            mine, now - mine if mine else None, last, now - last if last else None,
            mine - last if both else None,
            mine - sum(known) / len(known) if mine and known else None,
            float(both and mine == last),
            sum(words[y] == mine for y, _, _ in events) / len(events) if mine else 0.0,
        ]  # fmt: skip
        given = [-1e9 if w is None else w for w in wanted]
        np.testing.assert_allclose(X[i, columns], given, rtol=1e-5)
        assert X[i, at("context_device")] == device[session]


def test_session_and_own_columns(world: World, made: Pool, X: np.ndarray) -> None:
    for i, (session, item) in enumerate(rows(made)):
        items, ts, types = zip(*history(world, session), strict=True)
        gaps, now = [b - a for a, b in pairwise(ts)], ts[-1]
        mine = [j for j in range(len(items)) if items[j] == item]
        ago = [now - ts[j] for j in mine] or [-1]
        wanted = {
            "session_events": len(ts), "session_items": len(set(items)),
            "session_seconds": now - ts[0], "session_last_gap": gaps[-1] if gaps else -1,
            "session_hour": now // HOUR % 24, "session_weekday": now // DAY % 7,
            "session_visits": 1 + sum(gap > 2 * HOUR for gap in gaps), "own_count": len(mine),
            "own_back": len(ts) - 1 - mine[-1] if mine else -1, "own_seconds": ago[-1],
            "own_last_type": types[mine[-1]] if mine else -1, "own_first_seconds": ago[0],
            "session_last_type": types[-1],
            "session_mean_gap": np.float32(now - ts[0]) / np.float32(max(len(gaps), 1)),
            "session_again": np.float32(1) - np.float32(len(set(items))) / np.float32(len(ts)),
        }  # fmt: skip
        visit = max((j + 1 for j, gap in enumerate(gaps) if gap > 2 * HOUR), default=0)
        wanted |= {"session_visit_events": len(ts) - visit,
                   "session_visit_seconds": now - ts[visit]}  # fmt: skip
        for t, name in enumerate(RECIPE.types):
            wanted[f"session_{name}"] = types.count(t)
            wanted[f"own_{name}"] = sum(types[j] == t for j in mine)
            since = [now - ts[j] for j in range(len(ts)) if types[j] == t]
            wanted[f"session_since_{name}"] = since[-1] if since else -1
            since = [now - ts[j] for j in mine if types[j] == t]
            wanted[f"own_since_{name}"] = since[-1] if since else -1
        assert {name: X[i, at(name)] for name in wanted} == wanted
        events = history(world, session)
        for kind in WEIGHTINGS:
            weight = sum(plain_weight(kind, events, j) for j in mine)
            assert X[i, at(f"own_weight_{kind}")] == pytest.approx(weight, rel=1e-5)


@pytest.mark.parametrize(("span", "days"), [("all", 1000), ("7d", 7)])
def test_item_statistics(world: World, made: Pool, X: np.ndarray, span: str, days: int) -> None:
    since = int(world.sessions.ts.max()) - days * DAY
    sessions = [history(world, s) for s in range(world.n_sessions)]
    for i in range(0, made.item.size, 7):
        y = made.item[i]
        wanted = plain_statistics(sessions, y, since)
        found = {name: X[i, at(f"item_{name}_{span}")] for name in wanted}
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def plain_statistics(sessions: list[Events], item: int, since: int) -> dict[str, float]:
    """Columns of one item, from lists."""
    met = [(s, [i for i, e in enumerate(s) if e[0] == item and e[1] >= since]) for s in sessions]
    met = [(s, own) for s, own in met if own]
    both = [(s, i) for s, own in met for i in own]
    types = [[s[i][2] for i in own] for s, own in met]
    wanted: dict[str, float] = {"sessions": len(met)}
    for t, name in enumerate(RECIPE.types):
        wanted[f"events_{name}"] = sum(of.count(t) for of in types)
        wanted[f"sessions_{name}"] = sum(t in of for of in types)
        if t:
            wanted[f"share_{name}"] = wanted[f"events_{name}"] / max(len(both), 1)
    for a, b in product(range(3), repeat=2):
        first = [of for of in types if a in of]
        then = sum(b in of[of.index(a) + 1 :] for of in first)
        wanted[f"{RECIPE.types[a]}_to_{RECIPE.types[b]}"] = then / max(len(first), 1)
    for kind in WEIGHTINGS[1:]:
        weights = [plain_weight(kind, s, i) for s, i in both]
        if kind == "recsys":  # without the term of the item
            weights = [w * math.log(1 + sum(e[0] == item for e in s))
                       for w, (s, _) in zip(weights, both, strict=True)]  # fmt: skip
        wanted[f"weight_{kind}"] = sum(weights)
    n, waits = max(len(both), 1), [s[i + 1][1] - s[i][1] for s, i in both if i < len(s) - 1]
    return wanted | {
        "place": sum(i / (len(s) - 1) if len(s) > 1 else 1.0 for s, i in both) / n,
        "length": sum(len(s) for s, _ in both) / n,
        "ends": sum(i == len(s) - 1 for s, i in both) / n,
        "wait": sum(math.log(1 + w) for w in waits) / max(len(waits), 1),
        "again": sum(len(own) > 1 for _, own in met) / max(len(met), 1),
    }


def test_pool_columns(made: Pool, X: np.ndarray) -> None:
    assert X[:, at("vote")].tolist() == made.vote.tolist()
    assert X[:, at("place")].tolist() == [p for n in np.diff(made.offsets) for p in range(n)]
    for r, rule in enumerate(RULES):
        wanted = made.ranks[:, r].tolist()
        np.testing.assert_array_equal(X[:, at(f"rank_{rule.name}")], wanted)
        assert X[:, at(f"score_{rule.name}")].tolist() == made.scores[:, r].tolist()


def test_ranks_within_the_query(made: Pool, X: np.ndarray) -> None:
    assert MADE.names[-len(RANKED) :] == [f"{name}_rank" for name in RANKED]
    for name in RANKED:
        queries = np.split(X[:, at(name)], made.offsets[1:-1])
        wanted = [(values > v).sum() for values in queries for v in values]  # ties share the best
        assert X[:, at(f"{name}_rank")].tolist() == wanted


def test_names_are_unique() -> None:
    for recipe in (RECIPE, *RECIPES.values()):
        assert len(set(names := Features(recipe).names)) == len(names)


def test_blocks_and_threads_change_no_byte(world: World, made: Pool, X: np.ndarray) -> None:
    assert X.shape == (made.item.size, len(MADE.names)) and X.dtype == np.float32
    parts = [MADE.compute(world, piece(made, a, b)) for a, b in pairwise((0, 7, 8, 40))]
    assert np.concatenate(parts).tobytes() == X.tobytes()
    numba.set_num_threads(1)
    alone = MADE.compute(world, made)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert alone.tobytes() == X.tobytes()


def test_no_column_sees_the_future(
    monkeypatch: pytest.MonkeyPatch, world: World, made: Pool, X: np.ndarray, tmp_path: Path
) -> None:
    # What happens elsewhere at or after a query's last event changes none of its columns. Matrices,
    # kNN lists and item statistics stay as they are on purpose: they are transductive, that is,
    # made from the visible prefixes of all sessions of the split, which the competition allows.
    events = pl.read_parquet(world.output / "valid" / "events.parquet").select(EVENTS.names())
    query = world.first_query + 17
    now = history(world, query)[-1][1]
    later = (pl.col("ts") >= now) & (pl.col("session") != query)
    moved = events.with_columns(
        ts=pl.col("ts") + 5000 * later, item=(pl.col("item") + 7 * later) % N_ITEMS
    ).cast(dict(EVENTS))
    crowd = [(0, y, now, type_) for y in range(N_ITEMS) for type_ in range(3)]
    both = moved.vstack(pl.DataFrame(crowd, EVENTS, orient="row"))
    both = both.sort("session", "ts", maintain_order=True)
    assert events.filter(later).height > 100
    changed = write_world(tmp_path, both, world.sessions.n_queries)
    know(changed)
    monkeypatch.setattr(changed, "_tables", lambda name: world.output / f"{name}.parquet")
    monkeypatch.setattr(changed, "statistics", world.statistics)
    again = MADE.compute(changed, piece(made, 17, 18))
    assert again.tobytes() == X[made.session == query].tobytes()
    assert MADE.compute(changed, made).tobytes() != X.tobytes()
