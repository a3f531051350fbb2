"""Load a bundle, and score raw feature rows with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from src.blend.calibration import scene_numbers
from src.blend.final_blend import FinalBlend, blends_of
from src.blend.scored_candidates import ScoredCandidates
from src.candidates.pool import Pool
from src.core.arrays import F32, F64, I32, I64
from src.core.engines import CpuEngine
from src.core.engines.base import Engine
from src.data.recipe import Recipe
from src.data.shards import batches
from src.export.lists import ITEM, ImpressionData, ItemIds, ListData, RawLists, sessions_of
from src.export.manifest import AGAIN, Manifest, ModelFile
from src.export.recipe_data import recipe_of
from src.features.table import FeatureTable
from src.rankers.base import Ranker, RankerModel, mean_scores, out_of_fold_scores
from src.rankers.batches import QUERIES_PER_BATCH, CandidateBatch

ITEMS, LOGS = "items.parquet", "logs"
SHOWN = 5  # missing columns that a message names


@dataclass(frozen=True)
class Bundle:
    """All models of a run with its blends, as `make export` wrote them.

    models: score column -> models, one per fold.
    """

    folder: Path
    manifest: Manifest
    recipe: Recipe
    engine: Engine
    blends: dict[str, FinalBlend]
    ids: ItemIds
    models: dict[str, list[RankerModel]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, portable: bool = False) -> Self:
        """Read a bundle.

        portable: whether the .onnx files of nets are run, by ONNX Runtime, instead of their .pt
        files. Raises ValueError or FileNotFoundError where a file is missing, cut short or of
        another run.
        """
        manifest = Manifest.read(folder)
        manifest.check_files(folder)
        recipe = recipe_of(manifest.recipe)
        blends = blends_of(manifest.cv, recipe)
        ids = ItemIds(pl.read_parquet(folder / ITEMS)["item_id"])
        bundle = cls(folder, manifest, recipe, CpuEngine(), blends, ids)
        for name, blend in blends.items():
            for ranker in blend.rankers:
                column = ranker.score_column(name)
                if column not in bundle.models:
                    bundle.models[column] = bundle.load_models(ranker, name, portable)
        return bundle

    def load_models(self, ranker: Ranker, objective: str, portable: bool) -> list[RankerModel]:
        """Read the models of all folds; ValueError where some are missing or of other features."""
        target = ranker.target(objective)
        entries = [e for e in self.manifest.models if (e.ranker, e.target) == (ranker.name, target)]
        if [entry.fold for entry in entries] != list(range(self.recipe.folds)):
            raise ValueError(
                f"{self.folder} has {len(entries)} models of {ranker.name} for {target}, but its "
                f"recipe has {self.recipe.folds} folds; {AGAIN}"
            )
        return [self.load_model(ranker, e, portable).of(objective) for e in entries]

    def load_model(self, ranker: Ranker, entry: ModelFile, portable: bool) -> RankerModel:
        """Read a model; ValueError where it is not the one of the manifest."""
        path = self.folder / entry.file
        if entry.file not in self.manifest.files:
            raise ValueError(
                f"the manifest of {self.folder} has no SHA-256 of {entry.file}; {AGAIN}"
            )
        model = ranker.load_portable(path, self) if portable else ranker.load(path, self)
        if model.names != entry.features or set(model.names) - set(self.manifest.features):
            raise ValueError(f"{path} reads other features than the manifest says; {AGAIN}")
        return model

    @property
    def feature_names(self) -> list[str]:
        """Names of the features that some model reads, in the order of the recipe."""
        read = {name for models in self.models.values() for m in models for name in m.names}
        return [name for name in self.manifest.features if name in read]

    def batch(
        self, rows: pl.DataFrame, offsets: I64, events: pl.DataFrame | None = None
    ) -> CandidateBatch:
        """Convert raw lists to a batch; the arguments are those of `scores`."""
        sizes = np.diff(offsets)
        if offsets.size == 0 or offsets[0] != 0 or offsets[-1] != rows.height or (sizes < 0).any():
            raise ValueError(f"offsets are not those of {rows.height} rows: 0, ..., {rows.height}")
        raw = rows[ITEM] if ITEM in rows.columns else pl.Series(ITEM, [None] * rows.height)
        item, names = self.ids.dense(raw), self.feature_names
        if self.recipe.given and not set(names) <= set(rows.columns):
            X, names = self.given_features(rows, offsets, item), self.manifest.features
        else:
            X = values_of(rows, names)
        sessions = sessions_of(events, sizes.size, self.ids, self.recipe.types)
        pool = Pool.without_lists(0, offsets, item)
        return CandidateBatch(ListData(sessions), pool, names, X, np.arange(len(X)))

    def given_features(self, rows: pl.DataFrame, offsets: I64, item: I32) -> F32:
        """Compute all features from the given columns: float32 (rows, manifest.features).

        Rows of a list are put into the order of their items, as in the run: sums are in that order.
        """
        values = values_of(rows, self.recipe.given_columns)
        order = np.lexsort((item, np.repeat(np.arange(offsets.size - 1), np.diff(offsets))))
        X = np.empty((rows.height, len(self.manifest.features)), np.float32)
        X[order] = FeatureTable(self.recipe).compute_given(offsets, values[order])
        return X

    def ranker_scores(self, batch: CandidateBatch, fold: I64 | None = None) -> dict[str, F32]:
        """Score a batch with each ranker: score column -> float32 (rows), as in score files.

        fold: of each list, see `scores`.
        """
        if fold is None:
            return {column: mean_scores(models, batch) for column, models in self.models.items()}
        return {c: out_of_fold_scores(models, batch, fold) for c, models in self.models.items()}

    def scores(
        self, rows: pl.DataFrame, offsets: I64, events: pl.DataFrame | None = None,
        fold: I64 | None = None,
    ) -> dict[str, F32]:  # fmt: skip
        """Score raw lists with the blend of each objective: objective -> float32 (rows).

        rows: a row per candidate, lists in turn. Its columns are the features by name, or the given
        columns of a recipe with given candidates; and `item`, the raw id, which nets with item
        vectors need, and which orders ties as the run does. offsets: CSR of the lists. events: of
        the sessions of the lists, see `sessions_of`; nets that read events take a list without one
        as an empty session. fold: of each list: only the models of its fold score it, as in
        `valid`; None: the mean over the models of all folds, as in `test`.

        Scores of different lists are not comparable. An objective without a ranker keeps the order
        of the rows. Raises ValueError where a column is missing or offsets do not fit the rows.
        """
        return {
            final.objective: candidates.blended(final.blend, final.stack)
            for final, candidates in self.candidates(self.batch(rows, offsets, events), fold)
        }

    def probabilities(
        self, rows: pl.DataFrame, offsets: I64, events: pl.DataFrame | None = None
    ) -> dict[str, F64]:
        """Return the calibrated probability of each row: objective -> float64 (rows).

        The arguments are those of `scores`; rows have the scene column too, if the calibrator names
        one, with null where it is unknown. Raises ValueError for a run without a calibrator.
        """
        if self.recipe.calibrator is None:
            raise ValueError(f"{self.folder}: the recipe has no calibrator; take the scores")
        scene = scenes_of(rows, self.recipe.calibrator.scene)
        return self.calibrated(self.batch(rows, offsets, events), scene)

    def raw_probabilities(self, lists: RawLists) -> dict[str, F64]:
        """Return the calibrated probability of each candidate of raw impressions, as in `test`.

        Features are computed from the logs of the bundle. Raises ValueError for a run without a
        calibrator, or without logs.
        """
        if self.recipe.calibrator is None or not (self.folder / LOGS).is_dir():
            raise ValueError(f"{self.folder}: no calibrator or no logs; give feature rows")
        data, column = ImpressionData(self.folder / LOGS, {}), self.recipe.calibrator.scene
        table, parts = FeatureTable(self.recipe), []
        for first, end in batches(0, lists.offsets.size - 1, QUERIES_PER_BATCH):
            a, b = lists.offsets[first], lists.offsets[end]
            impressions = lists.impressions[first:end]
            pool = Pool.without_lists(0, lists.offsets[first : end + 1] - a, lists.item[a:b])
            sessions = sessions_of(None, end - first, self.ids, self.recipe.types)
            given = None if lists.given is None else lists.given[a:b]
            data.take(impressions, sessions, pool, given)
            batch = CandidateBatch.compute(table, data, pool)
            scene = np.repeat(scenes_of(impressions, column), np.diff(pool.offsets))
            parts.append(self.calibrated(batch, scene))
        return {name: np.concatenate([part[name] for part in parts]) for name in self.blends}

    def calibrated(self, batch: CandidateBatch, scene: I64) -> dict[str, F64]:
        """Return the probability of each candidate of a batch; scene: of each candidate."""
        return {
            final.objective: final.probabilities(candidates, scene)
            for final, candidates in self.candidates(batch, None)
        }

    def candidates(
        self, batch: CandidateBatch, fold: I64 | None
    ) -> Iterator[tuple[FinalBlend, ScoredCandidates]]:
        """Yield the blend of each objective, with the scores of its rankers."""
        columns = {"session": batch.pool.session, "item": batch.pool.item}
        table = pl.DataFrame(columns | self.ranker_scores(batch, fold))
        for final in self.blends.values():
            yield final, ScoredCandidates.from_table(table, final.columns)


def scenes_of(rows: pl.DataFrame, column: str) -> I64:
    """Return the scene of each row: int64 (rows), zeros without a column; ValueError without it."""
    if not column:
        return np.zeros(rows.height, np.int64)
    if column not in rows.columns:
        raise ValueError(f"the rows lack the scene column {column}")
    return scene_numbers(rows[column])


def values_of(rows: pl.DataFrame, names: Sequence[str]) -> F32:
    """Return columns as numbers: float32 (rows, names), NaN where missing; ValueError without one.

    A column of whole numbers is exact up to 2**24, as in step 5.
    """
    if missing := [name for name in names if name not in rows.columns]:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise ValueError(f"the rows lack the columns {missing[:SHOWN]}{more}")
    return rows.select(pl.col(names).cast(pl.Float32)).to_numpy(order="c")
