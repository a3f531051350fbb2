"""A bundle of given candidates scores the raw columns of the file.

pytest tests/export/test_bundle_given.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from exported import of_run, scored_elsewhere
from given import COLUMNS, GIVEN_RECIPE, Row, given_split
from planted import whole

from src.blend.calibration import scenes
from src.blend.cv import write_cv
from src.blend.final_blend import final_blends, list_of
from src.calibrators.platt import PlattCalibrator
from src.candidates.pool import write_pool
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.data.split_data import SplitData
from src.export.bundle import Bundle
from src.export.write import export_folder, write_bundle
from src.features.given import FORMS, GivenFeature, GivenFusionFeature
from src.features.item_age import ItemAgeFeature
from src.metrics.ndcg import NDCG
from src.rankers.lgbm import LightGBMRanker
from src.rankers.score import score_split
from src.rankers.train import training_groups
from src.rankers.train_table import build_train_table, count_positives, trainable_objectives
from src.rankers.xgb import XGBoostRanker

ITEMS = 30
EVENTS = {"list": pl.Int64, "item": pl.String, "ts": pl.Int64, "type": pl.String}
RECIPE = replace(
    GIVEN_RECIPE, features=(GivenFeature(FORMS), GivenFusionFeature()), metric=NDCG(5),
    negatives_per_positive=inf, calibrator=PlattCalibrator("scene"),
    rankers=(
        XGBoostRanker("pairs", (("objective", "rank:pairwise"), ("max_depth", 3)), 9),
        LightGBMRanker("light", (("objective", "lambdarank"), ("min_data_in_leaf", 3)), 9),
    ),
)  # fmt: skip


def graded_lists(queries: int = 60) -> list[list[Row]]:
    """Lists of 1 to 20 documents; ranks in two lists, some missing, tell the grade."""
    rng, lists = np.random.default_rng(4), []
    for _ in range(queries):
        size = rng.integers(1, 21)
        worth = rng.normal(size=size)
        ranks = [1 + np.argsort(np.argsort(-worth + rng.normal(size=size))) for _ in COLUMNS]
        known = rng.random((2, size)) < 0.8
        items, grades = rng.permutation(ITEMS)[:size], np.digitize(worth, [0.3, 1.0])
        lists.append([
            (int(items[n]), float(grades[n]),
             *(float(ranks[c][n]) if known[c, n] else None for c in range(2)))
            for n in range(size)
        ])  # fmt: skip
    return lists


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.calibrators.base.SCENE_ROWS", 20)
        yield exported_run(tmp_path_factory)


def exported_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("given")
    run = given_split(folder, graded_lists(), "later", recipe=RECIPE, n_items=ITEMS).run
    for split in ("valid", "later"):
        scene = pl.DataFrame({"scene": [None, *(n % 2 for n in range(59))]})
        whole(paths.impressions(run, split), scene.with_columns(number=pl.int_range(60)))
        write_pool(SplitData(run, split))
    count_positives(run)
    for split in ("valid", "later"):
        build_train_table(run, split)
    objectives = trainable_objectives(run)
    for group in training_groups(run, objectives):
        group.train()
    for split in ("valid", "later"):
        score_split(run, split, objectives)
    write_cv(run)
    write_bundle(run)
    return run


def raw_lists(run: Run) -> tuple[pl.DataFrame, np.ndarray]:
    """The given columns with raw ids, rows of each list in a random order; and the offsets."""
    given = pl.read_parquet(paths.given(run, "valid"))
    raw = pl.read_parquet(paths.items(run))["item_id"]
    rows = given.with_columns(dense="item", item=raw[given["item"]]).sample(
        fraction=1, shuffle=True, seed=3
    )
    rows = rows.sort("session", maintain_order=True)
    sizes = rows.group_by("session", maintain_order=True).len()["len"].to_numpy()
    return rows, np.append(0, np.cumsum(sizes)).astype(np.int64)


def test_raw_columns_in_any_order_have_the_scores_of_the_run(run: Run, tmp_path: Path) -> None:
    rows, offsets = raw_lists(run)
    rows.select("item", *COLUMNS[::-1], scene=pl.lit(0)).write_parquet(tmp_path / "rows.parquet")
    pl.DataFrame(schema=EVENTS).write_parquet(tmp_path / "events.parquet")
    np.save(tmp_path / "offsets.npy", offsets)
    np.save(tmp_path / "fold.npy", folds(run, "valid"))
    found = scored_elsewhere(run, tmp_path).with_columns(
        session=rows["session"], item=rows["dense"]
    )
    found, wanted = found.sort("session", "item"), of_run(run, "valid").sort("session", "item")
    for name in ("pairs_relevance", "light_relevance"):
        assert found[name].to_list() == wanted[name].to_list() and wanted[name].n_unique() > 20


def test_probabilities_in_a_fresh_process_are_those_of_the_run(run: Run, tmp_path: Path) -> None:
    """Scores of a split that is not `valid` are means over the models of all folds."""
    rows, offsets = raw_lists(run)
    scene = scenes(run, "later", "scene")[rows["session"].to_numpy()]
    raw = rows.select("item", *COLUMNS, scene=pl.Series(scene).replace(-1, None))
    raw.write_parquet(tmp_path / "rows.parquet")
    pl.DataFrame(schema=EVENTS).write_parquet(tmp_path / "events.parquet")
    np.save(tmp_path / "offsets.npy", offsets)
    np.save(tmp_path / "fold.npy", np.full(offsets.size - 1, -1))
    found = scored_elsewhere(run, tmp_path)
    found = found.with_columns(session=rows["session"], item=rows["dense"])
    final = final_blends(run)["relevance"]
    listed = list_of(run, "later", final, None)
    assert final.calibration and sorted(final.calibration.scenes) == [0, 1]
    columns = {"session": np.repeat(listed.session, np.diff(listed.offsets)), "item": listed.item}
    wanted = pl.DataFrame(columns | {"p": listed.probability}).sort("session", "item")
    found = found.sort("session", "item")
    assert found["p_relevance"].to_list() == wanted["p"].to_list() and wanted["p"].n_unique() > 20
    bundle = Bundle.load(export_folder(run))
    with pytest.raises(ValueError, match="the rows lack the scene column scene"):
        bundle.probabilities(raw.drop("scene"), offsets)
    with pytest.raises(ValueError, match="the recipe has no calibrator"):
        replace(bundle, recipe=replace(RECIPE, calibrator=None)).probabilities(raw, offsets)


def test_a_bundle_without_its_calibration_is_refused(run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(export_folder(run), tmp_path / "bundle"))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["cv"]["objectives"]["relevance"]["calibration"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"no calibration of relevance; run 7_blend.py again"):
        Bundle.load(folder)


def test_features_by_name_are_taken_as_they_are(run: Run) -> None:
    bundle, (rows, offsets) = Bundle.load(export_folder(run)), raw_lists(run)
    batch = bundle.batch(rows, offsets)
    assert batch.names == bundle.manifest.features and len(batch.names) == 2 * len(FORMS) + 3
    features = pl.from_numpy(batch.X, schema=batch.names).with_columns(rows["item"])
    by_name, by_column = bundle.scores(features, offsets), bundle.scores(rows, offsets)
    assert by_name["relevance"].tolist() == by_column["relevance"].tolist()
    missing = rows["b"].is_null().to_numpy()
    assert missing.any() and (np.isnan(features["b"].to_numpy()) == missing).all()
    with pytest.raises(ValueError, match=r"the rows lack the columns \['b'\]"):
        bundle.scores(rows.drop("b"), offsets)


def test_features_that_need_more_than_given_columns_are_asked_for(run: Run) -> None:
    bundle, (rows, offsets) = Bundle.load(export_folder(run)), raw_lists(run)
    other = replace(bundle, recipe=replace(RECIPE, features=(ItemAgeFeature(), *RECIPE.features)))
    with pytest.raises(ValueError, match="ItemAgeFeature reads more than given columns; give its"):
        other.batch(rows, offsets)
