"""Score lists of sequences, leave-one-out over all items: retrievers, rankers, their blend.

    make submission DATASET=sequences INPUT=amazon_beauty
    python -m bench.sequences --dataset sequences --output output/sequences [--test]

`valid` stops the training of the rankers, and the blend is chosen there. --test adds the lists of
`test`: look at them once. Recall@k is hit@k, as a query has one right item. `descends` is NDCG@10
of the queries whose right item has a smaller id than the last one shown: items of one day often
stand in the order of their ids, and counts learn that. Prints the table and appends it to
bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure
from src.blend.blend import RANK, TENTHS, Blend
from src.blend.final_blend import final_blends
from src.blend.scored_candidates import final_list
from src.candidates.lists import candidate_files
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_positives
from src.data.raw_ids import item_ids
from src.data.schemas import FinalList
from src.data.sessions import Sessions
from src.data.shards import shard_files
from src.metrics.bootstrap import bootstrap
from src.metrics.named import metric_named
from src.metrics.query_scores import QueryScores, score_lists

METRICS = ("hit@5", "ndcg@5", "hit@10", "ndcg@10")
HEAD = ("split", "lists", *METRICS, "low", "high", "descends", "ascends")
STEPS = sorted(measure.HERE.parent.glob("[1-7]_*.py"))
K = 10


def retrieved_lists(run: Run, split: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield names and lists of the retrievers: session, item, rank from 0."""
    for row in run.recipe.retrievers:
        table = pl.read_parquet(candidate_files(run, split, [row]))
        yield row.name, table.select("session", "item", "rank")


def blended_lists(run: Run, split: str, k: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield names and lists of k items of the rankers of one objective, and of their blend."""
    files, alone = shard_files(run, split, "scores"), Blend(RANK, (TENTHS,))
    (final,) = final_blends(run).values()
    for ranker, column in zip(final.rankers, final.columns, strict=True):
        yield f"ranker {ranker.name}", frame(final_list(files, [column], alone, None, k))
    yield "blend", frame(final_list(files, final.columns, final.blend, final.stack, k))


def frame(listed: FinalList) -> pl.DataFrame:
    session = np.repeat(listed.session, np.diff(listed.offsets))
    return pl.DataFrame({"session": session, "item": listed.item, "rank": listed.rank})


def descending(run: Run, split: str) -> set[int]:
    """Find the queries whose right item has a smaller raw id than the last one shown."""
    s, raw = Sessions.load(run, split), item_ids(paths.items(run)).cast(pl.String)
    truth = scan_positives(paths.labels(run, split)).select("session", "item").collect()
    session = truth["session"].to_numpy()
    last = np.concatenate([s.last_event(n, n + 1) for n in session])
    down = raw.gather(truth["item"]) < raw.gather(s.item[last])
    return set(session[down.to_numpy() & (last >= 0)].tolist())


def rows_of(run: Run, split: str) -> Iterator[tuple[object, ...]]:
    """Make the rows of a split: the mean over its queries, with a 95 % interval of NDCG@10."""
    truth = scan_positives(paths.labels(run, split)).select("session", "item", "grade")
    down = np.array(sorted(descending(run, split)))
    for name, lists in chain(retrieved_lists(run, split), blended_lists(run, split, K)):
        scores = [score_lists(lists.lazy(), truth, metric_named(metric)) for metric in METRICS]
        low, high = bootstrap([scores[-1]], [1.0], run.recipe.seed)
        falls = np.isin(scores[-1].session, down)
        means = (*(s.score() for s in scores), low[0], high[0], *parts(scores[-1], falls))
        yield (split, name, *(f"{mean:.4f}" for mean in means))


def parts(scores: QueryScores, falls: np.ndarray) -> tuple[float, float]:
    return scores.score(falls), scores.score(~falls)


def main(argv: list[str] | None = None) -> int:
    """Print the table and append it to the results."""
    parser = argparse.ArgumentParser("bench.sequences", description=__doc__)
    parser.add_argument("--dataset", required=True, help="the dataset of sequences")
    parser.add_argument("--output", type=Path, required=True, help="results of the steps")
    parser.add_argument("--test", action="store_true", help="score the hidden items of test too")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", str(args.output), "--engine", "cpu"]
    run = parse("", STEPS[-1], flags)
    splits = ("valid", "test") if args.test else ("valid",)
    rows = [row for split in splits for row in rows_of(run, split)]
    record = measure.origin(sys.argv[1:] if argv is None else argv, "bench.sequences")
    measure.append_table(measure.title(record), measure.table(HEAD, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
