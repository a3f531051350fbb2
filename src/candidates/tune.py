"""Tune fields of retrievers: try every alternative of the recipe, and keep what is better.

The queries are those of a training split, so that neither `valid` nor `test` has a say. Fields are
tuned in the order of the recipe; a later one builds on those before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from src.candidates.alternatives import Alternatives
from src.candidates.base import Retriever
from src.candidates.lists import claim, lists_function, to_frame
from src.core.console import show
from src.core.run import Run
from src.core.store import as_json
from src.data import paths
from src.data.labels import scan_labels
from src.data.recipe import Recipe
from src.data.shards import batches
from src.data.split_data import SplitData
from src.data.splits import tuning_split
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores, score_lists

QUERIES = 4_000
"""Queries that lists are made for, at most: blocks of BLOCK, evenly over the split."""
BLOCK = 100


class Trial(NamedTuple):
    """A value and the scores of its lists, one per objective."""

    value: Any
    scores: list[QueryScores]


def tuned_recipe(recipe: Recipe, output: Path, causal: bool) -> Recipe:
    """Return the recipe, or its causal form, with the values that step 3 has found, if any."""
    path = paths.tuned(output)
    values = json.loads(path.read_text()) if recipe.alternatives and path.exists() else {}
    return with_values(recipe, values, causal)


def with_values(recipe: Recipe, values: Mapping[str, Any], causal: bool) -> Recipe:
    """Return the recipe, or its causal form, with values of tuned fields by name."""
    recipe = recipe.tuned(values)
    return recipe.causal() if causal else recipe


def tune(run: Run) -> Run:
    """Bring the tuned values up to date; return the run with them.

    Writes tuned.json, and logs/candidates/tuning.csv with the scores of all alternatives. Without a
    training split the rows stay as they are.
    """
    recipe, causal = run.dataset.recipe, run.recipe.as_deployed
    if not recipe.alternatives:
        return run
    path, log = paths.tuned(run.output), run.output / "logs" / "candidates" / "tuning.csv"
    tuner, split = None, tuning_split(run)
    if split is not None:
        tuner = Tuner(run, SplitData(run, split))

    def make(temporary: dict[Path, Path]) -> None:
        values, table = tuner.best_values() if tuner else ({}, pl.DataFrame())
        table.write_csv(temporary[log], float_precision=6)
        temporary[path].write_text(as_json(values))

    key = (recipe.retrievers, recipe.alternatives, recipe.objectives, recipe.metric,
           recipe.exclude_seen, causal, recipe.seed)  # fmt: skip
    with run.step("tuned fields of retrievers") as summary:
        run.build_many(dict.fromkeys([path, log], key), make, tuner.inputs() if tuner else [])
        values = json.loads(path.read_text()) if path.exists() else {}  # a dry run makes none
        summary["changed"] = f"{len(values)} of {len(recipe.alternatives)}"
    if tuner is None:
        print("no training split to tune with: all rows stay as the recipe has them")
    elif values:
        show(pl.read_csv(log).filter(pl.col("best"), pl.col("gain") > 0))
    return replace(run, recipe=with_values(recipe, values, causal))


@dataclass(frozen=True)
class Tuner:
    """Tries the alternatives of the recipe on queries of a training split."""

    run: Run
    data: SplitData

    @property
    def recipe(self) -> Recipe:
        """The recipe with alternatives, as its causal form has none."""
        return self.run.dataset.recipe

    def inputs(self) -> list[Path]:
        """Return the files that the values depend on."""
        split = self.data.split
        rows = [row for field in self.recipe.alternatives for _, row in self._rows(field, {})]
        files = [file for row in rows for file in row.inputs(self.run, split)]
        return list(dict.fromkeys([paths.labels(self.run, split), *files]))

    def best_values(self) -> tuple[dict[str, Any], pl.DataFrame]:
        """Return the values that are better than those of the rows, and a table of all."""
        values, table = dict[str, Any](), list[dict[str, object]]()
        for field in self.recipe.alternatives:
            rows = list(self._rows(field, values))
            if not rows:
                continue
            claim(self.data, max((row for _, row in rows), key=self._memory), 0)
            trials = [Trial(value, self._scores(row)) for value, row in rows]
            gains = [self._gain(trial, trials[0]) for trial in trials]
            best = max(range(len(gains)), key=lambda n: gains[n]["gain"] * (gains[n]["low"] > 0))
            if best:
                values[field.name] = trials[best].value
            for number, (trial, gain) in enumerate(zip(trials, gains, strict=True)):
                table.append({
                    "field": field.name, "value": str(trial.value), **self._totals(trial), **gain,
                    "best": number == best,
                })  # fmt: skip
        return values, pl.DataFrame(table)

    def _rows(
        self, field: Alternatives, values: Mapping[str, Any]
    ) -> Iterator[tuple[Any, Retriever]]:
        """Yield the values of a field and their rows, that of the recipe first.

        values: of the fields tuned before. The causal recipe may lack the row: then there are none.
        """
        own = {row.name: row for row in self.recipe.retrievers}[field.retriever]
        causal = self.run.recipe.as_deployed
        for value in map(field.value_of, field.tried(own)):
            changed = with_values(self.recipe, {**values, field.name: value}, causal)
            yield from ((value, r) for r in changed.retrievers if r.name == field.retriever)

    def _memory(self, row: Retriever) -> float:
        return row.memory(self.run, self.data.split)

    def _ranges(self) -> list[tuple[int, int]]:
        """Return blocks of queries, evenly over the split."""
        blocks = batches(self.data.first_query, self.data.n_sessions, BLOCK)
        kept = np.linspace(0, len(blocks) - 1, min(len(blocks), QUERIES // BLOCK)).astype(int)
        return [blocks[n] for n in kept]

    def _labels(self, ranges: list[tuple[int, int]]) -> pl.DataFrame:
        def read() -> pl.DataFrame:
            asked = [pl.col("session").is_between(a, b, closed="left") for a, b in ranges]
            labels = scan_labels(paths.labels(self.run, self.data.split))
            return labels.filter(pl.any_horizontal(asked)).collect()

        return self.data.cached(("labels to tune with",), read)

    def _scores(self, row: Retriever) -> list[QueryScores]:
        """Score the lists of a row, per objective."""
        lists_of, ranges = lists_function(self.run, row), self._ranges()
        tables = [to_frame(lists_of(self.data, first, end), first) for first, end in ranges]
        lists, labels = pl.concat(tables).lazy(), self._labels(ranges).lazy()
        self.data.drop_unused()
        return [
            score_lists(lists, labels.filter(objective=o), self.recipe.metric)
            for o in range(len(self.recipe.objectives))
        ]

    def _gain(self, trial: Trial, other: Trial) -> dict[str, float]:
        """Subtract the scores of another value, with the 95 % interval over queries."""
        weights = [objective.weight for objective in self.recipe.objectives]
        gain, low, high = paired_delta(trial.scores, other.scores, weights, self.recipe.seed)
        return {"gain": gain, "low": low, "high": high}

    def _totals(self, trial: Trial) -> dict[str, float]:
        weights = [objective.weight for objective in self.recipe.objectives]
        named = zip(self.recipe.objective_names, trial.scores, strict=True)
        scores = {name: of_objective.score() for name, of_objective in named}
        return scores | {"total": total_score(trial.scores, weights)}
