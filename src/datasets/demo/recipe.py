"""Recipe of the demo: that of OTTO, with embeddings that are trained in seconds."""

from dataclasses import replace
from typing import Any

from src.datasets.otto import recipe as otto

SHORTER: dict[str, dict[str, Any]] = {  # fields of OTTO's embeddings, by name; others stay
    "w2v": {"epochs": 3},
    "mf5": {"epochs": 3, "max_pairs": 1_000_000},
    "net": {"epochs": 3, "max_positions": 100_000, "min_positions": 1},
}

RECIPE = replace(
    otto.RECIPE,
    name="demo",
    embeddings=tuple(replace(row, **SHORTER.get(row.name, {})) for row in otto.RECIPE.embeddings),
    min_train_queries=5_000,  # `valid` has more, so no earlier window is made
    negatives_per_positive=8.0,
)
PRERANKER = otto.PRERANKER
