"""Log-odds of the judged candidates of `valid`, under several blends at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from src.blend.blend import Blend
from src.blend.scored_candidates import ScoredCandidates
from src.core.arrays import F32, F64, I32, arrays


class Weighted(NamedTuple):
    """A blend, as ScoredCandidates.log_odds takes it."""

    blend: Blend
    stack: F64 | None  # weights of the meta-features for STACK
    pooled: bool


@dataclass(frozen=True)
class JudgedRows:
    """Judged candidates of an objective, file by file: one entry each, and a column per blend."""

    session: I32
    item: I32
    grade: F32
    log_odds: F64  # (rows, blends)

    @classmethod
    def read(
        cls, files: Sequence[Path], columns: Sequence[str], truth: pl.DataFrame,
        blends: Sequence[Weighted],
    ) -> Self:  # fmt: skip
        """Read score files one at a time; lists are blended whole, then judged items are kept.

        columns: score column of each ranker. truth: session, item, grade.
        """
        parts = [cls._of_file(file, columns, truth, blends) for file in files]
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @classmethod
    def _of_file(
        cls, file: Path, columns: Sequence[str], truth: pl.DataFrame, blends: Sequence[Weighted]
    ) -> Self:
        candidates = ScoredCandidates.load(file, columns, np.unique(truth["session"].to_numpy()))
        log_odds = [candidates.log_odds(*blend) for blend in blends]
        table = pl.DataFrame({
            "session": candidates.per_row(candidates.session), "item": candidates.item,
            **{f"{n}": values for n, values in enumerate(log_odds)},
        })  # fmt: skip
        judged = table.join(truth.select("session", "item", "grade"), on=["session", "item"],
                            maintain_order="left")  # fmt: skip
        session, item, grade = arrays(judged, "session", "item", "grade")
        return cls(session, item, grade, judged.drop("session", "item", "grade").to_numpy())
