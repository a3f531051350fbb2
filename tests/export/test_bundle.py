"""A bundle of trees scores raw rows as the run did, in a process of its own; faults are refused.

pytest tests/export/test_bundle.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from exported import blended, of_run, planted_run, scored_elsewhere, write_raw
from planted import run_in
from pools_world import WHOLE

from src.core.run import Run
from src.datasets import DATASETS
from src.export.bundle import Bundle
from src.export.manifest import Manifest
from src.export.recipe_data import as_data, from_data, recipe_of
from src.export.write import export_folder, write_bundle
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.mlp import MLP
from src.rankers.xgb import XGBoostRanker

DEEP = (("objective", "rank:ndcg"), ("max_depth", 9), ("min_child_weight", 0))
RECIPE = replace(
    WHOLE,
    rankers=(
        *WHOLE.rankers,
        LightGBMRanker(
            "light", (("objective", "lambdarank"), ("num_leaves", 7)), 9,
            categories=("session_events",),
        ),
        XGBoostRanker("graded", DEEP, 5, shared=True, max_features=9),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return planted_run(tmp_path_factory.mktemp("planted"), RECIPE)


@pytest.fixture
def bundle(run: Run, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(export_folder(run), tmp_path / "bundle"))


@pytest.mark.parametrize("split", ["valid", "test"])
def test_scores_of_raw_rows_in_a_fresh_process_are_those_of_the_run(
    split: str, run: Run, tmp_path: Path
) -> None:
    write_raw(run, split, tmp_path / "raw")
    found, wanted = scored_elsewhere(run, tmp_path / "raw"), of_run(run, split)
    columns = [name for name in wanted.columns if name not in ("session", "item")]
    assert columns == ["trees_clicks", "light_clicks", "graded_all", "trees_carts", "light_carts"]
    for name in columns:
        assert found[name].to_list() == wanted[name].to_list() and wanted[name].n_unique() > 20
    for name, score in blended(run, split).items():
        assert found[name].to_list() == score.tolist()


def test_the_manifest_says_what_the_bundle_is(run: Run) -> None:
    folder = export_folder(run)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == 1 and manifest["dataset"] == "planted"
    assert manifest["cv"] == json.loads((run.output / "cv.json").read_text())
    assert recipe_of(manifest["recipe"]) == RECIPE
    on_disk = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert on_disk == {*manifest["files"], "manifest.json"}
    assert {entry["file"] for entry in manifest["models"]} < on_disk
    assert len(manifest["models"]) == 5 * RECIPE.folds
    (entry,) = [e for e in manifest["models"] if e["file"] == "models/graded/all/fold_2.ubj"]
    assert (entry["ranker"], entry["target"], entry["fold"]) == ("graded", "all", 2)
    assert len(entry["features"]) == 9
    again = write_bundle(run)
    assert (
        again == Manifest.read(folder) and json.loads(json.dumps(again.files)) == manifest["files"]
    )


def test_hashes_tell_other_data_and_other_code(run: Run, tmp_path: Path) -> None:
    first = Manifest.read(export_folder(run))
    copy = run_in(Path(shutil.copytree(run.output, tmp_path / "copy")), RECIPE, "7_blend.py")
    path = copy.output / "train_1" / "labels.parquet.json"
    path.write_text(path.read_text().replace('"digest": "', '"digest": "x'))
    assert write_bundle(copy).data_hash != first.data_hash
    assert write_bundle(copy).code_hash == first.code_hash
    net = replace(RECIPE, rankers=(NetRanker("net", MLP(), Softmax()),))
    assert as_data(net) != as_data(RECIPE)


def test_lists_in_other_batches_have_the_same_scores(run: Run, tmp_path: Path) -> None:
    write_raw(run, "test", tmp_path / "raw")
    rows, offsets = (
        pl.read_parquet(tmp_path / "raw/rows.parquet"),
        np.load(tmp_path / "raw/offsets.npy"),
    )
    bundle = Bundle.load(export_folder(run))
    whole = bundle.scores(rows, offsets)
    assert (np.diff(offsets) == 0).any(), "an empty list among them"
    for first, end in ((0, 7), (7, 8), (3, 4)):
        a, b = offsets[first], offsets[end]
        some = bundle.scores(rows[a:b], offsets[first : end + 1] - a)
        for name, score in some.items():
            assert score.tolist() == whole[name][a:b].tolist()
    needed = [name for name in rows.columns if name in bundle.feature_names]
    fewer = bundle.scores(rows.select(*needed, "item").cast({needed[0]: pl.Float64}), offsets)
    assert fewer["clicks"].tolist() == whole["clicks"].tolist()


def test_wrong_rows_are_refused(run: Run) -> None:
    bundle = Bundle.load(export_folder(run))
    names = bundle.feature_names
    rows = pl.DataFrame({name: [0.5, 1.0] for name in names})
    assert bundle.scores(rows, np.array([0, 2]))["clicks"].shape == (2,)
    with pytest.raises(ValueError, match=rf"the rows lack the columns \['{names[0]}'\]"):
        bundle.scores(rows.drop(names[0]), np.array([0, 2]))
    with pytest.raises(ValueError, match=r"and [0-9]+ more"):
        bundle.scores(rows.select(names[0]), np.array([0, 2]))
    for offsets in ([0, 1], [1, 2], [0, 2, 1, 2], []):
        with pytest.raises(ValueError, match="offsets are not those of 2 rows"):
            bundle.scores(rows, np.array(offsets, np.int64))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def of_file(file: Path) -> None:
        data = json.loads(file.read_text())
        change(data)
        file.write_text(json.dumps(data))

    return of_file


MODEL = "models/light/carts/fold_3.lgb"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (MODEL, Path.unlink, rf"{MODEL} is missing; copy the whole bundle, or run make export"),
        (MODEL, cut_short, rf"{MODEL} has other bytes than manifest.json says: it is cut short"),
        ("items.parquet", cut_short, "items.parquet has other bytes"),
        ("manifest.json", Path.unlink, "is no whole bundle; run make export again"),
        ("manifest.json", cut_short, "is no manifest of a bundle"),
        ("manifest.json", lambda file: file.write_text("[]"), "is no manifest of a bundle"),
        ("manifest.json", edit(lambda d: d.update(format=2)), "has format 2, this code reads 1"),
        ("manifest.json", edit(lambda d: d.pop("cv")), "is no manifest of a bundle"),
        ("manifest.json", edit(lambda d: d["models"].pop()),
         "has 3 models of light for carts, but its recipe has 4 folds"),
        ("manifest.json", edit(lambda d: d["recipe"].update(folds=5)), "its recipe has 5 folds"),
        ("manifest.json", edit(lambda d: d["models"][0]["features"].reverse()),
         "reads other features than the manifest says"),
        ("manifest.json", edit(lambda d: d["features"].remove("rrf_score")),
         "reads other features than the manifest says"),
        ("manifest.json", edit(lambda d: d["files"].pop(MODEL)), f"has no SHA-256 of {MODEL}"),
        ("manifest.json", edit(lambda d: d["recipe"].update(colour=1)), "has no field colour"),
        ("manifest.json", edit(lambda d: d["recipe"]["rankers"][0].update({"class": "os:system"})),
         "no kind of row is named os:system"),
        ("manifest.json", edit(lambda d: d["recipe"].update(metric={"class": "exported:Foreign"})),
         "no kind of row is named exported:Foreign"),
        ("manifest.json", edit(lambda d: d.update(recipe=["no"])), "recipe of the bundle is none"),
        ("manifest.json", edit(lambda d: d["recipe"]["rankers"].pop()), "cv.json blends .'graded'"),
    ],
)  # fmt: skip
def test_a_damaged_bundle_is_refused_in_one_line(
    file: str, damage: Callable[[Path], object], message: str, bundle: Path
) -> None:
    Bundle.load(bundle)
    damage(bundle / file)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        Bundle.load(bundle)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_fold_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / "models/trees/carts/fold_1.ubj", bundle / "models/trees/carts/fold_0.ubj")
    with pytest.raises(ValueError, match=r"carts/fold_0.ubj has other bytes"):
        Bundle.load(bundle)


def test_what_is_not_of_the_recipe_is_not_exported(run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.output, tmp_path / "copy"))
    before = (folder / "export" / "manifest.json").read_bytes()
    trees, light, graded = RECIPE.rankers
    other = run_in(
        folder, replace(RECIPE, rankers=(trees, light, replace(graded, num_boost_round=6)))
    )
    with pytest.raises(ValueError, match=r"fold_0.ubj was trained with another row.*run 6_xgb.py"):
        write_bundle(other)
    with pytest.raises(ValueError, match=r"cv.json blends .'light'., not in the recipe"):
        write_bundle(run_in(folder, replace(RECIPE, rankers=(trees, graded))))
    (folder / "models" / "trees" / "carts" / "fold_1.ubj").unlink()
    with pytest.raises(FileNotFoundError, match=r"fold_1.ubj is missing; run the steps before"):
        write_bundle(run_in(folder, RECIPE, "7_blend.py"))
    assert (folder / "export" / "manifest.json").read_bytes() == before
    assert not (folder / ".part-export").exists()
    (folder / "cv.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"cv.json is missing"):
        write_bundle(run_in(folder, RECIPE, "7_blend.py"))


@pytest.mark.parametrize("name", DATASETS)
def test_recipes_are_the_same_after_a_round_trip_through_json(name: str) -> None:
    for recipe in (DATASETS[name].recipe, DATASETS[name].recipe.causal()):
        text = json.dumps(as_data(recipe), allow_nan=False)
        assert recipe_of(json.loads(text)) == recipe
    assert from_data(json.loads(json.dumps(as_data(float("inf"))))) == float("inf")
    with pytest.raises(TypeError, match="cannot write a set"):
        as_data({1})
