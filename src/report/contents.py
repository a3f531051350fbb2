"""Load the results of a run that the sections of the page show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from src.blend.cv import read_cv
from src.blend.final_blend import FinalBlend, final_blends
from src.core import steplog
from src.core.run import Run
from src.rankers.base import Ranker
from src.report.sample import Blends, Sample


@dataclass(frozen=True)
class Contents:
    """Results, logs and sampled queries of a run."""

    run: Run
    cv: dict[str, Any]
    blends: Blends
    sample: Sample
    steps: steplog.Steps

    @classmethod
    def load(cls, run: Run) -> Contents:
        """Read the files of a run, and draw the sample."""
        blends = final_blends(run)
        sample = Sample.load(run, blends)
        return cls(run, read_cv(run), blends, sample, steplog.read(run.output))

    @property
    def counted_on(self) -> str:
        """Name the queries of the sample, for the text of a section."""
        n, total = self.sample.queries.height, self.sample.n_queries
        sampled = f"{n:,} of the {total:,} queries of valid, drawn by hash"
        return sampled if n < total else f"all {total:,} queries of valid"

    def csv(self, name: str) -> pl.DataFrame:
        """Read a table of the run; empty where it is not there."""
        path = self.run.output / name
        return pl.read_csv(path) if path.exists() else pl.DataFrame()


class TrainedModel(NamedTuple):
    """A ranker and the target that its models are trained for: one objective, or all."""

    ranker: Ranker
    target: str


def trained_models(blends: Blends) -> list[TrainedModel]:
    """List the rankers of all blends with their targets, each pair once."""
    models = [
        TrainedModel(row, row.target(name))
        for name, final in blends.items()
        for row in final.rankers
    ]
    return list(dict.fromkeys(models))


def best_features_only(cv: dict[str, Any], final: FinalBlend) -> Ranker | None:
    """Find the ranker with the best score alone among those that score by features only."""
    scores = cv["objectives"][final.objective]["alternatives"]
    rows = [row for row in final.rankers if row.features_only]
    return max(rows, key=lambda row: float(scores[row.score_column(final.objective)]), default=None)
