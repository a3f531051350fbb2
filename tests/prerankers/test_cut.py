"""A pre-ranker on planted splits: what it keeps, who scored it, and what its logs say.

pytest tests/prerankers/test_cut.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import run_in, whole
from pools_world import CANDIDATES, CHEAP, KEEP, QUERIES, RECIPE, SPLITS, WHOLE, steps, write_world

from src.candidates.pool import Pool, pool_file
from src.core.run import Run
from src.data.folds import all_folds
from src.data.shards import shards
from src.data.split_data import SplitData
from src.prerankers.base import stage_of
from src.prerankers.comparison import first_candidates
from src.prerankers.cut import SCORE, PoolCutter, cut_pools
from src.rankers.batches import CandidateBatch
from src.rankers.train import targets
from src.rankers.train_table import trainable_objectives


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one undisturbed run: look, don't touch."""
    folder = write_world(tmp_path_factory.mktemp("planted"))
    steps(run_in(folder, RECIPE))
    return folder


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
    for f, model in enumerate(cutter.models["cheap_all"]):
        by_model = model.scores(batch)
        assert (found[of_row == f] == by_model[of_row == f]).all()
        assert (found[of_row != f] != by_model[of_row != f]).any()
    assert stage.recipe.preranker is None


def test_queries_of_test_are_cut_by_the_mean_of_all_models(output: Path) -> None:
    cutter, pool = cutter_of(run_in(output, RECIPE), "test"), pool_of(run_in(output, WHOLE), "test")
    batch = CandidateBatch.compute(cutter.features, cutter.data, pool)
    mean = np.mean(
        [model.scores(batch).astype(np.float64) for model in cutter.models["cheap_all"]], axis=0
    )
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


def test_without_enough_labels_the_first_of_the_pool_are_kept(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
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
