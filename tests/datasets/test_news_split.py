"""News click logs: what each split shows and hides.

pytest tests/datasets/test_news_split.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from news import (
    ARTICLES,
    DAY,
    LOG,
    SECOND,
    T0,
    TEST,
    Click,
    article_lines,
    prepare,
    visit,
    write,
)
from worlds import splits

from src.data.schemas import EVENTS, LABELS
from src.datasets.tianchi.clicklog import CONTEXT


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    write(tmp_path)
    assert prepare(monkeypatch, tmp_path) == 0
    return tmp_path / "out"


def names(out: Path) -> list[str]:
    return [split["name"] for split in splits(out)]


def train_splits(out: Path) -> list[str]:
    return [split["name"] for split in splits(out) if split["role"] == "train"]


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
    """Of each query user, the number of the hidden click in their log."""
    clicks: dict[int, list[int]] = {}
    for user, item, _ in all_clicks(out.parent):
        clicks.setdefault(user, []).append(item)
    users = pl.read_parquet(out / split / "sessions.parquet")["session"]
    item_ids = pl.read_parquet(out / "items.parquet")["item_id"]
    labels = pl.read_parquet(out / split / "labels.parquet")
    assert labels.schema == LABELS and (labels["grade"] == 1).all()
    shown = pl.read_parquet(out / split / "events.parquet")["session"].value_counts()
    length = dict(shown.iter_rows())
    found = {users[s]: length[s] for s in labels["session"]}
    for session, item in zip(labels["session"], item_ids[labels["item"]], strict=True):
        assert clicks[users[session]][length[session]] == item, "the click behind what is shown"
    return found


def test_each_split_hides_a_click_of_its_own_users_and_nothing_else(out: Path) -> None:
    clicks = all_clicks(out.parent)
    number = [sum(u == other for other, *_ in clicks[:i]) for i, (u, *_) in enumerate(clicks)]
    hidden_pairs = []
    for split in names(out):
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
        hidden_pairs += [(split, *pair) for pair in hidden.items()]
    assert len({pair[1:] for pair in hidden_pairs}) == len(hidden_pairs), "no click is hidden twice"
    valid = {u for split, u, _ in hidden_pairs if split == "valid"}
    assert not valid & {u for split, u, _ in hidden_pairs if split != "valid"}
    last = {u: n for (u, *_), n in zip(clicks, number, strict=True)}
    assert all(n == last[u] for split, u, n in hidden_pairs if split == "valid")
    ends = {(u, n) for u, n in last.items() if u < 100}  # of test users, that is hidden
    ends |= {(u, 1) for u in last if u % 2 and u < 100}  # where the first of two visits ends
    assert {pair[1:] for pair in hidden_pairs} <= ends


def test_splits_have_roles(out: Path) -> None:
    found = {split["name"]: split for split in splits(out)}
    roles = {name: found[name]["role"] for name in ("valid", "test", "train_1")}
    assert roles == {"valid": "valid", "test": "test", "train_1": "train"}
    assert found["train_2"]["origin"] == "ends of visits, part 2"
    assert [found[name]["queries"] for name in ("valid", "test")] == [10, 8]


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


def test_as_many_queries_as_the_recipe_needs(monkeypatch, tmp_path: Path) -> None:
    """40 train users, 20 of them with two visits; `valid` holds out 10 users, and of the
    other ends 30 are of last visits: five splits of 6, where 7 may be hidden at a time."""
    write(tmp_path)
    monkeypatch.setattr("src.datasets.tianchi.holdout.MAX_HIDDEN", 7.5 / 60)
    made, queries = {}, {}
    for wanted in (1, 11, 20, 28, 100):
        assert prepare(monkeypatch, tmp_path, min_train_queries=wanted) == 0
        made[wanted] = train_splits(tmp_path / "out")
        for split in made[wanted]:
            queries[split] = hidden_clicks(tmp_path / "out", split)
    assert [len(made[wanted]) for wanted in (1, 11, 20, 28)] == [0, 1, 2, 3]
    assert made[100] == [f"train_{n}" for n in range(1, len(made[100]) + 1)], "all there are"
    first = [user for split in made[100][:5] for user in queries[split]]
    assert len(first) == len(set(first)) == 30, "the last ends of all other users come first"
    assert max(map(len, queries.values())) <= 7
    last = {user: place for split in made[100][:5] for user, place in queries[split].items()}
    assert all(place == (4 if user % 2 else 1) for user, place in last.items())
    two_visits = {user for user in first if user % 2}
    assert {user for split in made[100][5:] for user in queries[split]} == two_visits
    # of 10 queries: 5 are too few
    monkeypatch.setattr("src.datasets.tianchi.split.MIN_QUERIES", 0.55)
    assert prepare(monkeypatch, tmp_path) == 0
    assert train_splits(tmp_path / "out") == made[100][:5]


def test_a_test_user_s_earlier_ends_are_learned_from(monkeypatch, tmp_path: Path) -> None:
    test = [*visit(100, T0, 11, 12, 13), *visit(100, T0 + DAY, 14, 15)[:-1]]
    write(tmp_path, test=test)
    assert prepare(monkeypatch, tmp_path) == 0
    found = {}
    for split in train_splits(tmp_path / "out"):
        found |= {(split, u): n for u, n in hidden_clicks(tmp_path / "out", split).items()}
    assert [n for (_, user), n in found.items() if user == 100] == [2]


def test_without_a_test_log_valid_is_all_there_is(monkeypatch, tmp_path: Path) -> None:
    write(tmp_path)[TEST].unlink()
    assert prepare(monkeypatch, tmp_path) == 0
    assert names(tmp_path / "out")[:2] == ["valid", "train_1"]
    assert not (tmp_path / "out" / "test").exists()


def test_a_user_of_one_click_is_visible_and_no_query(monkeypatch, tmp_path: Path) -> None:
    train = [c for u in range(20) for c in visit(u, T0 + u * SECOND, 10, 20)]
    write(tmp_path, [*train, (20, 10, T0)])
    assert prepare(monkeypatch, tmp_path) == 0
    for split in names(tmp_path / "out"):
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
