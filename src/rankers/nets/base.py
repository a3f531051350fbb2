"""Base class of the architectures of nets, and the sizes of their inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

    from src.rankers.losses.base import Loss
    from src.rankers.nets.inputs import FoldQueries
    from src.rankers.nets.model import NetModel
    from src.rankers.nets.modules.layers import NetModule


TaskWeights = tuple[tuple[str, float], ...]
"""Names of objectives with their weights."""


class InputSizes(NamedTuple):
    """Sizes of the inputs of a net.

    A column that tells where values of another are missing has the name of the other.
    """

    numbers: int  # columns
    items: int  # codes; 1: items are not told apart
    categories: tuple[int, ...]  # codes of each category
    event_types: int
    query_numbers: tuple[int, ...] = ()  # columns that are constant within each query
    query_categories: tuple[int, ...] = ()  # categories that are
    objectives: int = 1  # scores of a row
    scene: int | None = None  # the category that picks gate and tower
    names: tuple[str, ...] = ()  # of the number columns, some of them twice
    category_names: tuple[str, ...] = ()
    absent: tuple[float, ...] = ()  # number columns of a row in which all numbers are missing
    means: tuple[float, ...] = ()  # of the logarithms of numbers, before they are standardised
    deviations: tuple[float, ...] = ()
    vector: int = 0  # numbers of an item's vector that is read from embeddings

    @property
    def item_numbers(self) -> tuple[int, ...]:
        """Columns that differ between the candidates of a query."""
        return tuple(sorted(set(range(self.numbers)).difference(self.query_numbers)))

    @property
    def item_categories(self) -> tuple[int, ...]:
        """Categories that differ between the candidates of a query."""
        every = range(len(self.categories))
        return tuple(sorted(set(every).difference(self.query_categories)))

    def named(self, prefixes: tuple[str, ...]) -> tuple[list[int], list[int]]:
        """List the number columns and the categories whose names begin with one of the prefixes.

        Raises ValueError for a prefix of none.
        """
        for prefix in prefixes:
            if not any(name.startswith(prefix) for name in (*self.names, *self.category_names)):
                raise ValueError(f"no column begins with {prefix}; name features of the recipe")
        numbers, categories = (
            [n for n, name in enumerate(names) if name.startswith(prefixes)]
            for names in (self.names, self.category_names)
        )
        return numbers, categories


@dataclass(frozen=True)
class Net(ABC):
    """An architecture: a row inside of a NetRanker.

    A kind is a subclass in a module of this folder, and a module of torch in modules/ that it
    imports where it makes one: reading a recipe does not load torch.
    """

    @property
    def needs_items(self) -> bool:
        """Whether it cannot do without vectors of items."""
        return False

    @property
    def multi_task(self) -> bool:
        """Whether one net gives each objective a score of its own."""
        return False

    @property
    def weights(self) -> TaskWeights:
        """Weights of objectives in the loss of a multi-task net; others weigh 1."""
        return ()

    @property
    def scene(self) -> str:
        """Name of the category that picks gate and tower; "": there is none."""
        return ""

    @property
    def scene_rows(self) -> int:
        """Rows that a value of the scene needs for a code of its own."""
        return 1

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the embeddings whose vectors of items it reads: then all items are told apart.

        Its module has a buffer `vectors`: (items, numbers), of each code.
        """
        return ()

    @property
    def max_len(self) -> int:
        """Number of the last events of the session that it reads; 0: it needs no session."""
        return 0

    def check(self, loss: Loss) -> None:  # noqa: B027 - most take any
        """Raise ValueError, with the cure, where the scores do not fit a loss."""

    def log_tables(self, model: NetModel, data: FoldQueries) -> dict[str, pl.DataFrame]:
        """Return tables of a trained model that go to its logs, by the name of their file."""
        return {}

    @abstractmethod
    def module(self, sizes: InputSizes) -> NetModule:
        """Make a module; its parameters are drawn by torch's global generator.

        The module maps a batch of QueryRows.batch, as tensors, to scores: float32 (rows), or (rows,
        objectives) of a multi-task net. The score of a row depends on its own query alone. Raises
        ValueError where an input is missing.
        """
