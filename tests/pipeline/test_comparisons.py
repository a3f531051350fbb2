"""Comparisons out of fold on all splits: ablation and bench.rankers, on the tiny run.

pytest tests/pipeline/test_comparisons.py
"""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import worlds
from tiny import RECIPE

from bench import measure, rankers
from src import cli
from src.core.run import Run
from src.data import paths, shards
from src.data.split_data import SplitData
from src.rankers import oof
from src.rankers.batches import claim_batches, pools
from src.rankers.train_set import TrainSet
from src.rankers.train_table import train_files
from src.rankers.xgb_trainer import FoldMatrices
from src.tools import ablation

pytestmark = pytest.mark.slow


@pytest.fixture
def run(source: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of step 6 on a copy of the tiny output."""
    worlds.register(monkeypatch, RECIPE)
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(copy)]
    return cli.parse("", Path("6_xgb.py"), argv)


def test_ablation_drops_columns_and_candidates(run, source, capsys):
    argv = ["--dataset", RECIPE.name, "--input", str(source), "--output", str(run.output)]
    assert cli.main(ablation.__doc__, ablation.__file__, ablation.body, argv) == 0
    table = pl.read_csv(run.output / "logs" / "ablation.csv")
    of = {row["dropped"]: row for row in table.iter_rows(named=True)}
    assert of["nothing"]["loss"] == 0 and of["nothing"]["score"] > 0.5
    assert of["features: MatrixFeature"]["columns"] == 28  # 4 x (1 x 3 + 2 + 1), 4 ranks
    assert len(set(table["score"])) > 3
    assert all(row["low"] <= row["loss"] <= row["high"] for row in of.values())
    assert set(of) > {f"candidates: {type(row).__name__}" for row in RECIPE.retrievers}


def test_rankers_are_compared_on_all_splits_out_of_fold(run, monkeypatch, capsys):
    monkeypatch.setattr(measure, "append_table", lambda title, table: print(title, table))
    flags = ["--dataset", RECIPE.name, "--output", str(run.output)]
    learned, read = list[TrainSet](), FoldMatrices.read

    def spy(task, train_set, *numbers):
        learned.append(train_set)
        return read(task, train_set, *numbers)

    monkeypatch.setattr(FoldMatrices, "read", spy)
    few = ["--first", "3", "10000"]
    assert rankers.main([*flags, "--also", "softmax", "columns_80", *few]) == 0
    assert learned and all(rows.fold.min() >= 0 for rows in learned), "no row that all learn from"
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    found = {cells[0]: cells for cells in lines if len(cells) == len(rankers.HEAD)}
    names = [row.name for row in RECIPE.rankers] + ["logistic_softmax", "logistic_columns_80"]
    assert set(found) >= {*names, *(f"{names[0]} + {name}" for name in names[1:])}
    assert [int(found[name][1]) for name in names] == [12, 12, 4, 12, 12]
    assert float(found["logistic"][6]) == 0 and float(found["logistic_softmax"][5]) > 0.4
    assert float(found["logistic, first 3"][6]) < -0.1
    assert found["logistic, first 10000"][4:] == found["logistic"][4:]


def test_queries_of_all_splits_have_one_fold(run):
    batches = list(oof.eval_batches(run, 10**9))
    session = np.concatenate([batch.session for batch in batches])
    fold = np.concatenate([batch.fold[batch.query] for batch in batches])
    labels = [pl.read_parquet(paths.labels(run, split)) for split in ("valid", "train_1")]
    assert session.size == sum(table["session"].n_unique() for table in labels)
    assert all(np.unique(fold[session == s]).size == 1 for s in session), "of the raw session"
    some = [batch.session for batch in oof.eval_batches(run, 100)]
    assert 80 < np.concatenate(some).size < 160


def test_no_split_has_rows_that_every_fold_learns_from(run, monkeypatch):
    train_set = TrainSet.read(train_files(run), ("clicks",))
    fold, valid = oof.with_all_folds(run, train_set).fold, train_set.fold >= 0
    assert 0 < valid.sum() < valid.size and (fold[valid] == train_set.fold[valid]).all()
    assert set(fold[~valid]) == {0, 1, 2, 3}
    sizes = list[int]()
    monkeypatch.setattr(ablation, "train", lambda *_: sizes.append(len(_[-1].X)))
    ablation.train_all(run, "clicks", ablation.variants(RECIPE)[:1])
    assert sorted(sizes) == sorted(int((fold != f).sum()) for f in range(4))


def test_what_a_split_holds_is_free_when_it_is_done(run):
    data = SplitData(run, "valid")
    for _ in pools(data, shards.shards(run, "valid")[0]):
        claim_batches(data, "features", 0.0)
    left = weakref.ref(data)
    del data
    assert left() is None
