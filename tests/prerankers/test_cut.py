"""A pre-ranker on planted splits: what it keeps, who scored it, and what its logs say.

pytest tests/prerankers/test_cut.py
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

from src.candidates.history import HistoryRetriever
from src.candidates.pool import Pool, pool_file
from src.candidates.seeds import Seeds
from src.core.run import Run
from src.data.folds import all_folds
from src.data.shards import Shard, shards
from src.data.split_data import SplitData
from src.data.splits import Split, write_splits
from src.features.pool import PoolFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.metrics.recall import Recall
from src.prerankers.base import PreRanker, stage_of
from src.prerankers.comparison import first_candidates
from src.prerankers.cut import SCORE, PoolCutter, cut_pools
from src.prerankers.log import log_preranker
from src.rankers.batches import CandidateBatch
from src.rankers.score import score_split
from src.rankers.train import targets, training_groups
from src.rankers.train_table import build_train_table, count_positives, trainable_objectives
from src.rankers.xgb import XGBoostRanker

QUERIES, CANDIDATES, KEEP, K = 160, 30, 12, 5
SPLITS = ("valid", "train_1", "test")
CHEAP = PreRanker(
    XGBoostRanker("cheap", (("objective", "rank:ndcg"), ("max_depth", 3)), 10, shared=True),
    features=(PoolFeature(), SessionItemFeature()),
    keep=KEEP,
)
RECIPE = replace(
    BARE, objectives=BARE.objectives[:2], retrievers=(HistoryRetriever("own", Seeds()),),
    features=(PoolFeature(), SessionFeature(), SessionItemFeature()), metric=Recall(K),
    rankers=(XGBoostRanker("trees", (("objective", "binary:logistic"), ("max_depth", 3)), 10),),
    preranker=CHEAP, negatives_per_positive=5.0, pool_size=CANDIDATES,
)  # fmt: skip
WHOLE = replace(RECIPE, preranker=None)
NAMES = ["own"]


def sizes_of(n: int, rng: np.random.Generator) -> np.ndarray:
    """Most pools are full, some are smaller than what is kept, one is empty."""
    sizes = np.where(rng.random(n) < 0.1, KEEP - 2, CANDIDATES)
    sizes[3] = 0
    return sizes


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Positives are among the session's own items, which stand at random places of the pool."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(2)
    data = write_split(folder, planted_events(), QUERIES, recipe=RECIPE)
    s, item, labels = data.sessions, list[np.ndarray](), list[tuple[int, int, int, float]]()
    sizes = sizes_of(QUERIES, rng)
    for session, size in zip(range(s.first_query, s.n_sessions), sizes, strict=True):
        own = np.unique(s.item[s.offsets[session] : s.offsets[session + 1]])[:5]
        others = rng.choice(np.setdiff1d(np.arange(120), own), CANDIDATES, replace=False)
        item.append(rng.permutation(np.append(own, others)[:size]).astype(np.int32))
        labels += [(session, o, int(rng.choice(own)), 1.0) for o in range(2) if rng.random() < 0.8]
    n, offsets = int(sizes.sum()), np.append(0, np.cumsum(sizes))
    ranks = rng.integers(0, 20, (n, 1)).astype(np.uint8)
    rrf_score = np.linspace(1, 0, n).astype(np.float32)
    scores = (ranks / 20).astype(np.float32)
    pool = Pool(s.first_query, offsets, np.concatenate(item), rrf_score, ranks, scores)
    file = pool_file(run_in(folder, WHOLE), "valid", Shard(0, 0, 0))
    whole(file, pool.to_frame(NAMES))
    schema = {"session": pl.Int32, "objective": pl.Int8, "item": pl.Int32, "grade": pl.Float32}
    table = pl.DataFrame(labels, schema=schema, orient="row").sort("session", "objective")
    whole(folder / "valid" / "labels.parquet", table)
    for name in SPLITS[1:]:
        shutil.copytree(folder / "valid", folder / name)
    roles = [Split(name, name.split("_")[0], "", s.n_sessions, QUERIES) for name in SPLITS]
    write_splits(run_in(folder), roles)
    return folder


@pytest.fixture(scope="module")
def output(planted: Path) -> Path:
    """The output of one undisturbed run: look, don't touch."""
    steps(run_in(planted, RECIPE))
    return planted


def steps(run: Run) -> None:
    """Run steps 5 and 6."""
    cut_pools(run)
    count_positives(run)
    for split in SPLITS[:2]:
        build_train_table(run, split)
    objectives = trainable_objectives(run)
    for group in training_groups(run, objectives):
        group.train()
    score_split(run, "valid", objectives)
    log_preranker(run, objectives)


def pool_of(run: Run, split: str = "valid") -> Pool:
    return Pool.load(run, split, shards(run, split)[0])


def test_the_best_are_kept_in_the_order_of_the_pool(output: Path) -> None:
    run = run_in(output, RECIPE)
    for split in SPLITS:
        kept, pool = pool_of(run, split), pool_of(run_in(output, WHOLE), split)
        sizes = np.diff(pool.offsets)
        assert np.diff(kept.offsets).tolist() == np.minimum(sizes, KEEP).tolist()
        cutter = cutter_of(run, split)
        score = cutter.order(pool)
        found = pl.read_parquet(pool_file(run, split, shards(run, split)[0]))[SCORE].to_numpy()
        at = 0
        for q in range(QUERIES):
            rows = np.arange(*pool.offsets[q : q + 2])
            best = sorted(rows, key=lambda r: (-score[r], pool.item[r]))[:KEEP]
            wanted = sorted(best)
            end = at + len(wanted)
            for name in ("item", "rrf_score", "ranks", "scores"):
                assert (getattr(kept, name)[at:end] == getattr(pool, name)[wanted]).all()
            assert (found[at:end] == score[wanted]).all()
            at = end
        assert at == kept.item.size


def cutter_of(run: Run, split: str) -> PoolCutter:
    stage = stage_of(run, CHEAP)
    learned = targets(stage.recipe, trainable_objectives(stage))
    return PoolCutter(SplitData(stage, split), CHEAP, learned)


@pytest.mark.parametrize("split", ["valid", "train_1"])
def test_a_session_is_cut_by_a_model_that_has_not_seen_it(output: Path, split: str) -> None:
    """Splits of the role `train` too: their sessions have the same folds."""
    run = run_in(output, RECIPE)
    stage, cutter = stage_of(run, CHEAP), cutter_of(run, split)
    pool = pool_of(run_in(output, WHOLE), split)
    table = pl.concat(pl.read_parquet(output / s / "preranker_train" / "part-0000.parquet")
                      for s in SPLITS[:2])  # fmt: skip
    fold = all_folds(run, split)
    assert (table["fold"].to_numpy() == fold[table["session"].to_numpy()]).all()
    batch = CandidateBatch.compute(cutter.features, cutter.data, pool)
    found, of_row = cutter.order(pool), fold[pool.session]
    for f, model in enumerate(cutter.models[0]):
        by_model = model.scores(batch)
        assert (found[of_row == f] == by_model[of_row == f]).all()
        assert (found[of_row != f] != by_model[of_row != f]).any()
    assert stage.recipe.preranker is None


def test_queries_of_test_are_cut_by_the_mean_of_all_models(output: Path) -> None:
    cutter, pool = cutter_of(run_in(output, RECIPE), "test"), pool_of(run_in(output, WHOLE), "test")
    batch = CandidateBatch.compute(cutter.features, cutter.data, pool)
    mean = np.mean([model.scores(batch).astype(np.float64) for model in cutter.models[0]], axis=0)
    np.testing.assert_allclose(cutter.order(pool), mean, rtol=1e-6)


def test_the_cut_keeps_more_positives_than_the_pool_order(output: Path) -> None:
    run = run_in(output, RECIPE)
    whole_pool, truth = pool_of(run_in(output, WHOLE)), positives(output)
    first = whole_pool.keep_rows(first_candidates(whole_pool, whole_pool.rrf_score, KEEP))
    recall = [hits(pool, truth) / len(truth) for pool in (pool_of(run), first)]
    assert recall[0] > recall[1] + 0.3 and recall[0] > 0.85


def positives(folder: Path) -> set[tuple[int, int]]:
    labels = pl.read_parquet(folder / "valid" / "labels.parquet")
    return {*labels.select("session", "item").iter_rows()}


def hits(pool: Pool, truth: set[tuple[int, int]]) -> int:
    return len(truth & {*zip(pool.session.tolist(), pool.item.tolist(), strict=True)})


def test_later_steps_read_the_kept_candidates_alone(output: Path) -> None:
    run = run_in(output, RECIPE)
    kept, scores = pool_of(run), pl.read_parquet(output / "valid" / "scores" / "part-0000.parquet")
    assert scores["item"].to_list() == kept.item.tolist()
    counts = json.loads((output / "logs" / "positives.json").read_text())
    before = json.loads((output / "logs" / "preranker_positives.json").read_text())
    assert all(0.8 * before[name] < counts[name] <= before[name] for name in counts)
    rows = pl.read_parquet(output / "valid" / "train" / "part-0000.parquet")
    assert set(rows.select("session", "item").iter_rows()) <= {
        *zip(kept.session.tolist(), kept.item.tolist(), strict=True)
    }
    assert rows["pool_rank"].max() < KEEP, "a rank in the pool counts kept candidates"


def test_logs(output: Path) -> None:
    cascade = pl.read_csv(output / "logs" / "preranker" / "cascade.csv")
    assert cascade["first"].to_list() == [10, 20, CANDIDATES] * 2
    last = cascade.filter(pl.col("first") == CANDIDATES)
    assert last["delta"].to_list() == [0, 0] and last["total"].n_unique() == 1
    pre, pool = (cascade.filter(order=name)["total"] for name in ("pre-ranker", "pool"))
    assert pre[0] > pool[0] + 0.1 and pre[1] > pool[1]
    agreement = pl.read_csv(output / "logs" / "preranker" / "agreement.csv")
    hit = dict(agreement.select("order", f"hit_10_{KEEP}").group_by("order").mean().iter_rows())
    assert hit["pool"] == pytest.approx(0.45, abs=0.1), "12 of 30, more in small pools"
    assert hit["pre-ranker"] > 0.6
    assert agreement["kendall_tau"].is_between(-1, 1).all()


def test_a_second_run_builds_nothing(output: Path) -> None:
    run = run_in(output, RECIPE)
    steps(run)
    assert not any(run.log.built)


def test_without_enough_labels_the_first_of_the_pool_are_kept(
    planted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(planted, tmp_path / "output")
    for split in SPLITS[:2]:
        labels = pl.read_parquet(folder / split / "labels.parquet")
        whole(folder / split / "labels.parquet", labels.head(1))
    run = run_in(folder, RECIPE)
    cut_pools(run)
    pool = pool_of(run_in(folder, WHOLE))
    first = pool.keep_rows(first_candidates(pool, pool.rrf_score, KEEP))
    assert pool_of(run).item.tolist() == first.item.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 4}, "keep at least 5"),
        ({"ranker": replace(CHEAP.ranker, name="trees")}, "take another"),
        ({"ranker": replace(CHEAP.ranker, shared=False)}, "shared by all objectives"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, preranker=replace(CHEAP, **change))  # type: ignore[arg-type]
