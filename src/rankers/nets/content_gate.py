"""A gate between a net and a tower that reads content alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import Loss
from src.rankers.nets.base import InputSizes, Net, TaskWeights
from src.rankers.nets.mlp import Norm

if TYPE_CHECKING:
    import polars as pl

    from src.rankers.nets.inputs import FoldQueries
    from src.rankers.nets.model import NetModel
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class History:
    """What is known of a user or an item from earlier rows, and lacking of a new one."""

    count: str  # feature: number of earlier rows, 0 of a new user or item
    columns: tuple[str, ...] = ()  # prefixes of all other features of the history, ids as well
    items: bool = False  # the vector of the item is part of it


@dataclass(frozen=True)
class ContentGate(Net):
    """A content tower takes the place of a backbone where users or items have no history.

    The score is (1 - alpha) m + alpha q. m is that of the backbone, which reads all inputs. q is
    that of a perceptron over the content: vectors of texts, a flag that tells where there are none,
    categories. alpha is the sigmoid of a linear layer over the counts of the histories, the columns
    of `gate`, the content and |m - q|.

    The loss is that of the score, plus branch_weight times those of m and q. In training, each
    history of some rows is hidden: its ids become unknown, its other columns those of a row of the
    batch whose count is 0; where there is none, missing, or 0 if they are never missing. The share
    of the rows is hidden_histories, times 5 / (1 + count) above that: else the many rows of a
    popular item, its id hidden, would teach its content by heart.

    Where the backbone has scenes, tower and gate have an output for each of its heads.
    """

    backbone: Net
    content: tuple[str, ...]  # prefixes of features
    histories: tuple[History, ...]
    gate: tuple[str, ...] = ()  # prefixes of more features for the gate, such as the scene
    hidden: tuple[int, ...] = (64,)  # layers of the content tower
    dropout: float = 0.1  # share of its hidden units that are 0 in training
    norm: Norm = "batch"
    dim: int = 16  # of the vectors of categories in tower and gate
    branch_weight: float = 0.2
    hidden_histories: float = 0.4  # share of the rows with few earlier ones, of each history

    def __post_init__(self) -> None:
        if not (self.content and self.histories and self.hidden):
            raise ValueError("ContentGate: content, histories and hidden are not empty")
        if not 0 <= self.hidden_histories < 1:
            raise ValueError("ContentGate: hidden_histories is a share below 1")

    @property
    def needs_items(self) -> bool:
        return self.backbone.needs_items

    @property
    def multi_task(self) -> bool:
        return self.backbone.multi_task

    @property
    def weights(self) -> TaskWeights:
        return self.backbone.weights

    @property
    def scene(self) -> str:
        return self.backbone.scene

    @property
    def scene_rows(self) -> int:
        return self.backbone.scene_rows

    @property
    def max_len(self) -> int:
        return self.backbone.max_len

    def check(self, loss: Loss) -> None:
        """Refuse what the backbone refuses."""
        self.backbone.check(loss)

    def log_tables(self, model: NetModel, data: FoldQueries) -> dict[str, pl.DataFrame]:
        """Compute the mean alpha of the valid rows by coldness and scene."""
        from src.rankers.nets.alphas import mean_alphas

        return {"alpha.csv": mean_alphas(model, data.rows, data.valid)}

    def module(self, sizes: InputSizes) -> NetModule:
        """Make backbone, tower and gate; ValueError for a feature that is missing."""
        from src.rankers.nets.modules.content_gate import ContentGateModule

        return ContentGateModule(self, sizes)
