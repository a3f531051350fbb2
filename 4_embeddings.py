"""Train item vectors and two-tower nets, list what is nearest, and merge all lists into the pool.

    python 4_embeddings.py --dataset otto

Reads  output/<dataset>/<split>/events.parquet, lists/*.parquet  (steps 1, 3)
Writes output/<dataset>/<split>/embeddings/<row>.npy: float32 (items, size), unit length
       output/<dataset>/<split>/embeddings/<row>.sources.npy: as the earlier item (FactorizationEmbedding)
       output/<dataset>/<split>/embeddings/<row>.parquet: item_x, item_y, weight
       output/<dataset>/<split>/embeddings/<row>.queries.npy: float32 (objectives, queries, size)
       output/<dataset>/logs/embeddings/<split>/<row>.csv: loss and recall of every epoch
       output/<dataset>/<split>/pool/part-*.parquet: candidates with every rule's rank and score
       output/<dataset>/logs/pool/{rules,pool,baselines}.csv: recall on the valid split
"""

from src.candidates.lists import cover, list_parts, pool_parts, rules_of_step
from src.cli import main
from src.core.run import Run
from src.data.shards import load_split
from src.embeddings.train import train


def body(run: Run) -> None:
    rules = rules_of_step(run.recipe, embeddings=True)
    for split in run.splits():
        for row in run.recipe.embeddings:
            with run.step(f"{split} {row.name}") as facts:
                facts |= train(run, split, row)
        with run.step(f"{split} lists of {len(rules)} rules") as facts:
            facts["blocks made"] = list_parts(run, load_split(run, split), "more_lists", rules)
        with run.step(f"{split} pool") as facts:
            facts["blocks made"] = pool_parts(run, load_split(run, split), ["lists", "more_lists"])
    with run.step("recall of the pool"):
        cover(run, ["lists", "more_lists"], "pool")


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
