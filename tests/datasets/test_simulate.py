"""The simulated shop: raw format, same bytes for the same world, OTTO's shape, structure."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

from src.datasets.demo import simulate
from src.datasets.demo.shop import START_MS, TYPES, ShopConfig, open_shop
from src.datasets.demo.simulate_kernel import CART, CLICK, DAY_MS, ORDER, linked
from src.datasets.demo.statistics import OTTO_STATISTICS, statistics

SMALL = ShopConfig(sessions=2000, items=900, community_items=150, seed=1)
EVENT = r'\{"aid":\d+,"ts":\d{13},"type":"(clicks|carts|orders)"\}'
LINE = re.compile(rf'\{{"session":\d+,"events":\[{EVENT}(,{EVENT})*\]\}}')
# how far from OTTO's each statistic may be, as a share of it, at 30,000 sessions; the maximum
# per item grows with the size and the visible median is a step away from 1
TOLERANCE = {"mean": 0.1, "median": 0.25, "p90": 0.3, "max": 0.0, "clicks": 0.01, "carts": 0.1}
TOLERANCE |= {"orders": 0.15}


def events_of(config: ShopConfig, rows: int = 8192) -> pl.DataFrame:
    batches = [events.with_columns(test=test) for test, events in simulate.simulate(config, rows)]
    return pl.concat(batches)


def statistics_of(config: ShopConfig) -> pl.DataFrame:
    return statistics(config, simulate.simulate(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world")
    simulate.write(SMALL, path)
    return path


@pytest.fixture(scope="module")
def small() -> pl.DataFrame:
    return events_of(SMALL)


@pytest.fixture(scope="module")
def big() -> pl.DataFrame:
    return events_of(ShopConfig.like_otto(30_000))


def test_files_have_the_raw_format(folder: Path) -> None:
    assert {f.name for f in folder.iterdir()} == {"train.jsonl", "test.jsonl", "test_labels.jsonl"}
    ids, first, aids = [], {}, {}
    for name, shortest, days in (("train", 2, (0, 28)), ("test", 1, (28, 35))):
        lines = (folder / f"{name}.jsonl").read_text().splitlines()
        assert all(LINE.fullmatch(line) for line in lines)
        sessions = [json.loads(line) for line in lines]
        ids += [s["session"] for s in sessions]
        aids[name] = {e["aid"] for s in sessions for e in s["events"]}
        first[name] = [s["events"][0]["ts"] for s in sessions]
        assert first[name] == sorted(first[name])
        for ts in ([e["ts"] for e in s["events"]] for s in sessions):
            assert shortest <= len(ts) <= 500 and ts == sorted(ts)
            assert START_MS + days[0] * DAY_MS <= ts[0] <= ts[-1] < START_MS + days[1] * DAY_MS
    assert ids == list(range(SMALL.sessions + SMALL.test_sessions))
    assert aids["test"] <= aids["train"] <= set(range(SMALL.items))


def test_same_shop_gives_same_bytes(folder: Path, tmp_path: Path) -> None:
    simulate.write(SMALL, tmp_path)
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name


def test_blocks_do_not_matter_and_the_seed_does(small: pl.DataFrame) -> None:
    assert events_of(SMALL, rows=333).equals(small)
    other = events_of(ShopConfig(2000, 900, community_items=150, seed=2))
    assert not other.head(100).equals(small.head(100))


def test_labels_are_what_the_full_session_does_after_the_visible_part(
    folder: Path, small: pl.DataFrame
) -> None:
    visible = [json.loads(s) for s in (folder / "test.jsonl").read_text().splitlines()]
    labels = [json.loads(s) for s in (folder / "test_labels.jsonl").read_text().splitlines()]
    full = small.filter("test").partition_by("session", maintain_order=True)
    assert len(visible) == len(labels) == len(full) == SMALL.test_sessions
    for session, label, whole in zip(visible, labels, full, strict=True):
        rows = [(a, t, TYPES[k]) for a, t, k in whole.select("aid", "ts", "type").iter_rows()]
        cut = len(session["events"])
        assert [tuple(e.values()) for e in session["events"]] == rows[:cut]
        wanted: dict[str, object] = {}
        for name in TYPES:
            aids = [a for a, _, kind in rows[cut:] if kind == name]
            if aids:
                wanted[name] = aids[0] if name == "clicks" else sorted(set(aids))
        assert wanted and label == {"session": session["session"], "labels": wanted}


def test_cuts_are_uniform(big: pl.DataFrame) -> None:
    of_four = big.filter("test").group_by("session").agg(pl.len(), hidden=pl.col("hidden").sum())
    shares = of_four.filter(pl.col("len") == 4)["hidden"].value_counts(normalize=True)
    assert sorted(shares["hidden"]) == [1, 2, 3]
    assert shares["proportion"].is_between(0.25, 0.42).all()


def test_shape_is_near_ottos() -> None:
    table = statistics_of(ShopConfig.like_otto(30_000))
    assert table.height == len(OTTO_STATISTICS)
    for name, simulated, otto in table.iter_rows():
        if otto is None or name in ("events per item: max", "visible test session: median"):
            continue
        assert simulated == pytest.approx(otto, rel=TOLERANCE[name.split()[-1]]), name


def test_statistics_count_the_events_of_the_files(folder: Path) -> None:
    sessions = [json.loads(s) for s in (folder / "train.jsonl").read_text().splitlines()]
    events = [(s["session"], e["aid"], e["type"]) for s in sessions for e in s["events"]]
    table = dict(statistics_of(SMALL).select("statistic", "simulated").iter_rows())
    assert table["events per session: mean"] == pytest.approx(len(events) / len(sessions))
    assert table["events per item: mean"] == pytest.approx(len(events) / SMALL.items)
    carts = sum(kind == "carts" for *_, kind in events)
    assert table["share of carts"] == pytest.approx(carts / len(events))
    seen = len({(s, a) for s, a, _ in events})
    assert table["share of revisits"] == pytest.approx(1 - seen / len(events))


def test_purchases_go_through_a_funnel(big: pl.DataFrame) -> None:
    events = big.with_row_index("at")
    before = {
        kind: events.filter(pl.col("type") == kind).group_by("session", "aid").agg(pl.min("at"))
        for kind in (CLICK, CART)
    }
    for kind, earlier, low, high in ((CART, CLICK, 0.9, 0.999), (ORDER, CART, 0.85, 0.98)):
        rows = events.filter(pl.col("type") == kind)
        both = rows.join(before[earlier], on=["session", "aid"], how="left", suffix="_before")
        share = (both["at_before"].fill_null(events.height) < both["at"]).mean()
        assert low < share < high, (TYPES[kind], share)
    baskets = events.filter(pl.col("type") == ORDER).group_by("session", "ts").len()
    assert (baskets["len"] > 1).mean() > 0.2
    first = events.group_by("session").agg(pl.col("type").first())
    assert 0.01 < (first["type"] == CART).mean() < 0.03


def test_popularity_moves(big: pl.DataFrame) -> None:
    day = ((pl.col("ts") - START_MS) // DAY_MS).alias("day")
    train = big.filter(~pl.col("test")).select("aid", "ts", day)
    born = train.group_by("aid").agg(pl.len(), pl.min("day"))
    assert 0.01 < (born["day"] >= 21).mean() < 0.1
    assert born.filter(pl.col("day") >= 21)["len"].mean() > 20
    week = [
        train.filter(pl.col("day").is_between(*days))["aid"].value_counts(sort=True).head(200)
        for days in ((0, 6), (21, 27))
    ]
    stayed = week[0].join(week[1], on="aid").height / 200
    assert 0.4 < stayed < 0.85, stayed
    hour = train.group_by((pl.col("ts") - START_MS) // 3_600_000 % 24).len().sort("ts")["len"]
    assert hour[20] > 5 * hour[3]


def recall(candidates: pl.DataFrame, labels: pl.DataFrame) -> float:
    found = labels.join(candidates.unique(), on=["session", "aid"], how="semi").height
    return found / labels.group_by("session").len()["len"].clip(0, 20).sum()


def own_items(visible: pl.DataFrame) -> pl.DataFrame:
    latest = visible.with_row_index("at").group_by("session", "aid").agg(pl.max("at"))
    ranked = latest.sort("session", "at", descending=[False, True])
    return ranked.group_by("session", maintain_order=True).head(20).select("session", "aid")


def test_own_items_recall_what_they_do_at_otto(big: pl.DataFrame) -> None:
    """Re-ranking the history by recency recalls about .3 of clicks and .6 of orders."""
    test = big.filter("test")
    own, hidden = own_items(test.filter(~pl.col("hidden"))), test.filter("hidden")
    clicks = hidden.filter(pl.col("type") == CLICK).group_by("session").first()
    assert 0.25 < recall(own, clicks) < 0.35
    orders = hidden.filter(pl.col("type") == ORDER).unique(["session", "aid"])
    assert 0.5 < recall(own, orders) < 0.72


def followers(train: pl.DataFrame) -> pl.DataFrame:
    """The 20 items seen most often right after each item."""
    after = train.select("session", x="aid", aid=pl.col("aid").shift(-1).over("session"))
    counted = after.drop_nulls().filter(pl.col("x") != pl.col("aid")).group_by("x", "aid").len()
    ranked = counted.sort("x", "len", "aid", descending=[False, True, False])
    return ranked.group_by("x", maintain_order=True).head(20)


def test_next_items_are_learnable_far_beyond_popularity(big: pl.DataFrame) -> None:
    """On clicks of new items in sessions that the counts have not seen."""
    train, test = big.filter(~pl.col("test")), big.filter("test")
    step = test.select("session", "type", x="aid", aid=pl.col("aid").shift(-1).over("session"))
    step = (
        step.with_row_index("at")
        .drop_nulls()
        .join(own_items(test), on=["session", "aid"], how="semi")
    )
    step = step.filter(pl.col("x") != pl.col("aid")).select("x", "aid", session="at")
    learned = step.select("session", "x").join(followers(train), on="x").select("session", "aid")
    last_week = train.filter(pl.col("ts") >= START_MS + 21 * DAY_MS)
    top = last_week["aid"].value_counts(sort=True).head(20).select("aid")
    popular = step.select("session").join(top, how="cross")
    assert recall(learned, step) > 0.3
    assert recall(learned, step) > 1.8 * recall(popular, step)


def test_links_have_a_direction(big: pl.DataFrame) -> None:
    """Planted successors follow their item at least twice as often as they precede it."""
    config = ShopConfig.like_otto(30_000)
    shop = open_shop(config)
    links = [
        (int(shop.aid[slot]), int(shop.aid[linked(shop, slot, link)]))
        for slot in range(0, config.items, 5)
        for link in range(2)
    ]
    planted = pl.DataFrame(links, {"x": pl.Int32, "y": pl.Int32}, orient="row").unique()
    planted = planted.filter(pl.col("x") != pl.col("y"))
    steps = big.select(x="aid", y=pl.col("aid").shift(-1).over("session")).drop_nulls()
    forward = steps.join(planted, on=["x", "y"], how="semi").height
    backward = steps.join(planted, left_on=["y", "x"], right_on=["x", "y"], how="semi").height
    assert forward > 2 * backward > 0


def test_a_shop_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 sessions and 100 items"):
        ShopConfig(sessions=5, items=1000)
