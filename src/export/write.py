"""Write the bundle of a run: output/<dataset>/export/."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from src.blend.cv import cv_path, read_cv
from src.blend.final_blend import final_blends
from src.core import store
from src.core.code import version
from src.core.run import Run
from src.data import paths
from src.data.splits import all_splits
from src.export.bundle import ITEMS, LOGS
from src.export.manifest import Manifest, ModelFile, sha256
from src.export.recipe_data import as_data
from src.features.table import FeatureTable
from src.rankers.train import Target


def export_folder(run: Run) -> Path:
    return run.output / "export"


def exported_targets(run: Run) -> list[Target]:
    """List the targets whose models some objective's blend may use."""
    found: dict[tuple[str, str], Target] = {}
    for name, final in final_blends(run).items():
        for ranker in final.rankers:
            target = Target(ranker, ranker.target(name), (name,))
            found.setdefault((ranker.name, target.name), target)
    return list(found.values())


def write_bundle(run: Run) -> Manifest:
    """Write the bundle anew; return its manifest.

    It is written beside and renamed when it is whole. Raises FileNotFoundError where steps 1 to 7
    have not ended, and ValueError where a model was made from another row than the recipe has.
    """
    run.require([cv_path(run), paths.items(run)])
    targets = exported_targets(run)
    run.require([path for target in targets for path in target.models(run)])
    folder, part = export_folder(run), run.output / ".part-export"
    shutil.rmtree(part, ignore_errors=True)
    try:
        manifest = write_files(run, targets, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return manifest


def write_files(run: Run, targets: list[Target], folder: Path) -> Manifest:
    """Write all files of the bundle to a folder, the manifest last."""
    folder.mkdir()
    shutil.copyfile(paths.items(run), folder / ITEMS)
    if logs := log_files(run):
        (folder / LOGS).mkdir()
        for path in (paths.items(run), *logs):
            shutil.copyfile(path, folder / LOGS / path.name)
    progress = run.progress(targets, "export")
    models = [model for target in progress for model in write_models(run, target, folder)]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        run.recipe.name, as_data(run.recipe), FeatureTable(run.recipe).names, data_hash(run),
        version(run.recipe), read_cv(run), models,
        {path.relative_to(folder).as_posix(): sha256(path) for path in files},
    )  # fmt: skip
    manifest.write(folder)
    return manifest


def log_files(run: Run) -> list[Path]:
    """List the files by which a dataset reads raw impressions, and the logs that features read.

    None where the dataset reads no raw impressions for a bundle.
    """
    names = dict.fromkeys(f for row in run.recipe.features for f in row.inputs(run, "valid"))
    logs = [file for file in names if file.parent == run.output and file != paths.items(run)]
    of_dataset = run.dataset.raw_files(run)
    return [*logs, *of_dataset] if of_dataset else []


def write_models(run: Run, target: Target, folder: Path) -> list[ModelFile]:
    """Write the models of all folds of a target to models/ in a folder."""
    entries = []
    for fold, path in enumerate(target.models(run)):
        check_row(target, path)
        to = folder / path.relative_to(run.output)
        to.parent.mkdir(parents=True, exist_ok=True)
        names = target.ranker.export(path, to, run)
        file = to.relative_to(folder).as_posix()
        entries.append(ModelFile(target.ranker.name, target.name, fold, file, names))
    return entries


def check_row(target: Target, path: Path) -> None:
    """Raise ValueError where a model was made from another row than that of the recipe."""
    made_from = json.loads(store.manifest_path(path).read_text())["key"]["rows"][0]
    if made_from != json.loads(store.as_json(target.ranker)):
        raise ValueError(
            f"{path} was trained with another row than the recipe's {target.ranker.name}; run "
            "6_xgb.py and 7_blend.py again"
        )


def data_hash(run: Run) -> str:
    """Hash the keys that the files of step 1 were made from."""
    files = [paths.items(run)]
    for split in all_splits(run):
        files += sorted((run.output / split).glob("*.parquet"))
    return store.digest({str(f.relative_to(run.output)): store.fingerprint(f) for f in files})
