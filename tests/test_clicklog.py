"""News click logs: what each split shows and hides, and what bad files get.

pytest tests/test_clicklog.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import worlds

from src import cli, datasets
from src.data.schemas import EVENTS
from src.datasets import RECIPES
from src.datasets.tianchi.clicklog import ARTICLE, CLICK, CONTEXT, END_GAP

T0 = 1_506_826_800_000
SECOND, DAY = 1000, 86_400_000
LOG, TEST, ARTICLES = "train_click_log.csv", "testA_click_log.csv", "articles.csv"
NEWS = next(r for r in RECIPES.values() if len(r.types) == 2)

Click = tuple[int, int, int]  # user, article, ms


def click_lines(clicks: Iterable[Click]) -> str:
    lines = [f"{user},{item},{ts},4,{1 + user % 3},12,1,{user % 28},2" for user, item, ts in clicks]
    return "\n".join([",".join([*CLICK, *CONTEXT]), *lines]) + "\n"


def article_lines(rows: Iterable[tuple[int, ...]]) -> str:
    return "\n".join([",".join(ARTICLE), *(",".join(map(str, row)) for row in rows)]) + "\n"


def visit(user: int, start: int, *item_ids: int) -> list[Click]:
    """Clicks a minute apart, the last one 30 s after the one before."""
    times = [start + i * 60 * SECOND for i in range(len(item_ids) - 1)]
    return list(zip([user] * len(item_ids), item_ids, [*times, times[-1] + END_GAP], strict=True))


def write(
    folder: Path, train: list[Click] | None = None, test: list[Click] | None = None
) -> dict[str, Path]:
    """A small competition: 40 train users of one or two visits, 8 test users, 12 articles."""
    (folder / "in").mkdir(exist_ok=True)
    if train is None:
        train = []
        for user in range(40):
            train += visit(user, T0 + user * SECOND, 10 + user % 5, 20 + user % 7)
            if user % 2:
                train += visit(user, T0 + DAY + user * SECOND, 10 + user % 3, 14, 20)
    if test is None:
        test = [c for u in range(100, 108) for c in visit(u, T0 + u * SECOND, 11, 12, 21)[:-1]]
    articles = [(a, a % 3, T0 - DAY // 2, 200 + a) for a in range(10, 22)]
    articles += [(5, 1, T0 + DAY, 9), (6, 1, T0 - 30 * DAY, 9)]  # never clicked: fresh, stale
    files = {
        LOG: click_lines(train), TEST: click_lines(test), ARTICLES: article_lines(articles)
    }  # fmt: skip
    for name, text in files.items():
        (folder / "in" / name).write_text(text)
    return {name: folder / "in" / name for name in files}


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str) -> int:
    recipe = replace(NEWS, name="news")
    patch.setitem(datasets.RECIPES, recipe.name, recipe)
    step = worlds.script("1_preparation")
    argv = ["--dataset", "news", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    write(tmp_path)
    assert prepare(monkeypatch, tmp_path) == 0
    return tmp_path / "out"


def raw_events(out: Path, split: str) -> set[tuple[int, int, int, int]]:
    """(user, article, second, type) of every event of a split."""
    users = pl.read_parquet(out / split / "sessions.parquet")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    events = pl.read_parquet(out / split / "events.parquet")
    columns = users[events["session"]], item_ids[events["item"]], events["ts"], events["type"]
    return set(zip(*(c.to_list() for c in columns), strict=True))


def all_clicks(folder: Path) -> list[Click]:
    text = [(folder / "in" / name).read_text().splitlines()[1:] for name in (LOG, TEST)]
    rows = [tuple(int(v) for v in line.split(",")[:3]) for part in text for line in part]
    return sorted({(u, a, t) for u, a, t in rows}, key=lambda c: (c[0], c[2]))


def hidden_clicks(out: Path, split: str) -> dict[int, int]:
    """Of each user who is asked for, the number of the hidden click in their log."""
    clicks: dict[int, list[int]] = {}
    for user, item, _ in all_clicks(out.parent):
        clicks.setdefault(user, []).append(item)
    users = pl.read_parquet(out / split / "sessions.parquet")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    labels = pl.read_parquet(out / split / "labels.parquet")
    shown = pl.read_parquet(out / split / "events.parquet")["session"].value_counts()
    length = dict(shown.iter_rows())
    found = {users[s]: length[s] for s in labels["session"]}
    for session, item in zip(labels["session"], item_ids[labels["item"]], strict=True):
        assert clicks[users[session]][length[session]] == item, "the click behind what is shown"
    return found


def test_each_split_hides_a_click_of_its_own_users_and_nothing_else(out: Path) -> None:
    clicks = all_clicks(out.parent)
    number = [sum(u == other for other, *_ in clicks[:i]) for i, (u, *_) in enumerate(clicks)]
    asked = []
    for split in json.loads((out / "splits.json").read_text()):
        table = pl.read_parquet(out / split / "sessions.parquet")
        queries = table.filter("query")["session"].to_list()
        assert table["query"].is_sorted(), "queries are the last sessions"
        hidden = {} if split == "test" else hidden_clicks(out, split)
        seen = {
            (u if n < hidden.get(u, n + 1) else -1 - u, a, t // 1000)
            for (u, a, t), n in zip(clicks, number, strict=True)
            if n != hidden.get(u)
        }
        assert {event[:3] for event in raw_events(out, split)} == seen
        if split == "test":
            assert queries == list(range(100, 108))
            assert not (out / split / "labels.parquet").exists()
            continue
        assert sorted(hidden) == queries and min(hidden.values()) > 0
        asked += [(split, *pair) for pair in hidden.items()]
    assert len({pair[1:] for pair in asked}) == len(asked), "no click is asked for twice"
    valid = {u for split, u, _ in asked if split == "valid"}
    assert not valid & {u for split, u, _ in asked if split != "valid"}
    last = {u: n for (u, *_), n in zip(clicks, number, strict=True)}
    assert all(n == last[u] for split, u, n in asked if split == "valid")
    ends = {(u, n) for u, n in last.items() if u < 100}  # of test users, that is hidden
    ends |= {(u, 1) for u in last if u % 2 and u < 100}  # where the first of two visits ends
    assert {pair[1:] for pair in asked} <= ends


def test_the_ends_of_visits_are_known_by_their_30_seconds(out: Path) -> None:
    events = sorted(raw_events(out, "test"), key=lambda event: event[2])
    mine = [event[3] for event in events if event[0] == 1]  # of user 1: visits of 2 and 3 clicks
    assert mine == [0, 1, 0, 0, 1]


def test_valid_users_are_as_active_as_test_users(monkeypatch, tmp_path: Path) -> None:
    train = [c for u in range(90) for c in visit(u, T0 + u * SECOND, *range(10, 12 + u % 9))]
    test = [c for u in range(100, 130) for c in visit(u, T0, *range(10, 19))[:-1]]
    write(tmp_path, train, test)
    assert prepare(monkeypatch, tmp_path) == 0
    lengths = {}
    for split in ("valid", "test"):
        events = pl.read_parquet(tmp_path / "out" / split / "events.parquet")
        table = pl.read_parquet(tmp_path / "out" / split / "sessions.parquet").with_row_index("s")
        queries = table.filter("query")["s"].implode()
        lengths[split] = events.filter(pl.col("session").is_in(queries)).group_by("session").len()
    assert lengths["test"]["len"].min() == 8
    assert lengths["valid"]["len"].min() >= 8, "train users are 1 to 9 visible clicks long"
    assert lengths["valid"].height == 10, "half of the 20 that are as active"


def test_articles(out: Path) -> None:
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    items = pl.read_parquet(out / "items.parquet")
    assert item_ids.to_list() == [5, *range(10, 27)], "clicked, and fresh ones; 6 is neither"
    known = dict(zip(item_ids, items.drop("item_id").iter_rows(), strict=True))
    assert known[10] == (1, (T0 - DAY // 2) // 1000, 210)
    assert known[26] == (None, None, None), "clicked, but not in articles.csv"


def test_events_carry_their_context(monkeypatch, tmp_path: Path) -> None:
    files = write(tmp_path)
    text = files[TEST].read_text().splitlines()
    text[2] = text[2].rpartition(",")[0] + ",7"  # the last click of user 100
    files[TEST].write_text("\n".join(text) + "\n")
    assert prepare(monkeypatch, tmp_path) == 0
    events = pl.read_parquet(tmp_path / "out" / "test" / "events.parquet")
    assert events.columns == [*EVENTS.names(), *CONTEXT.values()]
    users = pl.read_parquet(tmp_path / "out" / "test" / "sessions.parquet")["session"]
    mine = events.filter(users[events["session"]] == 100)
    assert mine["referrer"].to_list() == [2, 7] and mine["region"].to_list() == [100 % 28] * 2
    assert set(events["referrer"]) == {2, 7}


def test_a_line_that_stands_twice_counts_once(monkeypatch, tmp_path: Path, out: Path) -> None:
    before = raw_events(out, "test")
    log = tmp_path / "in" / LOG
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, lines[5]]) + "\n")
    assert prepare(monkeypatch, tmp_path) == 0
    assert raw_events(out, "test") == before
    assert pl.read_parquet(out / "test" / "events.parquet").height == len(before)


def test_as_many_queries_as_the_recipe_asks_for(monkeypatch, tmp_path: Path) -> None:
    """40 train users, 20 of them with two visits; valid asks for 10 users, and half of the rest
    ends are of the last visits: 30, five splits of 6, where 7 may be hidden at a time."""
    write(tmp_path)
    monkeypatch.setattr("src.datasets.tianchi.holdout.HIDDEN", 7.5 / 60)
    made, queries = {}, {}
    for wanted in (1, 11, 20, 28, 100):
        monkeypatch.setattr("test_clicklog.NEWS", replace(NEWS, train_queries=wanted))
        assert prepare(monkeypatch, tmp_path) == 0
        splits = json.loads((tmp_path / "out" / "splits.json").read_text())
        made[wanted] = [s for s in splits if s.startswith("more_")]
        for split in made[wanted]:
            queries[split] = hidden_clicks(tmp_path / "out", split)
    assert [len(made[wanted]) for wanted in (1, 11, 20, 28)] == [0, 1, 2, 3]
    assert made[100] == [f"more_{n}" for n in range(1, len(made[100]) + 1)], "all there are"
    first = [user for split in made[100][:5] for user in queries[split]]
    assert len(first) == len(set(first)) == 30, "the last ends of all other users come first"
    assert max(map(len, queries.values())) <= 7
    last = {user: place for split in made[100][:5] for user, place in queries[split].items()}
    assert all(place == (4 if user % 2 else 1) for user, place in last.items())
    two_visits = {user for user in first if user % 2}
    assert {user for split in made[100][5:] for user in queries[split]} == two_visits
    monkeypatch.setattr(
        "src.datasets.tianchi.clicklog.FEWEST", 0.55
    )  # of 10 queries: 5 are too few
    assert prepare(monkeypatch, tmp_path) == 0
    splits = json.loads((tmp_path / "out" / "splits.json").read_text())
    assert [s for s in splits if s.startswith("more_")] == made[100][:5]


def test_a_test_user_s_earlier_ends_are_learned_from(monkeypatch, tmp_path: Path) -> None:
    test = [*visit(100, T0, 11, 12, 13), *visit(100, T0 + DAY, 14, 15)[:-1]]
    write(tmp_path, test=test)
    assert prepare(monkeypatch, tmp_path) == 0
    found = {}
    for split in json.loads((tmp_path / "out" / "splits.json").read_text()):
        if split.startswith("more_"):
            found |= {(split, u): n for u, n in hidden_clicks(tmp_path / "out", split).items()}
    assert [n for (_, user), n in found.items() if user == 100] == [2]


def test_without_a_test_log_valid_is_all_there_is(monkeypatch, tmp_path: Path) -> None:
    write(tmp_path)[TEST].unlink()
    assert prepare(monkeypatch, tmp_path) == 0
    assert (tmp_path / "out" / "splits.json").read_text().startswith('["valid", "more_1"')
    assert not (tmp_path / "out" / "test").exists()


def test_a_user_of_one_click_is_seen_and_not_asked_for(monkeypatch, tmp_path: Path) -> None:
    train = [c for u in range(20) for c in visit(u, T0 + u * SECOND, 10, 20)]
    write(tmp_path, [*train, (20, 10, T0)])
    assert prepare(monkeypatch, tmp_path) == 0
    for split in json.loads((tmp_path / "out" / "splits.json").read_text()):
        assert (20, 10, T0 // 1000, 0) in raw_events(tmp_path / "out", split)
        table = pl.read_parquet(tmp_path / "out" / split / "sessions.parquet")
        assert 20 not in table.filter("query")["session"]


def test_an_article_may_be_created_after_its_clicks(monkeypatch, tmp_path: Path) -> None:
    files = write(tmp_path)
    later = (T0 + 9 * DAY) // 1000
    files[ARTICLES].write_text(article_lines([(10, 1, later * 1000, 200)]))
    assert prepare(monkeypatch, tmp_path) == 0
    item_ids = pl.read_parquet(tmp_path / "out" / "items.parquet")["item_id"].to_list()
    items = pl.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["created"][item_ids.index(10)] == later
    assert any(event[1] == 10 for event in raw_events(tmp_path / "out", "test"))
