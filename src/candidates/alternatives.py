"""Name the values that a field of a retriever may take; the data says which is best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from src.candidates.base import Retriever

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class Alternatives:
    """Values of a field of a retriever; step 3 tries each (src/candidates/tune.py).

    The value of the row itself stays unless another one is better beyond noise.
    """

    retriever: str
    field: str  # of the row; "seeds.decay" is that of its seeds
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        return f"{self.retriever}.{self.field}"

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where no row has the field, or a value does not fit it."""
        rows = [row for row in recipe.retrievers if row.name == self.retriever]
        if not rows:
            raise ValueError(f"alternatives {self.name}: no retriever named {self.retriever}")
        try:
            tried = self.tried(rows[0])
        except (AttributeError, TypeError):
            raise ValueError(
                f"alternatives {self.name}: the row has no field {self.field} to set"
            ) from None
        embeddings = {row.name for row in recipe.embeddings}
        for row in tried:
            row.check(recipe)
            if read := sorted(embeddings.intersection(row.tables)):
                raise ValueError(
                    f"alternatives {self.name}: step 3 cannot tune a row that reads {read[0]}"
                )

    def tried(self, row: Retriever) -> list[Retriever]:
        """Return the row, then the rows with the other values."""
        own = self.value_of(row)
        return [row, *(self.applied(row, value) for value in self.values if value != own)]

    def value_of(self, row: Retriever) -> Any:
        """Return the value that a row has."""
        value: Any = row
        for part in self.field.split("."):
            value = getattr(value, part)
        return value

    def applied(self, row: Retriever, value: Any) -> Retriever:
        """Return the row with a value."""
        changed: Retriever = _replaced(row, self.field, value)
        return changed


def _replaced(row: Any, path: str, value: Any) -> Any:
    field, _, rest = path.partition(".")
    return replace(row, **{field: _replaced(getattr(row, field), rest, value) if rest else value})
