"""Train embeddings, list candidates by their vectors, and merge all candidate lists to the pool.

    python 4_embeddings.py --dataset otto

Reads  output/<dataset>/<split>/{events,labels}.parquet, candidates/*/*.parquet  (steps 1, 3);
       output/<dataset>/<split>/given.parquet where the raw files give the candidates
Writes output/<dataset>/<split>/embeddings/<name>.npy: float32 (items, dim), unit length
       output/<dataset>/<split>/embeddings/<name>.sources.npy: the same for items as earlier ones
       output/<dataset>/<split>/embeddings/<name>.queries.npy: float32 (objectives, queries, dim)
       output/<dataset>/<split>/embeddings/<name>.encoder.pt: the net that makes such vectors
       output/<dataset>/<split>/embeddings/<name>.parquet: item_x, item_y, weight
       output/<dataset>/<split>/embeddings/<name>.{ids.npy,pt}: int32 (items, levels), a generator
       output/<dataset>/texts/<encoder>/part-*.parquet: text, vector, of pretrained encoders
       output/<dataset>/logs/embeddings/<split>/<name>.csv: loss and metrics of every epoch
       output/<dataset>/<split>/candidates/<retriever>/part-*.parquet: session, rank, item, score
       output/<dataset>/<split>/pool/part-*.parquet: session, item, rrf_score, merged candidates
       output/<dataset>/logs/pool/{retrievers,hits,pool,baselines}.csv: as those of step 3
"""

from src.candidates.lists import retrievers_of_step, write_candidates
from src.candidates.pool import write_pool
from src.candidates.recall import write_recall
from src.cli import main
from src.core.run import Run
from src.data.split_data import SplitData
from src.data.splits import all_splits


def body(run: Run) -> None:
    for split in all_splits(run):
        for embedding in run.recipe.embeddings:
            with run.step(f"{split} {embedding.name}") as summary:
                summary |= embedding.build(run, split)
        data = SplitData(run, split)
        for retriever in retrievers_of_step(run, embeddings=True):
            with run.step(f"{split} candidates of {retriever.name}") as summary:
                summary |= write_candidates(data, retriever)
        with run.step(f"{split} pool") as summary:
            summary |= write_pool(data)
    if not run.recipe.given:
        with run.step("recall of the pool"):
            write_recall(run, run.recipe.retrievers, "pool")


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
