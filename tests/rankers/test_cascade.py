"""A cascade: what its net alone can know, who scored what it learns from, and what it refuses.

pytest tests/rankers/test_cascade.py
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from cascade_world import BASE, CROSS, FIRST, QUERIES, RECIPE, TEXTS, train, write_world
from planted import BARE, run_in

from bench import cross_encoder
from src.candidates.pool import Pool
from src.core.arrays import positions
from src.core.run import Run
from src.data import paths
from src.data.folds import all_folds
from src.data.shards import Shard, shard_files
from src.data.split_data import SplitData
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.table import FeatureTable
from src.rankers.base import RankerModel
from src.rankers.batches import CandidateBatch
from src.rankers.cascade import CascadeModel, CascadeRanker, ranks
from src.rankers.cascade_table import CascadeTable, build_tables, cross_fitted
from src.rankers.evaluate import evaluate_rankers
from src.rankers.nets.base import InputSizes
from src.rankers.nets.cross_encoder import CrossEncoder
from src.rankers.nets.mmoe import MMoE
from src.rankers.train import Target, targets, training_groups
from src.rankers.train_table import trainable_objectives


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of steps 5 and 6: look, don't touch."""
    folder = write_world(tmp_path_factory.mktemp("cascade"))
    train(run_in(folder, RECIPE))
    return folder


def first_is_right(folder: Path, split: str, column: str) -> float:
    """Share of the queries whose positive has the highest score."""
    run = run_in(folder, RECIPE)
    scores = pl.concat(map(pl.read_parquet, shard_files(run, split, "scores")))
    best = scores.sort(column, descending=True).group_by("session", maintain_order=True).first()
    labels = pl.read_parquet(paths.labels(run, split)).select("session", "item")
    return best.join(labels, on=["session", "item"]).height / QUERIES


@pytest.mark.parametrize("split", ["valid", "test"])
def test_only_the_net_knows_which_items_go_together(output: Path, split: str) -> None:
    assert first_is_right(output, split, "base_clicks") < 0.25, "one in ten by chance"
    assert first_is_right(output, split, "cross_clicks") > 0.65, "in eight of ten it can be"


def test_the_benchmark_scores_lists_as_the_run_does(output: Path) -> None:
    run = run_in(output, RECIPE)
    models, seconds = cross_encoder.trained(run, "clicks")
    assert list(models) == ["base", "cross"] and not seconds, "all are up to date"
    found = cross_encoder.evaluate(run, models, QUERIES)
    table = dict(evaluate_rankers(run, ["clicks"]).select("ranker", "oof").iter_rows())
    assert {name: found[name].score() for name in table} == pytest.approx(table)
    assert found["base"].score() < found["base + cross"].score() < found["cross"].score()


def base_target(run: Run) -> Target:
    return targets(run.recipe, ["clicks"])[0]


def tables(run: Run) -> dict[str, pl.DataFrame]:
    """The first candidates of each split with labels."""
    return {
        name: pl.read_parquet(run.output / name / "cascade" / "base_8" / "clicks" / "*.parquet")
        for name in ("valid", "train_1")
    }


def models_of(run: Run, split: str) -> tuple[list[RankerModel], int]:
    """The models that scored the table of a split, and their number of folds."""
    if split == "valid":
        return base_target(run).load(run, "clicks"), run.recipe.folds
    crossed = cross_fitted(run, base_target(run))
    return crossed.targets[0].load(crossed.run, "clicks"), crossed.run.recipe.folds


@pytest.mark.parametrize("split", ["valid", "train_1"])
def test_no_base_score_comes_from_a_model_of_the_sessions_fold(output: Path, split: str) -> None:
    """Trees this deep know their own train rows: the positive would be first in nearly all."""
    run = run_in(output, RECIPE)
    table, (models, folds) = tables(run)[split], models_of(run, split)
    fold = all_folds(replace(run, recipe=replace(RECIPE, folds=folds)), split)
    data = SplitData(run, split)
    pool = Pool.load(run, split, Shard(0, 0, QUERIES))
    batch = CandidateBatch.compute(FeatureTable(RECIPE), data, pool)
    by_model = np.stack([model.scores(batch) for model in models])
    wanted = pl.DataFrame({
        "session": pool.session, "item": pool.item,
        "score": by_model[fold[pool.session], np.arange(pool.item.size)],
    })  # fmt: skip
    joined = table.join(wanted, on=["session", "item"], how="left", maintain_order="left")
    assert joined["base_score"].to_list() == joined["score"].to_list()
    assert np.unique(fold).size == folds == len(models) > 1
    top = table.filter(pl.col("label:clicks") > 0)["base_rank"].to_numpy() == 0
    assert top.mean() < 0.3, "out of fold"
    other = by_model[(fold[pool.session] + 1) % folds, np.arange(pool.item.size)]
    labels = pl.read_parquet(paths.labels(run, split)).sort("session")["item"].to_numpy()
    is_right = pool.item == labels[pool.session]
    assert (ranks(pool, other)[is_right] == 0).mean() > 0.6, "a model that learned from it knows"


def test_cross_fitted_models_learn_from_all_splits_but_one_fold(output: Path) -> None:
    run = run_in(output, RECIPE)
    for f in range(RECIPE.folds):
        log = paths.model_logs(run, "base_cross_fitted", "clicks", f) / "fold.json"
        counts = json.loads(log.read_text())
        held = sum(int((all_folds(run, split) == f).sum()) for split in ("valid", "train_1"))
        assert counts["valid_positives"] == held
        assert counts["train_positives"] == 2 * QUERIES - held


def test_one_fold_is_cross_fitted_by_two(output: Path) -> None:
    one = run_in(output, replace(RECIPE, folds=1))
    crossed = cross_fitted(one, base_target(one))
    assert crossed.run.recipe.folds == 2
    assert np.unique(all_folds(crossed.run, "train_1")).tolist() == [0, 1]


def test_the_table_has_the_first_candidates_of_queries_with_a_positive(output: Path) -> None:
    for table in tables(run_in(output, RECIPE)).values():
        of_query = table.group_by("session", maintain_order=True).agg(
            pl.len(), pl.col("label:clicks").sum(), pl.col("base_rank").sort()
        )
        assert of_query["len"].unique().to_list() == [FIRST]
        assert of_query["label:clicks"].unique().to_list() == [1]
        assert all(r == list(range(FIRST)) for r in of_query["base_rank"].to_list())
        assert 0.5 * QUERIES < of_query.height < QUERIES, "some positives are behind"


def test_where_rows_are_too_many_some_queries_are_taken(output: Path) -> None:
    run = run_in(output, replace(RECIPE, max_train_rows=QUERIES * FIRST))
    table = CascadeTable(SplitData(run, "valid"), CROSS, ["clicks"], run, base_target(run))
    assert table.sampler.query_rate == pytest.approx(0.5), "two splits"
    part = table.first(Pool.load(run, "valid", Shard(0, 0, QUERIES)))
    every = tables(run)["valid"]
    assert 0.35 * every.height < part.height < 0.65 * every.height
    assert part.join(every, on=["session", "item"], how="anti").is_empty()


class Column(RankerModel):
    """Scores by one column."""

    def __init__(self, name: str, sign: int = 1) -> None:
        self.name, self.sign = name, sign

    @property
    def names(self) -> list[str]:
        return [self.name]

    def scores(self, batch: CandidateBatch) -> np.ndarray:
        return self.sign * batch.X[batch.rows, batch.names.index(self.name)]


def test_the_others_stay_behind_in_the_order_of_the_base(output: Path) -> None:
    data = SplitData(run_in(output, RECIPE), "valid")
    offsets, item = np.array([0, 4, 4, 5, 9]), np.array([1, 2, 3, 4, 9, 8, 7, 6, 5], np.int32)
    no_list = np.zeros((9, 0), np.float32)
    pool = Pool(0, offsets, item, np.zeros(9, np.float32), no_list.astype(np.uint16), no_list)
    X = np.array([[5, 8, 7, 6, 1, 2, 2, 2, 9]], np.float32).T
    model = CascadeModel(Column("x"), Column("base_rank", -1), first=2)
    batch = CandidateBatch(data, pool, ["x"], X, np.arange(9))
    ranked = [-3, 0, -1, -2, 0, -3, -2, -1, 0]  # a tie goes to the smaller item
    assert model.scores(batch).tolist() == ranked
    own = CascadeModel(Column("x"), Column("base_score", -1), first=2)
    assert own.scores(batch).tolist() == [-10, -8, -7, -9, -1, -11, -10, -2, -9]
    assert own.names == ["x"] and own.scores(batch).dtype == np.float32


def test_a_second_run_builds_nothing(output: Path) -> None:
    run = run_in(output, RECIPE)
    objectives = trainable_objectives(run)
    assert not any(any(group.train()) for group in training_groups(run, objectives))
    files = build_tables(run, CROSS, objectives)
    before = [file.stat().st_mtime_ns for file in files]
    build_tables(run, replace(CROSS, epochs=3), objectives)
    assert [file.stat().st_mtime_ns for file in files] == before, "the net is not in the tables"


W2V = Word2VecEmbedding("w2v")


@pytest.mark.parametrize(
    ("rankers", "message"),
    [
        ((CROSS, BASE), "ranker cross: no ranker base stands before it; its base is one of none"),
        ((BASE, replace(CROSS, base="trees")), "no ranker trees stands before it"),
        ((BASE, CROSS, replace(CROSS, name="more", base="cross")), "cross is a cascade itself"),
        ((BASE, replace(CROSS, first=1)), "first is at least 2"),
        ((BASE, replace(CROSS, net=MMoE())), "its net gives one score"),
        ((BASE, replace(CROSS, shared=True)), "share the base too"),
        ((replace(BASE, objectives=("clicks",)), CROSS), r"does not learn \['carts'\]"),
        ((BASE, replace(CROSS, net=CrossEncoder(("w2v",)))), "no embedding w2v whose vectors"),
        ((BASE, replace(CROSS, net=CrossEncoder(("words",)))), "it may read texts"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rankers: tuple[CascadeRanker, ...], message: str) -> None:
    two = BARE.objectives[:2]
    with pytest.raises(ValueError, match=message) as error:
        replace(RECIPE, objectives=two, embeddings=(TEXTS, W2V), rankers=rankers)
    assert "\n" not in str(error.value)


def test_a_shared_cascade_reads_the_base_of_its_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = replace(CROSS, shared=True, objectives=("carts",))
    recipe = replace(RECIPE, objectives=BARE.objectives[:2], rankers=(BASE, shared))
    path, read = Path("out/models/cross/all/fold_1.pt"), list[str]()
    model = SimpleNamespace(of=read.append)
    monkeypatch.setattr(type(BASE), "load", lambda row, file, run: read.append(str(file)) or model)
    shared._with_base(model, path, run_in(Path("out"), recipe))  # type: ignore[arg-type]
    assert read == ["out/models/base/carts/fold_1.ubj", "carts"]


def test_a_cross_encoder_needs_vectors() -> None:
    with pytest.raises(ValueError, match="name vectors"):
        CrossEncoder(())
    with pytest.raises(ValueError, match="no part of another net"):
        CROSS.net.module(InputSizes(1, 1, (), 1))


def test_same_seed_same_scores(output: Path, tmp_path: Path) -> None:
    again = shutil.copytree(output, tmp_path / "again")
    shutil.rmtree(again / "models" / "cross")
    train(run_in(again, RECIPE))
    for split in ("valid", "test"):
        files = [shard_files(run_in(f, RECIPE), split, "scores")[0] for f in (output, again)]
        assert pl.read_parquet(files[0]).equals(pl.read_parquet(files[1]))


def test_rows_of_a_batch_do_not_read_each_other(output: Path) -> None:
    """Queries alone, or beside others with longer lists: the same scores."""
    run = run_in(output, RECIPE)
    data = SplitData(run, "valid")
    pool = Pool.load(run, "valid", Shard(0, 0, QUERIES)).batch(0, 20)
    length = 1 + np.arange(20) % (FIRST + 3)
    pool = pool.keep_rows(positions(pool.offsets) < np.repeat(length, np.diff(pool.offsets)))
    batch = CandidateBatch.compute(FeatureTable(RECIPE), data, pool)
    model = CROSS.load(CROSS.model_file(run, "clicks", 0), run)
    score = model.scores(batch)
    for q, (a, b) in enumerate(pairwise(pool.offsets)):
        alone = batch.keep_queries(np.arange(20) == q)
        np.testing.assert_allclose(model.scores(alone), score[a:b], rtol=1e-4, atol=1e-5)
