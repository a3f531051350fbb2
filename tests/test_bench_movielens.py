"""The benchmark of MovieLens: its raw files and its lists without a model.

pytest tests/test_bench_movielens.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from planted import A, B, C, D, small_split, whole

from bench.movielens import (
    ITEM_MEAN,
    USER,
    by_statistic,
    random_unseen,
    ranked,
    retrieved,
    write_input,
)
from src.data.schemas import CANDIDATES, LABELS

RATINGS = [("9", "1", "5"), ("9", "2", "3"), ("4", "1", "2"), ("7", "3", "4")]


def test_another_split_renames_users_and_shuffles_rows(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "ml-100k.item").write_text('item_id:token\tmovie_title:token_seq\n1\t"Babe\n')
    inter = pl.DataFrame(RATINGS, [USER, "item_id:token", "rating:float"], orient="row")
    users = pl.DataFrame([("4", "44"), ("7", "77"), ("9", "99")], [USER, "age:token"], orient="row")
    for name, table in (("ml-100k.inter", inter), ("ml-100k.user", users)):
        table.write_csv(raw / name, separator="\t")
    for split in (0, 1, 2):
        made = tmp_path / str(split)
        write_input(raw, made, split)
        rows, ages = (
            pl.read_csv(made / name, separator="\t", infer_schema=False)
            for name in ("ml-100k.inter", "ml-100k.user")
        )
        joined = rows.join(ages, on=USER).drop(USER).sort(pl.all())
        assert joined.equals(inter.join(users, on=USER).drop(USER).sort(pl.all()))
        assert (made / "ml-100k.item").read_bytes() == (raw / "ml-100k.item").read_bytes()
        assert rows.equals(inter) == (split == 0)


def test_lists_are_in_the_order_of_the_scores_and_then_of_the_items() -> None:
    rows = [(0, 5, 1.0), (0, 2, 1.0), (0, 9, 3.0), (1, 4, 0.0)]
    table = ranked(pl.DataFrame(rows, ["session", "item", "score"], orient="row"))
    assert table.rows() == [(0, 9, 0), (0, 2, 1), (0, 5, 2), (1, 4, 0)]


def folder_of_results(folder: Path) -> Path:
    """Two users: the first saw A and B, the second A; C and D are hidden, and B of the second."""
    data = small_split(folder, [[(A, 0, 0), (B, 1, 0)], [(A, 2, 0)]], 2)
    test = folder / "test"
    events = pl.read_parquet(folder / "valid" / "events.parquet")
    whole(test / "events.parquet", events.with_columns(rating=pl.Series([5.0, 1.0, 4.0])))
    hidden = [(0, 0, C, 1.0), (0, 0, D, 1.0), (1, 0, B, 2.0), (1, 0, D, 5.0)]
    whole(test / "labels.parquet", pl.DataFrame(hidden, schema=LABELS, orient="row"))
    assert data.n_sessions == 2
    return folder


def test_random_lists_hold_each_unseen_item_once(tmp_path: Path) -> None:
    table = random_unseen(folder_of_results(tmp_path))
    assert sorted(table.filter(session=0)["item"]) == [2, 3, 4]
    assert sorted(table.filter(session=1)["item"]) == [1, 2, 3, 4]


def test_lists_of_a_retriever_are_read_beside_their_manifests(tmp_path: Path) -> None:
    table = pl.DataFrame([(0, 0, C, 1.0)], schema=CANDIDATES, orient="row")
    whole(tmp_path / "test" / "candidates" / "ease" / "part-0000.parquet", table)
    assert retrieved("ease").lists(tmp_path).equals(table)


def test_hidden_items_by_their_mean_rating(tmp_path: Path) -> None:
    """The mean is 10 / 3. B has one rating, 1: (1 + 5 * 10 / 3) / 6 = 2.9; others the mean."""
    floor = by_statistic("item mean", ITEM_MEAN)
    table = floor.lists(folder_of_results(tmp_path))
    assert table.rows() == [(0, C, 0), (0, D, 1), (1, D, 0), (1, B, 1)]
    assert table.schema["session"] == pl.Int32, "as in the labels"
    popular = by_statistic("popularity", pl.len()).lists(tmp_path)
    assert popular.rows() == [(0, C, 0), (0, D, 1), (1, B, 0), (1, D, 1)]
