"""List the candidates of every retriever for every query, and measure their recall.

    python 3_candidates.py --dataset otto

Reads  output/<dataset>/<split>/{events,labels}.parquet, matrices/*.parquet  (steps 1, 2)
Writes output/<dataset>/<split>/candidates/<retriever>/part-*.parquet: session, rank, item, score
       output/<dataset>/tuned.json: the best of the recipe's alternatives
       output/<dataset>/logs/candidates/tuning.csv: scores of all alternatives
       output/<dataset>/logs/candidates/{retrievers,pool,baselines}.csv: recall on the valid split
       output/<dataset>/logs/candidates/hits.csv: queries with a hit among the first 5, 10, 20, 50
(Retrievers that read embeddings follow in step 4, which merges all lists into the pool.)
"""

from src.candidates.lists import retrievers_of_step, write_candidates
from src.candidates.recall import write_recall
from src.candidates.tune import tune
from src.cli import main
from src.core.run import Run
from src.data.split_data import SplitData
from src.data.splits import all_splits


def body(run: Run) -> None:
    if run.recipe.given:
        print("nothing to do: the raw files give the candidates")
        return
    run = tune(run)
    retrievers = retrievers_of_step(run, embeddings=False)
    for split in all_splits(run):
        data = SplitData(run, split)
        for row in retrievers:
            with run.step(f"{split} {row.name}") as summary:
                summary |= write_candidates(data, row)
    with run.step("recall of the candidates"):
        write_recall(run, retrievers, "candidates")


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
