"""Recipe of the demo: that of OTTO, with embeddings that are trained in seconds."""

from dataclasses import replace

from src.datasets.otto import recipe as otto

WORD2VEC, FACTORIZATION, TWO_TOWER = otto.EMBEDDINGS

RECIPE = replace(
    otto.RECIPE,
    name="demo",
    embeddings=(
        replace(WORD2VEC, epochs=3),
        replace(FACTORIZATION, epochs=3, max_pairs=1_000_000),
        replace(TWO_TOWER, epochs=3, max_positions=100_000),
    ),
    min_train_queries=5_000,  # `valid` has more, so no earlier window is made
    negatives_per_positive=8.0,
)
