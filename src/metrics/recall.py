"""Recall of the first k items: as the organisers of OTTO define it, or as a mean over queries."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import EMPTY_TEXTS, TIES, Metric, Norms, relevant
from src.metrics.judged import Judged

Norm = Literal["pooled", "capped", "all"]


@dataclass(frozen=True)
class Recall(Metric):
    """Hits among the first k items.

    norm: "pooled", all hits over all min(k, positives), as OTTO does; "capped" and "all", the mean
    over queries of hits / min(k, positives) and of hits / positives.
    """

    name = "recall"

    k: int = 20
    _: KW_ONLY
    norm: Norm = "pooled"

    def raw_values(self, listed: NDArray) -> F64:
        return relevant(listed, self.k).sum(axis=1).astype(np.float64)

    def norms(self, judged: Judged) -> Norms:
        """Return the norms; without a positive, a query counts nothing, or 0 in a mean."""
        positives, nothing = judged.positives, np.zeros(judged.offsets.size - 1)
        capped = np.minimum(positives, self.k).astype(np.float64)
        if self.norm == "pooled":
            return Norms(nothing + 1, capped, nothing)
        scale = positives if self.norm == "all" else capped
        return Norms(np.maximum(scale, 1.0), judged.exists.astype(np.float64), nothing)

    @property
    def convention(self) -> str:
        if self.norm == "pooled":
            return f"all hits over all min({self.k}, positives); {TIES}"
        of = "positives" if self.norm == "all" else f"min({self.k}, positives)"
        return f"mean over queries of hits / {of}; {EMPTY_TEXTS['zero']}; {TIES}"
