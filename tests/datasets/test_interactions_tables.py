"""Tables of items and users beside a log.

pytest tests/datasets/test_interactions_tables.py
"""

from __future__ import annotations

from pathlib import Path

import interactions as log
import polars as pl
import pytest
from interactions import DAY, T0, csv, prepare, some_rows, write

ROWS = some_rows(users=6)
ITEMS = """item_id,title,colour,price,genres,published,link
i0,"First, of all",red,2.5,a|b,2014-04-01,http://a
i1,Second,blue,,b,2014-04-02,http://b
new,Never seen,red,7,c|a,2014-05-01,http://c
i2,NA,,3,,,http://d
"""


def made(folder: Path, *flags: str, **tables: str) -> Path:
    write(folder, csv(ROWS))
    for name, text in tables.items():
        write(folder, text, name.replace("_csv", ".csv").replace("_item", ".item"))
    assert prepare(folder, "--split", "last:1", *flags) == 0
    return folder / "out"


def test_items_have_titles_and_attributes(tmp_path: Path) -> None:
    items = pl.read_parquet(made(tmp_path, items_csv=ITEMS) / "items.parquet")
    assert items["item_id"].is_sorted() and items.height == 14 + 1
    rows = {row["item_id"]: row for row in items.rows(named=True)}
    assert rows["new"] == {
        "item_id": "new", "title": "Never seen", "colour": 2, "price": 7.0, "genres": 3,
        "genres_a": 1, "genres_b": 0, "genres_c": 1, "link": 3,
        "created": (T0 // DAY + 11) * DAY,
    }  # fmt: skip
    assert rows["i0"]["title"] == "First, of all" and rows["i2"]["title"] is None
    assert rows["i5"] == dict.fromkeys(items.columns) | {"item_id": "i5"}, "unknown to the table"


def test_numbers_that_are_not_finite_are_unknown(tmp_path: Path) -> None:
    table = "item_id,price\ni0,inf\ni1,1e39\ni2,3\ni3,nan\n"
    items = pl.read_parquet(made(tmp_path, items_csv=table) / "items.parquet")
    prices = dict(items.select("item_id", "price").iter_rows())
    assert [prices[f"i{n}"] for n in range(4)] == [None, None, 3.0, None]


def test_attributes_become_features(tmp_path: Path) -> None:
    found = log.found(made(tmp_path, items_csv=ITEMS))
    assert found["has_created"]
    assert found["attributes"] == {
        "colour": "category", "price": "number", "genres": "category", "genres_a": "flag",
        "genres_b": "flag", "genres_c": "flag", "link": "category",
    }  # fmt: skip


def test_a_table_of_recbole(tmp_path: Path) -> None:
    text = "item_id:token\tmovie_title:token_seq\tclass:token_seq\ni1\tToy Story\tA B\ni2\tX\tB\n"
    items = pl.read_parquet(made(tmp_path, films_item=text) / "items.parquet")
    toy = items.row(by_predicate=pl.col("item_id") == "i1", named=True)
    assert toy == {"item_id": "i1", "title": "Toy Story", "class": 1, "class_A": 1, "class_B": 1}


def test_a_column_that_tells_all_items_apart_is_no_attribute(tmp_path: Path) -> None:
    lines = [f"i{n},text {n},{n % 3}" for n in range(80)]
    found = log.found(made(tmp_path, items_csv="\n".join(["item,text,kind", *lines])))
    assert found["attributes"] == {"kind": "number"}


def test_users_have_a_context_and_may_be_new(tmp_path: Path) -> None:
    users = "user_id,age,town\nu0,31,Rome\nu3,,Oslo\nnobody,44,Rome\n"
    out = made(tmp_path, users_csv=users)
    events = pl.read_parquet(out / "test" / "events.parquet")
    assert events.schema["age"] == events.schema["town"] == pl.Int32
    of_user = dict(zip(log.ids(out, "test")[0], range(99), strict=False))
    known = {name: events.filter(session=n).select("age", "town").unique().rows()
             for name, n in of_user.items()}  # fmt: skip
    assert known["u0"] == [(31, 2)] and known["u3"] == [(0, 1)] and known["u1"] == [(0, 0)]
    assert known["nobody"] == [] and "nobody" in log.queries(out, "test")
    assert "nobody" not in log.ids(out, "valid")[0]
    assert log.found(out)["context"] == {"age": "number", "town": "category"}


@pytest.mark.parametrize("split", ["last:1", "time:2d"])
def test_a_table_of_test_users_asks_for_their_lists_alone(tmp_path: Path, split: str) -> None:
    out = made(tmp_path, "--split", split, test_users_csv="user\nu4\nsomebody\n")
    assert log.queries(out, "test") == ["somebody", "u4"]
    assert len(log.events(out, "test")) == 7, "all others are history"
    assert log.events(out, "test")["somebody"] == []


def test_attributes_of_users_may_be_called_as_columns_of_events(tmp_path: Path) -> None:
    users = "user_id,item,type,ts,line,raw,part\n" + "".join(
        f"u{n},{n / 8},{n % 3},7,1,{n * 10**9},x\n" for n in range(6)
    )
    out = made(tmp_path, users_csv=users)
    assert set(log.found(out)["context"]) == {"item_", "type_", "ts_", "line_", "raw_", "part"}
    events = pl.read_parquet(out / "test" / "events.parquet")
    assert log.events(out, "test") == log.of_users(ROWS), "the events have their own items"
    of_user = events.group_by("session", maintain_order=True).agg(pl.first("item_", "raw_"))
    for name in ("item_", "raw_"):
        assert of_user[name].to_list() == [1, 2, 3, 4, 5, 6], "fractions and large ones are ranks"


def test_only_times_are_the_time_of_an_item(tmp_path: Path) -> None:
    for dates, is_time in ((["1995", "1960", "2001"], False), (["01-Jan-1995"] * 3, False),
                           (["1995-01-01", "1996-01-01", "2001-01-01"], True)):  # fmt: skip
        rows = "".join(f"i{n},{date}\n" for n, date in enumerate(dates))
        out = made(tmp_path, items_csv=f"item_id,release_date\n{rows}")
        assert log.found(out)["has_created"] == is_time
        assert ("release_date" in log.found(out)["attributes"]) != is_time


def test_the_ids_of_test_users_are_those_of_the_log(tmp_path: Path) -> None:
    out = made(tmp_path, test_users_csv="session_id,user_id\n7,u4\n8,u2\n")
    assert log.queries(out, "test") == ["u2", "u4"]
