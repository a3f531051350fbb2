"""Read the chosen blend of each objective, and write the submission with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.blend.blend import STACK, TENTHS, Blend
from src.blend.calibration import scene_inputs, scenes
from src.blend.cv import cv_path, read_cv, scene_column
from src.blend.scored_candidates import ScoredCandidates, final_list
from src.calibrators.base import Calibration
from src.core.arrays import F64, I64
from src.core.run import Run
from src.data import paths
from src.data.schemas import FinalList, FinalLists
from src.data.shards import shard_files
from src.rankers.base import Ranker

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class FinalBlend:
    """The chosen blend of one objective, with its rankers."""

    objective: str
    rankers: tuple[Ranker, ...]  # trained for the objective; none: the order of the pool stays
    blend: Blend
    stack: F64 | None  # weights of the meta-features for STACK
    pooled: bool = False  # whether scores of different queries are compared
    calibration: Calibration | None = None

    @property
    def columns(self) -> list[str]:
        """Score columns of the rankers."""
        return [row.score_column(self.objective) for row in self.rankers]

    def probabilities(self, candidates: ScoredCandidates, scene: I64) -> F64:
        """Return the calibrated probability of each candidate; scene: of each candidate."""
        assert self.calibration is not None
        log_odds = candidates.log_odds(self.blend, self.stack, self.pooled)
        return self.calibration.probabilities(log_odds, scene)


def final_blends(run: Run) -> dict[str, FinalBlend]:
    """Read the chosen blends from cv.json."""
    return blends_of(read_cv(run), run.recipe)


def blends_of(cv: dict[str, Any], recipe: Recipe) -> dict[str, FinalBlend]:
    """Return the chosen blend of each objective; cv: content of cv.json.

    Raises ValueError where a blend has a ranker that the recipe lacks, or lacks its calibration.
    """
    blends, names = {}, {row.name for row in recipe.rankers}
    for name, entry in cv["objectives"].items():
        if unknown := sorted(entry["weights"].keys() - names):
            raise ValueError(f"cv.json blends {unknown}, not in the recipe; run 7_blend.py again")
        scored = entry["alternatives"]  # has the column of every ranker that was trained
        rankers = tuple(row for row in recipe.rankers_of(name) if row.score_column(name) in scored)
        tenths = tuple(round(TENTHS * weight) for weight in entry["weights"].values())
        blend = Blend(entry["transform"], tenths if rankers else (TENTHS,))
        stack = None if entry["stack"] is None else np.array(entry["stack"])
        calibration = None
        if recipe.calibrator:
            if "calibration" not in entry:
                raise ValueError(f"cv.json has no calibration of {name}; run 7_blend.py again")
            calibration = Calibration.from_data(recipe.calibrator, entry["calibration"])
        pooled = recipe.metric_of(name).pooled
        blends[name] = FinalBlend(name, rankers, blend, stack, pooled, calibration)
    return blends


def describe_blends(run: Run) -> dict[str, object]:
    """Describe the blend of each objective for the progress line."""
    blends: dict[str, object] = {}
    for name, entry in read_cv(run)["objectives"].items():
        weights = [f"{ranker} {weight}" for ranker, weight in entry["weights"].items()]
        ranked = weights or entry["transform"] == STACK
        blends[name] = " ".join([entry["transform"], *weights]) if ranked else "pool order"
    return blends


def submission_path(run: Run) -> Path:
    return run.output / run.dataset.submission


def list_of(run: Run, split: str, final: FinalBlend, k: int | None) -> FinalList:
    """List the k best candidates of each query of a split, or all, with their probabilities."""
    scene = scenes(run, split, scene_column(run.recipe))

    def probabilities(candidates: ScoredCandidates) -> F64:
        return final.probabilities(candidates, candidates.per_row(scene[candidates.session]))

    files, calibrated = shard_files(run, split, "scores"), final.calibration is not None
    blend = final.columns, final.blend, final.stack, k
    return final_list(files, *blend, probabilities if calibrated else None)


def write_submission(run: Run, split: str) -> bool:
    """Bring the submission up to date for the queries of a split; True when it was built."""
    k = None if run.dataset.ranks_all else run.recipe.k

    def make(path: Path) -> None:
        lists = FinalLists()
        for name, final in final_blends(run).items():
            lists[name] = list_of(run, split, final, k)
        run.dataset.write_submission(run, split, lists, path)

    inputs = [cv_path(run), paths.items(run), paths.sessions(run, split), paths.events(run, split)]
    inputs += shard_files(run, split, "scores")
    inputs += scene_inputs(run, split, scene_column(run.recipe))
    rows = (split, run.recipe.objective_names, k, run.recipe.calibrator)
    return run.build(submission_path(run), make, rows, inputs, code=run.dataset.write_submission)
