"""Nets as rankers; src/rankers/nets/ has the architectures, trains them and scores with them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.engines import CpuEngine
from src.core.run import Run
from src.data import paths
from src.data.vectors import load
from src.metrics.base import Metric
from src.metrics.ndcg import NDCG
from src.rankers.base import ALL, FitTask, Host, Ranker, RankerModel
from src.rankers.losses.base import Loss
from src.rankers.nets.base import Net

if TYPE_CHECKING:
    from src.data.recipe import Recipe
    from src.rankers.nets.inputs import FoldQueries
    from src.rankers.train_set import TrainSet


STOP = NDCG(10)


@dataclass(frozen=True)
class NetRanker(Ranker):
    """Trains a net per objective and fold: any architecture with any loss.

    A shared net learns grades of all objectives, as shared trees do (trees.py). A multi-task net
    learns all objectives at once too, and gives each of them a score.

    A batch holds whole queries with all their rows of the training table. Each model is trained by
    one thread, and each batch scored by one, so results do not depend on the number of threads.
    """

    suffix = "pt"
    features_only = False

    net: Net
    loss: Loss
    stop: Metric = STOP  # of the valid rows: the epoch where it is best is kept
    categories: tuple[str, ...] = ()  # features that the net reads as ids, not as numbers
    max_items: int = 0  # the most frequent items have a vector each; others share one. 0: no vector
    min_count: int = 5  # candidates and events in the train rows that such an item needs
    batch_size: int = 64  # queries
    epochs: int = 30  # at most; the learning rate falls to 0 over them
    patience: int = 5  # epochs without a better `stop`
    learning_rate: float = 0.002  # of Adam
    weight_decay: float = 0.0  # per step, times the learning rate; not of item vectors
    max_features: int | None = None  # the best by gain (selection.py); None: all
    nets: int = 1  # with seeds of their own; their mean score counts
    shared: bool = False  # one model per fold for all objectives

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the net needs what the row or the recipe does not give."""
        if self.nets < 1 or self.batch_size < 1 or self.epochs < 1:
            raise ValueError(f"ranker {self.name}: nets, batch_size and epochs are at least 1")
        if self.net.needs_items and not self.max_items:
            kind = type(self.net).__name__
            raise ValueError(f"ranker {self.name}: {kind} reads item vectors, set max_items")
        try:
            self.net.check(self.loss)
        except ValueError as error:
            raise ValueError(f"ranker {self.name}: {error}") from error
        if self.net.scene and self.net.scene not in self.categories:
            raise ValueError(f"ranker {self.name}: add its scene {self.net.scene} to categories")
        if self.net.multi_task and self.shared:
            raise ValueError(f"ranker {self.name}: a multi-task net tells objectives; not shared")
        fixed = {row.name for row in recipe.embeddings if row.same_in_splits}
        if other := sorted(set(self.vectors) - fixed):
            raise ValueError(
                f"ranker {self.name}: no embedding {other[0]} whose vectors are the same in all "
                f"splits; it may read {', '.join(sorted(fixed)) or 'none of this recipe'}"
            )
        if unknown := dict(self.net.weights).keys() - set(recipe.objective_names):
            raise ValueError(f"ranker {self.name}: weights of no objective: {sorted(unknown)}")

    def target(self, objective: str) -> str:
        """Return the objective, or ALL if one model learns all."""
        return ALL if self.shared or self.net.multi_task else objective

    def score_column(self, objective: str) -> str:
        """Return the column of the score files; one per objective of a multi-task net."""
        column = objective if self.net.multi_task else self.target(objective)
        return f"{self.name}_{column}"

    def group_key(self) -> Hashable:
        """Return what the rows and histories that a net reads depend on."""
        return (
            type(self).__name__, self.net.max_len, self.categories, self.max_items, self.min_count,
            self.max_features, self.unread, self.net.multi_task, self.net.scene,
            self.net.scene_rows, self.net.vectors,
        )  # fmt: skip

    @property
    def vectors(self) -> tuple[str, ...]:
        return self.net.vectors

    def inputs(self, run: Run) -> list[Path]:
        """List the vectors of items that the net reads."""
        return [paths.item_vectors(run, "valid", name) for name in self.vectors]

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Count 2 bytes per number, .25 for the rest, the rows of the scaler, and reading."""
        from src.rankers.nets.inputs import FIT_ROWS

        cells = train_set.cells(self.max_features)
        fitted = 4.0 * cells * min(1.0, FIT_ROWS / max(1, train_set.label.size))
        reading = train_set.reading_memory(self.max_features)
        return models_at_a_time * (2.25 * cells + fitted + reading)

    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> FoldQueries:
        """Read the rows of whole queries, and the histories of these."""
        from src.rankers.nets.inputs import FoldQueries, train_histories

        histories = train_histories(run, train_set, self.net.max_len)
        files = [load(path) for path in self.inputs(run)]
        vectors = np.column_stack(files) if files else None
        types = len(run.recipe.types)
        return FoldQueries.read(self, task, train_set, histories, types, vectors)

    def fit(self, task: FitTask, data: FoldQueries, path: Path) -> None:
        """Train the nets, and write them with the scaler of their inputs."""
        from src.rankers.nets.trainer import fit

        fit(self, task, data).save(path)

    def load(self, path: Path, run: Host) -> RankerModel:
        """Read the nets and the scaler of their inputs."""
        from src.rankers.nets.model import NetModel

        return NetModel.load(self, path, len(run.recipe.types), run.engine)

    def export(self, path: Path, to: Path, run: Host) -> list[str]:
        """Copy a model, and write graphs of its nets and the scaler of their inputs beside it."""
        from src.rankers.nets import portable
        from src.rankers.nets.model import NetModel

        model = NetModel.load(self, path, len(run.recipe.types), CpuEngine())
        portable.write(model, to)
        return super().export(path, to, run)

    def load_portable(self, path: Path, run: Host) -> RankerModel:
        """Read the ONNX graph of an exported model; ONNX Runtime scores."""
        from src.rankers.nets.portable import OnnxModel

        return OnnxModel.load(self, path, run.engine)
