"""Toys of every kind, a class each, go through all steps; no other file is changed.

pytest tests/pipeline/test_new_kinds.py
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from tiny import RECIPE, STEPS, run_steps
from worlds import OTTO, ROOT

from src.candidates.base import Baseline, Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.seeds import Seeds
from src.core.arrays import F32, F64
from src.core.run import Run
from src.data import paths
from src.data.schemas import FinalLists, TopLists
from src.data.split_data import SplitData
from src.datasets.otto.dataset import Otto
from src.embeddings.base import Embedding, Summary, write_missing
from src.features.base import FeatureGroup, QueryBatch
from src.features.pool import PoolFeature
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS
from src.metrics.base import MeanMetric
from src.rankers.base import FitTask, Ranker, RankerModel
from src.rankers.batches import CandidateBatch
from src.rankers.train_set import TrainSet

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class NextIdMatrix(ItemMatrix):
    """The only neighbour of an item is the next one."""

    @classmethod
    def write(cls, data: SplitData, parts: dict[Path, Any]) -> None:
        x = np.arange(data.n_items - 1)
        for part in parts:
            table = {"item_x": x, "item_y": x + 1, "weight": np.ones(x.size)}
            pl.DataFrame(table).cast(NEIGHBOURS).write_parquet(part)


@dataclass(frozen=True)
class ParityEmbedding(Embedding):
    """Items are odd or even; each one's neighbour is the one after the next."""

    def files(self, run: Run, split: str) -> Sequence[Path]:
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        return 1e6

    def build(self, run: Run, split: str) -> Summary:
        vectors, table = self.files(run, split)
        n = pl.read_parquet(paths.items(run)).height
        x = np.arange(n - 2)
        near = pl.DataFrame({"item_x": x, "item_y": x + 2, "weight": np.ones(n - 2)})

        def save(part: Path) -> None:
            with open(part, "wb") as file:
                np.save(file, np.eye(2, dtype=np.float32)[np.arange(n) % 2])

        def make(parts: dict[Path, Path]) -> None:
            writers = {vectors: save, table: near.cast(NEIGHBOURS).write_parquet}
            write_missing(parts, writers)

        return self.build_files(run, split, make)


@dataclass(frozen=True)
class FirstItemsRetriever(Retriever):
    """The items with the lowest ids."""

    top: int = 5

    def causal(self) -> FirstItemsRetriever:
        return self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        item = np.tile(np.arange(self.top, dtype=np.int32), (end - first, 1))
        return item, 1 / (1 + item.astype(np.float32))


@dataclass(frozen=True)
class IdFeature(FeatureGroup):
    """The item id of the candidate."""

    def names(self, recipe: Any) -> list[str]:
        return ["item_number"]

    def causal(self) -> IdFeature:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        X[:, column] = batch.pool.item


@dataclass(frozen=True)
class OneColumnRanker(Ranker):
    """Rank by one feature; training finds out whether high or low is better."""

    suffix = "json"
    features_only = True

    feature: str = "rrf_score"

    def group_key(self) -> Hashable:
        return "toys"

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        return 1e6

    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> TrainSet:
        return train_set

    def fit(self, task: FitTask, data: TrainSet, path: Path) -> None:
        train = data.fold != task.fold
        X, positive = data.load(train, [self.feature])[:, 0], data.label[train] > 0
        sign = float(np.sign(X[positive].mean() - X[~positive].mean()))
        path.write_text(json.dumps({"feature": self.feature, "sign": sign}))
        curve = pl.DataFrame({"round": [0], "train_auc": [0.5], "valid_auc": [0.5]})
        task.write_logs(curve, 0, {"feature": self.feature}, data.counts(task.fold), 0.0)
        gain = {"feature": [self.feature], "gain": [1.0], "cover": [1.0], "splits": [1]}
        pl.DataFrame(gain).write_csv(task.logs / "importance.csv")

    def load(self, path: Path, run: Run) -> OneColumnModel:
        return OneColumnModel(**json.loads(path.read_text()))


@dataclass(frozen=True)
class OneColumnModel(RankerModel):
    """The feature, up or down."""

    feature: str
    sign: float

    @property
    def names(self) -> list[str]:
        return [self.feature]

    def scores(self, batch: CandidateBatch) -> F32:
        return self.margins(batch.X, batch.names, batch.rows)

    def margins(self, X: F32, names: list[str], rows: Any = None) -> F32:
        column = X[:, names.index(self.feature)] * np.float32(self.sign)
        return column if rows is None else column[rows]


@dataclass(frozen=True)
class Success(MeanMetric):
    """1 for a list with any hit."""

    name = "success"
    formula = "1 with any hit"

    @property
    def cap(self) -> int:
        return 1

    def raw_values(self, listed: NDArray) -> F64:
        return (listed[:, : self.k] > 0).any(axis=1).astype(np.float64)


@dataclass(frozen=True)
class Json(Otto):
    """OTTO's sessions, answered as JSON."""

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        path.write_text(json.dumps({name: rows.first(10).tolist() for name, rows in lists.items()}))


TOYS = replace(
    RECIPE,
    name="toys",
    metric=Success(10),
    matrices=(NextIdMatrix("next_id"),),
    embeddings=(ParityEmbedding("parity"),),
    retrievers=(
        HistoryRetriever("own", Seeds()),
        FirstItemsRetriever("first"),
        ItemToItemRetriever("next_id", "next_id", Seeds()),
        ItemToItemRetriever("parity", "parity", Seeds()),
    ),
    baselines=(Baseline("own, first", ("own", "first")),),
    features=(PoolFeature(), IdFeature()),
    rankers=(OneColumnRanker("by_rrf"), OneColumnRanker("by_id", "item_number")),
)


def test_a_toy_of_every_kind_goes_to_the_end(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_steps(source, out, recipe=TOYS, dataset=Json(OTTO.recipe)) == 0
    cv = json.loads((out / "cv.json").read_text())
    assert cv["metric"] == "success@10" and cv["score"] > 0.3
    assert list(cv["objectives"]["clicks"]["alternatives"])
    recall = pl.read_csv(out / "logs" / "pool" / "retrievers.csv")
    assert recall["retriever"].to_list() == ["own", "first", "next_id", "parity"]
    assert set(json.loads((out / "submission.csv").read_text())) == set(cv["objectives"])
    table = pl.read_parquet(out / "valid" / "train" / "part-0000.parquet")
    assert (table["item_number"] == table["item"]).all()
    assert (out / "models" / "by_id" / "orders" / "fold_3.json").exists()
    assert "by_rrf" in (out / "report.html").read_text()


def worked_example(folder: Path) -> type[Retriever]:
    """The class of docs/extend.md, imported from a file of its own."""
    (text,) = re.findall(r"```python\n(\"\"\".*?)```", (ROOT / "docs/extend.md").read_text(), re.S)
    assert len(text.splitlines()) <= 40
    file = folder / "trending.py"
    file.write_text(text)
    spec = spec_from_file_location("trending", file)
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules["trending"] = module
    spec.loader.exec_module(module)
    return module.TrendingRetriever


def test_the_worked_example_is_what_its_text_says(source: Path, copy: Path, tmp_path: Path) -> None:
    row = worked_example(tmp_path)("trending", top=20)
    more = replace(RECIPE, retrievers=(*RECIPE.retrievers, row))
    stamps = {f: f.stat().st_mtime_ns for f in (copy / "valid" / "candidates").rglob("*.parquet")}
    assert run_steps(source, copy, STEPS[2:4], more) == 0
    assert all(file.stat().st_mtime_ns == time for file, time in stamps.items())
    recall = pl.read_csv(copy / "logs" / "candidates" / "retrievers.csv")
    assert recall.filter(retriever="trending")["clicks_recall"].item() > 0
    events = pl.read_parquet(copy / "valid" / "events.parquet")
    lists = pl.read_parquet(copy / "valid" / "candidates" / "trending" / "part-0000.parquet")
    for session in lists["session"].unique()[:5]:
        assert plain_trend(events, session) == lists.filter(session=session)["item"].to_list()


def plain_trend(events: pl.DataFrame, session: int) -> list[int]:
    """Items of the last whole hour before a session's last event, by hand."""
    now = events.filter(session=session)["ts"].max() // 3600 * 3600
    daily, hourly = Counter[int](), Counter[int]()
    for item, ts in events.select("item", "ts").iter_rows():
        daily[item] += now - 86_400 <= ts < now
        hourly[item] += now - 3600 <= ts < now
    rise = {item: hourly[item] - daily[item] / 24 for item in daily}
    best = sorted(rise, key=lambda item: (-rise[item], item))
    return [item for item in best if rise[item] > 0][:20]
