"""Events as people write them; items by id and by title.

pytest tests/serving/test_reader.py
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.serving.item_names import ItemNames
from src.serving.query import MAX_EVENTS, list_length
from src.serving.reader import LONGEST, QueryReader

TYPES = ("clicks", "carts")
SONGS = pl.DataFrame({
    "item_id": ["t:9", "t:1", "t:5", "t:3"],
    "title": ["Blue Moon", "Moonlight", "Blue Moon", None],
    "artist": ["Bo", "Ann", "Cy", None],
    "album": ["x", "y", "z", "no part of a title"],
})  # fmt: skip


@pytest.fixture
def songs() -> QueryReader:
    names = ItemNames.of(SONGS, np.array([3, 8, 5, 0]))
    return QueryReader(names, ("tracks",), True, now=1000, gap=60)


@pytest.fixture
def shop() -> QueryReader:
    items = pl.DataFrame({"item_id": [40, 7, 12, 100], "size": [1, 2, 3, 4]})
    return QueryReader(ItemNames.of(items, np.zeros(4, np.int64)), TYPES, False, now=1000, gap=60)


def test_events(shop: QueryReader) -> None:
    query = shop.read("clicks:7  carts:12 100")
    assert query.item.tolist() == [1, 2, 3] and query.type.tolist() == [0, 1, 0]
    assert query.ts.tolist() == [880, 940, 1000] and query.text == ""
    assert (query.item.dtype, query.type.dtype, query.ts.dtype) == (np.int32, np.int8, np.int32)


@pytest.mark.parametrize(
    ("events", "item"),
    [
        ("t:3", 3),  # an id with a colon
        ("tracks:t:9", 0),
        ("moonlight", 1),
        ("'blue  MOON'", 2),  # of two, the more frequent
        ("tracks:'Blue Moon · Bo'", 0),
        ('"Blue Moon, Bo"', 0),
    ],
)
def test_titles(songs: QueryReader, events: str, item: int) -> None:
    assert songs.read(events).item.tolist() == [item]


def test_texts(songs: QueryReader) -> None:
    query = songs.read("t:1", "rainy sunday")
    assert query.text == "rainy sunday" and songs.read(text="🎸").item.size == 0


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("", "the query is empty"),
        ("views:7", "unknown event type 'views'; they are clicks, carts"),
        ("clicks:8", "no item has the id '8' (one with blanks stands in quotes); the closest: 7; "),
        ("clicks:hello", "no item has the id 'hello' (one with blanks stands in quotes)"),
        ("clicks:", "no item after 'clicks:'; give its id or title"),
        ("clicks:--7", "no item has the id '--7'"),
        ("clicks:+7", "no item has the id"),
        ("clicks:" + "9" * 400, "no item has the id"),
        ("clicks:1e3 \0 ٣", "no item has the id '1e3'"),
        ("clicks:٧", "no item has the id"),  # a digit, but not of ours
        ("clicks:'7", "a quote in the events has no end"),
        ("7 " * (MAX_EVENTS + 1), "501 events; give the last 500"),
        ("7" * (LONGEST + 1), "give 32,000 at most"),
        ("__import__('os').system('true')", "no item has the id"),
        ("../../etc/passwd", "no item has the id"),
    ],
)
def test_what_cannot_be_read(shop: QueryReader, events: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        shop.read(events)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_texts_of_a_dataset_without(shop: QueryReader) -> None:
    with pytest.raises(ValueError, match="has no texts"):
        shop.read("7", "rain")


def test_numbers_of_all_sizes_are_ids(shop: QueryReader) -> None:
    ids = pl.Series([-(2**63), 5, 2**63 - 1])
    names = ItemNames(ids, pl.Series([""] * 3), np.zeros(3, np.int64))
    assert [names.find(str(i)) for i in ids] == [0, 1, 2]
    for text in ("hello", str(2**63), "9" * 30):  # nothing is close to what is no id
        with pytest.raises(ValueError, match=r"in quotes\)$"):
            names.find(text)


def test_close_titles_are_suggested(songs: QueryReader) -> None:
    with pytest.raises(ValueError, match=r"'Monlight' .*; the closest: t:1 Moonlight · Ann; t:"):
        songs.read("Monlight")


def test_search(songs: QueryReader, shop: QueryReader) -> None:
    names = songs.names
    assert names.search("moon", 9) == [1, 2, 0] and names.search("moon", 1) == [1]
    assert names.search("moon BO", 9) == [0] and names.search("t:", 9) == [1, 2, 0, 3]
    assert names.search("", 9) == [1, 2, 0, 3] and names.search("nothing", 9) == []
    assert shop.names.search("1", 9) == [2, 3] and shop.names.search(" 7", 9) == [1]
    assert shop.names.search("12", 9) == [2] and names.search("blue moon", 9) == [2, 0]
    many = ItemNames.of(pl.DataFrame({"item_id": [12, 1, 10]}), np.array([5, 0, 9]))
    assert many.search("1", 9) == [1, 2, 0], "the very id comes first"
    assert shop.names.search("7|1", 9) == [], "no pattern"


@pytest.mark.parametrize("text", ["0", "-1", "201", "1e2", "", "٣", "9" * 99])
def test_lengths_of_lists(text: str) -> None:
    assert list_length("1") == 1 and list_length("200") == 200
    with pytest.raises(ValueError, match="give a whole number from 1 to 200"):
        list_length(text)


def test_ids_that_begin_with_an_event_type() -> None:
    items = pl.DataFrame({"item_id": ["view:3", "3x", "a:b", "", "view:3x"]})
    reader = QueryReader(ItemNames.of(items, np.zeros(5, np.int64)), ("buy", "view"), False, 9, 1)
    for word, item, type_ in (("view:3", 0, 0), ("view:3x", 1, 1), ("view:view:3", 0, 1),
                              ("a:b", 2, 0), ("view:a:b", 2, 1)):  # fmt: skip
        query = reader.read(word)
        assert (query.item.tolist(), query.type.tolist()) == ([item], [type_]), word
    with pytest.raises(ValueError, match=r"no item after 'buy:'; give its id or title"):
        reader.read("buy:")
