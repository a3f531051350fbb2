"""Base class of item-item matrices (step 2)."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR, check_numbers

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemMatrix(ABC):
    """Matrix of the heaviest neighbours of every item, written as a NEIGHBOURS file.

    A kind is a subclass in a module of this folder.
    """

    made_ahead: ClassVar[bool] = True  # of the query: from the events of SplitData.fitted

    name: str
    rebuild: str | None = field(default=None, kw_only=True)
    """Period, "1d" or "6h" say: with `--causal`, a query reads the matrix that was made when the
    period of its time began (UTC). None: that from before the window of the queries.
    """

    def __post_init__(self) -> None:
        """Raise ValueError where a number is below its bound."""
        check_numbers(f"matrix {self.name}", self)

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the row does not fit the recipe."""
        if self.rebuild is not None and not self.rebuild_s:
            raise ValueError(f"matrix {self.name}: rebuild is a number of days or hours, 1d or 6h")
        if self.rebuild_s and not recipe.refit:
            raise ValueError(f"matrix {self.name}: rebuild needs a recipe that refits")

    @property
    def rebuild_s(self) -> int:
        """The period of `rebuild` in seconds; 0 for none."""
        found = re.fullmatch(r"(\d+)([dh])", self.rebuild or "")
        return int(found[1]) * {"d": DAY, "h": HOUR}[found[2]] if found else 0

    def causal(self) -> Self | None:
        """Return the causal form of the row: by default the row itself, made ahead."""
        return self

    def inputs(self, run: Run, split: str) -> list[Path]:
        """List the files that the matrix is made from; by default, the events."""
        return [paths.events(run, split)]

    @classmethod
    def groups(cls, data: SplitData, rows: Sequence[Self]) -> list[list[Self]]:
        """Group rows of this kind that are counted together; by default, each row is alone."""
        return [[row] for row in rows]

    @classmethod
    @abstractmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Claim memory and disk, then count the rows of a group into their files.

        rows: temporary path -> row.
        """
