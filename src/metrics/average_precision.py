"""Mean average precision of the first k items."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import WHOLE_LIST, MeanMetric, relevant, row_sums
from src.metrics.judged import Judged

Norm = Literal["all", "capped"]


@dataclass(frozen=True)
class MAP(MeanMetric):
    """Sum over the hits of the precision at their ranks, over the number of positives.

    norm: "all", over all positives of the query, as trec_eval does; "capped", over
    min(k, positives), so that a perfect list of k items has the value 1.
    """

    name = "map"

    k: int = WHOLE_LIST
    _: KW_ONLY
    norm: Norm = "all"

    def raw_values(self, listed: NDArray) -> F64:
        hit = relevant(listed, self.k)
        precision = np.cumsum(hit, axis=1) / (1.0 + np.arange(hit.shape[1]))
        return row_sums(np.where(hit, precision, 0.0))

    def scale(self, judged: Judged) -> F64:
        most = judged.positives if self.norm == "all" else np.minimum(judged.positives, self.k)
        return most.astype(np.float64)

    @property
    def formula(self) -> str:
        over = "positives" if self.norm == "all" else f"min({self.k}, positives)"
        return f"precision at the ranks of the first {self.k} items' hits, over {over}"
