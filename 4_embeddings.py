"""Train item vectors, list their nearest neighbours, and merge all lists into the pool.

    python 4_embeddings.py --dataset otto

Reads  output/<dataset>/<split>/events.parquet, lists/*.parquet  (steps 1, 3)
Writes output/<dataset>/<split>/embeddings/<row>.npy: float32 (items, size), unit length
       output/<dataset>/<split>/embeddings/<row>.parquet: aid_x, aid_y, weight
       output/<dataset>/<split>/pool/part-*.parquet: candidates with every rule's rank and score
       output/<dataset>/logs/pool/{rules,pool,baselines}.csv: recall on the valid split
"""

from pathlib import Path

import numpy as np

from src import embeddings
from src.candidates import cover, list_parts, open_world, pool_parts, rules_of_step
from src.recipe import EmbeddingRow
from src.run import Run, main


def body(run: Run) -> None:
    rules = rules_of_step(run.recipe, embeddings=True)
    for split in run.splits():
        for row in run.recipe.embeddings:
            with run.step(f"{split} {row.name}") as facts:
                facts["made" if train(run, split, row) else "kept"] = ""
        with run.step(f"{split} lists of {len(rules)} rules") as facts:
            facts["blocks made"] = list_parts(run, open_world(run, split), "more_lists", rules)
        with run.step(f"{split} pool") as facts:
            facts["blocks made"] = pool_parts(run, open_world(run, split), ["lists", "more_lists"])
    with run.step("recall of the pool"):
        cover(run, ["lists", "more_lists"], "pool")


def train(run: Run, split: str, row: EmbeddingRow) -> bool:
    """Vectors, then neighbours; False when both were up to date."""
    world, table = open_world(run, split), run.table(split, row.name)
    vectors = table.with_suffix(".npy")

    def make_vectors(part: Path) -> None:
        embeddings.save(part, embeddings.word2vec(world.sessions, row, run.recipe.seed))

    def make_table(part: Path) -> None:
        count = np.bincount(world.sessions.aid, minlength=world.sessions.n_items)
        near = embeddings.neighbours(embeddings.load(vectors), row.top_n, count)
        near.to_frame().write_parquet(part)

    trained = run.build(vectors, make_vectors, row, [run.output / split / "events.parquet"])
    return run.build(table, make_table, row.top_n, [vectors]) or trained


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
