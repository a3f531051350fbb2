"""As-of columns against plain loops over the log.

pytest tests/features/test_as_of.py
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from shown import NUMBERS, START, TICK, Shown, outcome, random_log, world

from src.features.as_of import NEVER_S, SMOOTHING, WHAT, AsOfFeature
from src.features.exposure_ahead import ExposureAheadFeature
from src.features.impression import ImpressionFeature
from src.features.item_number import ItemNumberFeature
from src.features.keyed_log import joined
from src.features.table import FeatureTable
from src.metrics.pooled import PooledAUC

UNTIL = 8  # tick from which clicks are hidden
DELAY = 2  # ticks
WINDOWS = {"0.03h": 3, "all": 10**6}  # ticks
KEYS = (("item",), ("user", "item"), ("scene", "item"), ("page", "item"), ("user",), ())
Log = list[Shown]


def plain(log: Log, key: tuple[str, ...], row: dict[str, int], what: str, ticks: int) -> float:
    """One column of one candidate, by its definition."""
    now = row["tick"]
    same = [r for r in log if all(getattr(r, name) == row[name] for name in key)]
    same = [r for r in same if r.tick < now and all(getattr(r, n) >= 0 for n in key)]
    inside = [r for r in same if r.tick >= now - ticks]
    last_known = min(now, UNTIL) - DELAY
    known = [r for r in inside if r.click is not None and r.tick < last_known]
    everything = [r for r in log if r.click is not None and r.tick < last_known]
    prior = sum(r.click or 0 for r in everything) / max(len(everything), 1)
    clicks = sum(r.click or 0 for r in known)
    length = Counter(r.list_of for r in log)
    values: dict[str, Callable[[], float]] = {
        "count": lambda: len(inside),
        "clicks": lambda: clicks,
        "rate": lambda: (clicks + SMOOTHING * prior) / (len(known) + SMOOTHING),
        "depth": lambda: sum(math.log(length[r.list_of]) for r in inside) / max(len(inside), 1),
        "decayed": lambda: sum(0.5 ** ((now - r.tick) / ticks) for r in same),
        "first": lambda: (now - min(r.tick for r in same)) * TICK if same else -1,
        "last": lambda: (now - max(r.tick for r in same)) * TICK if same else NEVER_S,
        "new": lambda: float(not same),
    }
    return values[what]()


@pytest.mark.parametrize("key", KEYS, ids="_".join)
@pytest.mark.parametrize("seed", range(3))
def test_every_column_against_loops(tmp_path: Path, key: tuple[str, ...], seed: int) -> None:
    log = random_log(seed)
    windows, halves = (3 * TICK, None), (4 * TICK,)
    feature = AsOfFeature("shown", key, WHAT, windows, halves, DELAY * TICK)
    _, rows = world(tmp_path, log, log, [feature], UNTIL)
    ends = {"decayed_0.04h": ("decayed", 4), **{w: (w, 0) for w in ("first", "last", "new")}}
    for span, ticks in WINDOWS.items():
        ends |= {f"{w}_{span}": (w, ticks) for w in ("count", "depth")}
        ends |= {f"{w}_{span}_0.02h_late": (w, ticks) for w in ("clicks", "rate")}
    seen = 0
    for end, (what, ticks) in ends.items():
        name = f"{feature.label}_{end}"
        for row in rows.to_dicts():
            expected = plain(log, key, row, what, ticks)
            assert row[name] == pytest.approx(expected, rel=1e-5, abs=1e-6), (name, row)
            seen += expected not in (0, -1, NEVER_S)
    assert seen > 100


def test_another_outcome_against_loops(tmp_path: Path) -> None:
    """Of pages that were opened before the tick from which outcomes are hidden, and a while ago."""
    log = random_log(7, lists=60)
    feature = AsOfFeature("reads", ("user",), ("clicks", "rate"), (None,), delay_s=DELAY * TICK,
                          outcome="read")  # fmt: skip
    _, rows = world(tmp_path, log, log, [feature], UNTIL)
    seen = set()
    for row in rows.to_dicts():
        end = min(row["tick"], UNTIL) - DELAY
        known = [(r.user, outcome(r)) for r in log if r.click and r.tick < end]
        known = [(user, read) for user, read in known if read is not None]
        own = [read or 0 for user, read in known if user == row["user"]]
        prior = sum(read or 0 for _, read in known) / max(len(known), 1)
        rate = (sum(own) + SMOOTHING * prior) / (len(own) + SMOOTHING)
        assert row["reads_user_read_clicks_all_0.02h_late"] == sum(own)
        assert row["reads_user_read_rate_all_0.02h_late"] == pytest.approx(rate)
        seen.add(rate)
    assert len(seen) > 5


def test_shares_add_up_to_one_over_a_list(tmp_path: Path) -> None:
    log = random_log(4)
    _, rows = world(
        tmp_path, log, log, [AsOfFeature("shown", ("item",), ("share", "count"), (None,))]
    )
    lists = rows.group_by("tick", "user", "scene", "page").agg(
        pl.col("shown_item_share_all").sum(), pl.col("shown_item_count_all").sum()
    )
    expected = (lists["shown_item_count_all"] > 0).cast(pl.Float64)
    assert lists["shown_item_share_all"].to_list() == pytest.approx(expected.to_list(), abs=1e-6)
    assert expected.sum() > 5


def test_what_differs_within_a_list_is_ranked(tmp_path: Path) -> None:
    feature = AsOfFeature("shown", ("item",), ("count", "share", "new"), (None,))
    log = [
        Shown(0, 0, 2),
        Shown(1, 0, 2),
        Shown(1, 0, 1),
        Shown(2, 0, 0),
        Shown(2, 0, 1),
        Shown(2, 0, 2),
    ]
    data, rows = world(tmp_path, log, log, [feature])
    assert rows["shown_item_count_all_rank"].to_list()[-3:] == [2, 1, 0]
    assert FeatureTable(data.run.recipe).names[-1] == "shown_item_count_all_rank"
    assert AsOfFeature("shown", ("user",), ("count",), (None,)).ranked(data.run.recipe) == ()
    assert feature.ranked(replace(data.run.recipe, metric=PooledAUC())) == ()


def test_exposure_ahead_against_loops(tmp_path: Path) -> None:
    log = random_log(5)
    _, rows = world(tmp_path, log, log, [ExposureAheadFeature("shown", ("item",), (3 * TICK,))])
    for row in rows.to_dicts():
        later = [r.tick for r in log if r.item == row["item"] and r.tick > row["tick"]]
        waits = [(tick - row["tick"]) * TICK for tick in later]
        assert row["ahead_shown_item_count_0.03h"] == sum(w <= 3 * TICK for w in waits)
        lists = [r.list_of for r in log if r.item == row["item"] and r.tick > row["tick"]]
        sizes = [
            math.log(sum(r.list_of == x for r in log)) for x in lists if x[0] <= row["tick"] + 3
        ]
        assert row["ahead_shown_item_depth_0.03h"] == pytest.approx(np.mean(sizes or 0), abs=1e-6)
        assert row["ahead_shown_item_next"] == min(waits, default=0)
        assert row["ahead_shown_item_last"] == max(waits, default=0)


def test_numbers_against_loops(tmp_path: Path) -> None:
    log = random_log(6)
    _, rows = world(tmp_path, log, log, [ItemNumberFeature(("shown", "visits"))])
    pairs = [(r.tick, NUMBERS[r.item]) for r in log]
    pairs += [(r.tick + 1, NUMBERS[r.item]) for r in log if r.click]
    for row in rows.to_dicts():
        number = NUMBERS[row["item"]]
        before = [(m, n) for m, n in pairs if m < row["tick"]]
        largest = max((n for _, n in before), default=number)
        reached = [m for m, n in before if n >= number]
        assert row["number_gap"] == largest - number
        assert row["number_page"] == (NUMBERS[row["page"]] - number if row["page"] >= 0 else 0)
        assert row["number_age"] == ((row["tick"] - min(reached)) * TICK if reached else -1)


def test_an_empty_log_and_unknown_keys(tmp_path: Path) -> None:
    lists = [Shown(1, 0, 0), Shown(1, 0, 1)]
    features = [AsOfFeature("shown", ("item",), WHAT, (None,), (60,)),
                AsOfFeature("visits", ("user", "item"), ("count", "last"), (None,)),
                ItemNumberFeature(("shown", "visits"))]  # fmt: skip
    _, rows = world(tmp_path, lists, [], features)
    expected = {"count_all": 0, "rate_all": 0, "first": -1, "last": NEVER_S, "new": 1}
    assert {end: rows[f"shown_item_{end}"][0] for end in expected} == expected
    assert rows["number_gap"].to_list() == [0, 0] and rows["number_age"].to_list() == [-1, -1]


def test_context_is_copied(tmp_path: Path) -> None:
    lists = [Shown(1, 2, 0), Shown(1, 2, 1), Shown(3, 1, 0)]
    _, rows = world(tmp_path, lists, lists, [ImpressionFeature(("user", "ts"))])
    assert rows["impression_user"].to_list() == [2, 2, 1]
    assert rows["impression_ts"][0] == pytest.approx(START + TICK, abs=64)  # float32


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"as-of feature shown_item: \['clickz'\]"):
        AsOfFeature("shown", ("item",), ("clickz",))
    with pytest.raises(ValueError, match="a delay is not negative"):
        AsOfFeature("shown", ("item",), ("clicks",), (60,), delay_s=-1)
    with pytest.raises(OverflowError, match="leave a column out"):
        joined([], (1 << 31, 1 << 31, 4), 0)
