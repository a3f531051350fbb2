"""Let every candidate rule list its items for every query, and say what each list is worth.

    python 3_candidates.py --dataset otto

Reads  output/<dataset>/<split>/{events,labels}.parquet, matrices/*.parquet  (steps 1, 2)
Writes output/<dataset>/<split>/lists/part-*.parquet: session, rule, rank, item, score
       output/<dataset>/logs/lists/{rules,pool,baselines}.csv: recall on the valid split
(The lists of embeddings join in step 4, which merges all of them into the pool.)
"""

from src.candidates.lists import cover, list_parts, rules_of_step
from src.cli import main
from src.core.run import Run
from src.data.shards import load_split


def body(run: Run) -> None:
    rules = rules_of_step(run.recipe, embeddings=False)
    for split in run.splits():
        with run.step(f"{split} lists of {len(rules)} rules") as facts:
            facts["blocks made"] = list_parts(run, load_split(run, split), "lists", rules)
    with run.step("recall of the lists"):
        cover(run, ["lists"], "lists")


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
