"""Steps 5 and 6 on a planted split: what is trained together, scored out of fold, and built anew.

pytest tests/rankers/test_steps.py
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, planted_events, run_in, whole, write_split
from polars.testing import assert_frame_equal
from stored_pools import write_stored

from src.candidates.history import HistoryRetriever
from src.candidates.pool import Pool
from src.candidates.seeds import Seeds
from src.core.run import Run
from src.data import shards
from src.data.folds import folds
from src.data.schemas import LABELS
from src.data.split_data import SplitData
from src.features.pool import PoolFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.table import FeatureTable
from src.rankers import batches
from src.rankers.base import ALL
from src.rankers.batches import CandidateBatch, pools
from src.rankers.evaluate import evaluate_rankers
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.pointwise import BCE
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.rankers.nets.mmoe import MMoE
from src.rankers.oof import eval_batches, with_all_folds
from src.rankers.sampling import ground_truth
from src.rankers.score import score_split
from src.rankers.train import targets, training_groups
from src.rankers.train_set import TrainSet
from src.rankers.train_table import (
    build_train_table,
    count_positives,
    count_rows_and_positives,
    train_files,
    trainable_objectives,
)
from src.rankers.xgb import XGBoostRanker

QUERIES, CANDIDATES = 160, 10
TREES = XGBoostRanker(
    "trees", (("objective", "binary:logistic"), ("max_depth", 3)), num_boost_round=5
)
NDCG = replace(TREES, name="ndcg", params=(("objective", "rank:ndcg"), ("max_depth", 3)))
GRADED = replace(NDCG, name="graded", shared=True, max_features=9)
LIGHT = LightGBMRanker(
    "light", (("objective", "lambdarank"), ("num_leaves", 7)), 5, categories=("session_events",)
)
NET = NetRanker(
    "net", DIN(dim=4, max_len=3), Softmax(), max_items=1000, min_count=1, epochs=1, batch_size=256
)
MULTI = NetRanker(
    "multi", MMoE((8,), (4,), dim=4, scene="session_events", scene_rows=20), BCE(), epochs=1,
    categories=("session_events",),
)  # fmt: skip
OBJECTIVES = ["clicks", "carts"]
RECIPE = replace(
    BARE, objectives=BARE.objectives[:2], retrievers=(HistoryRetriever("own", Seeds()),),
    features=(PoolFeature(), SessionFeature(), SessionItemFeature()),
    rankers=(NDCG, TREES, GRADED, NET, LIGHT, MULTI), negatives_per_positive=3.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`valid` with a pool and labels: positives are among the session's own items."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(2)
    data = write_split(folder, planted_events(), QUERIES, recipe=RECIPE)
    s, item, labels = data.sessions, list[np.ndarray](), list[tuple[int, int, int]]()
    for session in range(s.first_query, s.n_sessions):
        own = np.unique(s.item[s.offsets[session] : s.offsets[session + 1]])[:5]
        others = rng.choice(np.setdiff1d(np.arange(120), own), CANDIDATES - own.size, replace=False)
        item.append(rng.permutation(np.append(own, others)).astype(np.int32))
        labels += [(session, o, int(rng.choice(own))) for o in range(2) if rng.random() < 0.8]
    n = QUERIES * CANDIDATES
    ranks = rng.integers(0, 20, (n, 1)).astype(np.uint16)
    offsets = np.arange(0, n + 1, CANDIDATES)
    rrf_score = np.linspace(1, 0, n).astype(np.float32)
    pool = Pool(
        s.first_query, offsets, np.concatenate(item), rrf_score, ranks, ranks / np.float32(20)
    )
    write_stored(run_in(folder, RECIPE), pool)
    rows = [(*row, 1.0) for row in sorted(labels)]
    whole(folder / "valid" / "labels.parquet", pl.DataFrame(rows, LABELS, orient="row"))
    return folder


@pytest.fixture(scope="module")
def first(planted: Path) -> Path:
    """The output of one undisturbed run of both steps: look, don't touch."""
    assert all(steps(run_in(planted, RECIPE)).values())
    return planted


@pytest.fixture
def output(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "output")
    return tmp_path / "output"


def steps(run: Run) -> dict[str, int]:
    """Run steps 5 and 6; how many files of each kind were built."""
    count_positives(run)
    built = {"train": sum(build_train_table(run, "valid"))}
    objectives = trainable_objectives(run)
    assert objectives == OBJECTIVES
    built["models"] = sum(made for g in training_groups(run, objectives) for made in g.train())
    built["scores"] = sum(score_split(run, "valid", objectives))
    evaluate_rankers(run, objectives)
    return built


def test_rankers_of_one_target_share_their_data_pointwise_ones_first(first: Path) -> None:
    run = run_in(first, RECIPE)
    groups = {group.name: group.objectives for group in training_groups(run, OBJECTIVES)}
    assert groups == {
        "clicks trees, ndcg": ("clicks",), f"{ALL} graded": ("clicks", "carts"),
        "clicks net": ("clicks",), "carts trees, ndcg": ("carts",), "carts net": ("carts",),
        "clicks light": ("clicks",), "carts light": ("carts",), f"{ALL} multi": ("clicks", "carts"),
    }  # fmt: skip
    columns = [c for target in targets(RECIPE, OBJECTIVES) for c in target.score_columns]
    assert columns[:4] == ["ndcg_clicks", "trees_clicks", "graded_all", "net_clicks"]
    assert columns[4:8] == ["light_clicks", "multi_clicks", "multi_carts", "ndcg_carts"]
    assert GRADED.score_column("clicks") == GRADED.score_column("carts") == "graded_all"


def test_the_table_holds_all_positives_and_sampled_negatives(first: Path) -> None:
    run = run_in(first, RECIPE)
    table = pl.read_parquet(train_files(run))
    names = FeatureTable(RECIPE).names
    labels = [f"{prefix}:{name}" for name in OBJECTIVES for prefix in ("label", "log_chance")]
    assert table.columns == ["session", "item", "fold", *labels, *names]
    counts, truth = count_rows_and_positives(run, "valid"), ground_truth(run, "valid")
    assert counts["rows"] == table.height
    assert counts["clicks"] == truth[0].height == count_positives(run)["clicks"]
    clicks = table.filter(pl.col("label:clicks") == 1).select("session", "item")
    assert clicks.sort("session").equals(truth[0].drop("grade"))
    sampled = table["label:clicks"].drop_nulls()
    assert (sampled == 0).sum() == pytest.approx(3 * sampled.sum(), rel=0.25)
    assert (table["fold"].to_numpy() == folds(run, "valid")[table["session"]]).all()
    assert TrainSet.read(train_files(run), ["clicks"]).names == names


def test_every_candidate_is_scored_by_the_model_that_has_not_seen_its_session(first: Path) -> None:
    run = run_in(first, RECIPE)
    data = SplitData(run, "valid")
    scores = pl.read_parquet(first / "valid" / "scores" / "part-0000.parquet")
    assert scores.height == QUERIES * CANDIDATES
    (pool,) = pools(data, shards.shards(run, "valid")[0])
    batch = CandidateBatch.compute(FeatureTable(RECIPE), data, pool)
    fold = folds(run, "valid")[pool.session]
    for ranker, objective in (
        (TREES, "clicks"), (GRADED, "carts"), (LIGHT, "clicks"), (MULTI, "clicks"),
        (MULTI, "carts"),
    ):  # fmt: skip
        found = scores[ranker.score_column(objective)].to_numpy()
        for f in range(RECIPE.folds):
            by_model = ranker.load(ranker.model_file(run, objective, f), run).scores(batch)
            if ranker is MULTI:
                by_model = by_model[:, OBJECTIVES.index(objective)]
            assert (by_model[fold == f] == found[fold == f]).all()
            assert (by_model[fold != f] != found[fold != f]).any()


def test_every_model_has_its_logs_and_every_ranker_a_line(first: Path) -> None:
    run = run_in(first, RECIPE)
    for target in targets(RECIPE, OBJECTIVES):
        for fold in range(RECIPE.folds):
            logs = target.ranker.log_folder(run, target.objectives[0], fold)
            names = {"curve.csv", "params.json", "fold.json", "importance.csv"}
            assert {file.name for file in logs.iterdir()} == names
            curve = pl.read_csv(logs / "curve.csv")
            summary = json.loads((logs / "fold.json").read_text())
            assert curve.columns[0] == "round" and "valid_auc" in curve.columns
            assert {*curve.columns[1:], "valid_positives", "seconds"} < summary.keys()
            of_best = curve.filter(round=summary["best_round"])
            assert of_best["valid_auc"].to_list() == [summary["valid_auc"]]
    table = pl.read_csv(first / "logs" / "rankers.csv")
    assert table.columns == ["ranker", "objective", "oof", *(f"fold_{f}" for f in range(4))]
    assert table.height == 12 and table["oof"].is_between(0.3, 1).all()


def test_a_second_run_builds_nothing(output: Path) -> None:
    assert steps(run_in(output, RECIPE)) == {"train": 0, "models": 0, "scores": 0}


def test_a_changed_ranker_rebuilds_its_own_models_and_the_scores(output: Path) -> None:
    changed = replace(NDCG, num_boost_round=4)
    recipe = replace(RECIPE, rankers=(changed, *RECIPE.rankers[1:]))
    assert steps(run_in(output, recipe)) == {"train": 0, "models": 8, "scores": 1}


def test_a_changed_feature_rebuilds_all_but_another_metric_nothing(output: Path) -> None:
    recipe = replace(RECIPE, metric=replace(RECIPE.metric, k=3))
    assert steps(run_in(output, recipe)) == {"train": 0, "models": 0, "scores": 0}
    recipe = replace(RECIPE, features=RECIPE.features[:2])
    assert steps(run_in(output, recipe)) == {"train": 1, "models": 40, "scores": 1}


def test_a_model_without_its_logs_is_trained_again(output: Path) -> None:
    run = run_in(output, RECIPE)
    shutil.rmtree(GRADED.log_folder(run, "clicks", 2))
    model = GRADED.model_file(run, "carts", 2)
    before = model.read_bytes()
    assert steps(run) == {"train": 0, "models": 1, "scores": 0}
    assert model.read_bytes() == before and GRADED.log_folder(run, "carts", 2).exists()


def test_all_queries_with_positives_are_evaluated_in_batches(first: Path) -> None:
    run = run_in(first, RECIPE)
    (batch,) = eval_batches(run, 10**9)
    truth = ground_truth(run, "valid")
    sessions = sorted(set(truth[0]["session"]) | set(truth[1]["session"]))
    assert batch.session.tolist() == sessions, "raw ids are the dense ones here"
    of_query = folds(run, "valid")[batch.candidates.pool.first + batch.query]
    assert (batch.fold[batch.query] == of_query).all()
    first_candidate = -batch.position.astype(np.float32)
    scores = batch.query_scores(RECIPE.metric, 0, first_candidate)
    assert scores.score() == 1, "20 of 10 candidates are listed"
    assert scores.ideal.sum() == truth[0].height
    (few,) = eval_batches(run, 50)
    assert 25 <= few.session.size <= 50 and set(few.session) < set(batch.session)
    train_set = TrainSet.read(train_files(run), ["clicks"])
    assert with_all_folds(run, train_set).fold.tolist() == train_set.fold.tolist()


def test_batches_of_another_size_make_the_same_files(
    output: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("train", "scores"):
        shutil.rmtree(output / "valid" / folder)
    monkeypatch.setattr(batches, "QUERIES_PER_BATCH", 50)
    steps(run_in(output, RECIPE))
    for folder in ("train", "scores"):
        tables = [pl.read_parquet(out / "valid" / folder / "part-0000.parquet")
                  for out in (first, output)]  # fmt: skip
        of_net = pl.selectors.starts_with("net_", "multi_")
        assert tables[0].drop(of_net, strict=False).equals(tables[1].drop(of_net, strict=False))
        if folder == "scores":
            assert_frame_equal(*(table.select(of_net) for table in tables), rel_tol=1e-4)
