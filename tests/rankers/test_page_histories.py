"""Nets that read events read the pages that the user of an impression opened before it.

pytest tests/rankers/test_page_histories.py
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from ebnerd import RECIPE, WEEK, planted, prepare, row, write
from planted import run_in

from src.data.impressions import impressions, read_log
from src.data.sequence_batch import bucket
from src.data.split_data import SplitData
from src.export.lists import ItemIds, ListData, sessions_of
from src.rankers.nets.histories import histories
from src.rankers.nets.inputs import train_histories
from src.rankers.train_set import TrainSet

SAME_SECOND = [row(WEEK - 9, [9_000_001, 9_000_002], [9_000_001], user_id=40, article_id=9_000_003)
               for _ in range(2)]  # fmt: skip
VIEW = [9_000_001, 9_000_002]
NEW = [row(WEEK - 5, VIEW, VIEW[:1], user_id=999), row(WEEK - 30, VIEW, VIEW[:1], user_id=998),
       row(WEEK - 20, VIEW, VIEW[:1], user_id=998, article_id=9_000_003)]  # fmt: skip
"""One reader never opens a page, the other does so later."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    folder = tmp_path_factory.mktemp("papers")
    rows = [*planted(80, 3), *SAME_SECOND, *NEW]
    write(folder / "in", train=pl.DataFrame(rows, infer_schema_length=None))
    path = folder / "in" / "train" / "history.parquet"
    pl.read_parquet(path).filter(pl.col("user_id") < 998).write_parquet(path)
    with pytest.MonkeyPatch.context() as patch:
        assert prepare(patch, folder) == 0
    return SplitData(run_in(folder / "out", RECIPE), "valid")


def test_pages_are_those_of_earlier_seconds_newest_first(data: SplitData) -> None:
    found = histories(data, np.arange(data.n_sessions), 4)
    ts, item, user = read_log(data, "visits", "ts", "item", "user")
    lengths, at_once = [], 0
    for n, query in enumerate(impressions(data).rows(named=True)):
        own = np.flatnonzero((user == query["user"]) & (ts < query["ts"]))
        own = own[np.lexsort((own, ts[own]))][::-1][:4]
        lengths.append(own.size)
        assert found.mask[n].tolist() == [place < own.size for place in range(4)]
        assert found.item[n, : own.size].tolist() == item[own].tolist()
        ago = ts[own[0]] - ts[own] if own.size else ts[own]
        assert found.recency[n, : own.size].tolist() == bucket(ago.astype(np.int64)).tolist()
        same_second = (user == query["user"]) & (ts == query["ts"])
        at_once += same_second.any()
    assert max(lengths) == 4 and min(lengths) == 0, "some readers are new"
    assert at_once, "pages of the same second are left out"


def test_histories_are_those_of_the_split_of_each_file(data: SplitData) -> None:
    """Of a part of a training table too, whichever split comes first."""
    run, table = data.run, {"item": 0, "fold": 0, "label:click": 0.0}
    files, expected = [], []
    for split, sessions in (("train_1", [3, 5]), ("train_1", [8]), ("valid", [1])):
        file = run.output / split / "train" / f"part-{sessions[0]}.parquet"
        file.parent.mkdir(exist_ok=True)
        pl.DataFrame({"session": pl.Series(sessions, dtype=pl.Int32), **table}).write_parquet(file)
        files.append(file)
        expected.append(histories(SplitData(run, split), np.array(sessions), 4).item)
    for n in (3, 2):
        found = train_histories(run, TrainSet.read(files[:n], ["click"]), 4)
        assert np.array_equal(found.item, np.concatenate(expected[:n]))
    assert (np.concatenate(expected) >= 0).any(axis=1).all()


def test_a_max_len_of_0_reads_nothing(data: SplitData) -> None:
    assert histories(data, np.arange(5), 0).item.shape == (5, 0)


def test_a_bundle_takes_pages_as_events_without_a_type() -> None:
    events = pl.DataFrame({"list": [1, 1], "item": [70, 60], "ts": [5, 9]})
    sessions = sessions_of(events, 2, ItemIds(pl.Series([60, 70])), types=())
    assert sessions.item.tolist() == [1, 0] and sessions.type.tolist() == [0, 0]
    assert histories(ListData(sessions), np.arange(2), 3).item.tolist() == [[-1] * 3, [0, 1, -1]]
