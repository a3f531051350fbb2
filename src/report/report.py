"""Write report.html: a whole run on one page that opens offline (docs/report.md).

Only files of the run are read, so the page can be built again at any time.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from src.blend.both_ways import both_scores
from src.blend.comparisons import vs_baselines_path
from src.blend.cv import cv_path, probabilities_path, read_cv
from src.blend.experiments import experiments_path
from src.blend.final_blend import final_blends
from src.candidates.lists import candidate_files
from src.core.run import Run
from src.data import paths
from src.data.shards import shard_files
from src.data.splits import all_splits
from src.evaluation.tables import TABLES, table_path
from src.report import candidate_sections as candidates
from src.report import page
from src.report import probability_sections as of_probabilities
from src.report import run_sections as about_run
from src.report import score_sections as scores
from src.report import training_sections as training
from src.report.browse import browse
from src.report.contents import Contents, best_features_only, trained_models
from src.report.sample import Blends

SECTIONS = (
    scores.score, scores.baselines, of_probabilities.probabilities, candidates.browse,
    candidates.recall, candidates.retrievers, training.epochs, training.curves, training.features,
    training.effects, scores.blends, scores.breakdowns, scores.ablation, scores.experiments,
    about_run.steps, about_run.counts,
)  # fmt: skip
CANDIDATE_TABLES = ("pool/retrievers", "pool/pool")  # of logs/, without given candidates


def write_report(run: Run) -> bool:
    """Bring report.html up to date; True when it was built.

    logs/steps.json is not in the key, because seconds differ from run to run.
    """
    recipe, blends = run.recipe, final_blends(run)
    rows = {
        "types": recipe.types,
        "objectives": recipe.objectives,
        "metric": recipe.metric,
        "retrievers": [row.name for row in recipe.retrievers],
        "rankers": recipe.rankers,
        "folds": recipe.folds,
        "seed": recipe.seed,
        "slices": recipe.slices,
        "scores": both_scores(run),
        "templates": page.templates(),
        "logs": {str(f.relative_to(run.output)): _digest(f) for f in _logs(run, blends)},
    }

    def make(path: Path) -> None:
        path.write_text(html(Contents.load(run)))

    return run.build(run.output / "report.html", make, rows, _inputs(run, blends))


def html(contents: Contents) -> str:
    """Build the page."""
    run, cv = contents.run, contents.cv
    title = f"{run.recipe.name}: {cv['metric']} {page.show(cv['score'])}"
    sections = [section(contents) for section in SECTIONS]
    return page.page(title, sections, browse(run, contents.sample, contents.blends))


def _inputs(run: Run, blends: Blends) -> list[Path]:
    inputs = [file(run, "valid") for file in (paths.sessions, paths.events, paths.labels)]
    inputs += [paths.items(run), cv_path(run), vs_baselines_path(run)]
    tables = ["rankers", *(() if run.recipe.given else CANDIDATE_TABLES)]
    inputs += [run.output / "logs" / f"{name}.csv" for name in tables]
    for folder in ("pool", "train", "scores"):
        inputs += shard_files(run, "valid", folder)
    inputs += candidate_files(run, "valid", run.recipe.retrievers)
    if run.recipe.slices:
        inputs += [probabilities_path(run), *(table_path(run, name) for name in TABLES)]
    cv = read_cv(run)
    for name, final in blends.items():
        if row := best_features_only(cv, final):
            inputs.append(row.model_file(run, name, 0))
    return inputs


def _logs(run: Run, blends: Blends) -> list[Path]:
    """List the tables on the page that have no manifest; their content goes into the key."""
    logs = run.output / "logs"
    files = [experiments_path(run), logs / "ablation.csv"]
    embeddings = [row.name for row in run.recipe.embeddings]
    files += [paths.embedding_log(run, split, e) for e in embeddings for split in all_splits(run)]
    for ranker, target in trained_models(blends):
        for fold in range(run.recipe.folds):
            folder = paths.model_logs(run, ranker.name, target, fold)
            files += [folder / name for name in ("curve.csv", "importance.csv", "fold.json")]
    return [file for file in files if file.exists()]


def _digest(file: Path) -> str:
    """Hash a log without the time and memory that it took."""
    content = file.read_bytes()
    if file.name == "fold.json":
        content = json.dumps(json.loads(content) | {"seconds": None, "peak_gib": None}).encode()
    return hashlib.sha256(content).hexdigest()[:16]
