"""The deep interest network as a ranker; src/rankers/nets/ trains it and scores with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.run import Run
from src.rankers.base import FitTask, Ranker

if TYPE_CHECKING:
    from src.rankers.nets.din import DIN
    from src.rankers.nets.inputs import FoldQueries
    from src.rankers.nets.model import NetModel
    from src.rankers.nets.scaling import InputSizes
    from src.rankers.train_set import TrainSet


@dataclass(frozen=True)
class DINRanker(Ranker):
    """Trains a deep interest network (Zhou et al., 2018) per objective and fold.

    A net reads the features and the last events of the session; a session without an event has an
    empty history. The loss is a softmax over the candidates of a query, which is closer to MRR and
    recall than the paper's loss per row. Each model is trained by one thread, and each batch scored
    by one, so results do not depend on the number of threads.
    """

    suffix = "pt"
    features_only = False

    categories: tuple[str, ...] = ()  # features that the net reads as ids, not as numbers
    dim: int = 16  # of the vectors of items, categories, event types and recency
    max_len: int = 10  # last events of the session that the net reads
    max_items: int = 100_000  # the most frequent items have a vector each; others share one
    min_count: int = 5  # candidates and events in the train rows that such an item needs
    hidden_units: tuple[int, ...] = (128, 64)
    batch_size: int = 256  # queries
    epochs: int = 4  # at most; the learning rate falls to 0 over them
    patience: int = 1  # epochs without a better MRR on the valid rows; the best one is kept
    learning_rate: float = 0.002  # of Adam
    max_features: int | None = None  # the best by gain (selection.py); None: all

    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Count 2 bytes per number, .25 for the rest, and what reading takes."""
        numbers = 2.25 * train_set.cells(self.max_features)
        return models_at_a_time * (numbers + train_set.reading_memory(self.max_features))

    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> FoldQueries:
        """Read the rows of whole queries, and the histories of these."""
        from src.rankers.nets.inputs import FoldQueries, train_histories

        histories = train_histories(run, train_set, self.max_len)
        return FoldQueries.read(self, task, train_set, histories, len(run.recipe.types))

    def fit(self, task: FitTask, data: FoldQueries, path: Path) -> None:
        """Train a net, and write it with the scaler of its inputs."""
        from src.rankers.nets.trainer import fit

        fit(self, task, data).save(path)

    def net(self, sizes: InputSizes) -> DIN:
        """Make a net; its parameters are drawn by torch's global generator."""
        from src.rankers.nets.din import DIN

        return DIN(self.dim, self.hidden_units, sizes)

    def load(self, path: Path, run: Run) -> NetModel:
        """Read a net and the scaler of its inputs."""
        from src.rankers.nets.model import NetModel

        return NetModel.load(self, path, len(run.recipe.types), run.engine)
