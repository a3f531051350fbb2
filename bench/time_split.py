"""Score the rankers of lists on days after those that they learn from.

    python -m bench.time_split --dataset ebnerd --input folder --output folder [--look-ahead]
        [--rankers one din gate] [--models folder]

Needs steps 1 to 5. --rankers names rows of the recipe, and variants of its first net for lists: one
net alone, with attention over the pages that the reader opened (din), with a gated tower that reads
no exposure (gate). Models learn from the split train_1 but its last day, stop on that day, and are
scored once, on `valid`, whose labels nothing has read. The cross-validation of step 7 has users of
the same days on both sides, so it knows which items of the day are clicked; this does not. The last
line is the mean of all rankers' scores, standardised within each list. The brackets hold 95 %
intervals over lists, and over users where rows of different lists are compared. `delta` is paired
by list with the first ranker of the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from src.cli import parse
from src.core.arrays import F32, I64, arrays
from src.core.budget import peak_gib
from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_labels
from src.data.shards import shards
from src.data.split_data import SplitData
from src.data.units import DAY
from src.features.table import FeatureTable
from src.metrics.base import WHOLE_LIST
from src.metrics.bootstrap import bootstrap, paired_difference
from src.metrics.mrr import MRR
from src.metrics.ndcg import NDCG
from src.metrics.probability import Predictions
from src.metrics.query_scores import QueryScores, score_lists
from src.rankers.base import FitTask, Ranker, RankerModel
from src.rankers.batches import CandidateBatch, pools
from src.rankers.net import NetRanker
from src.rankers.nets.content_gate import ContentGate, History
from src.rankers.nets.din import DIN
from src.rankers.train_set import TrainSet
from src.rankers.train_table import table_files

LEARNED, SCORED = "train_1", "valid"
ALL = "all, mean"
EXPOSURE = ("shown_item_", "shown_scene_item_", "shown_user_item_", "shown_page_item_")
ALSO = (MRR(WHOLE_LIST), NDCG(5), NDCG(10))


def read_train_set(run: Run, objectives: Sequence[str]) -> TrainSet:
    """Read the rows to learn from; those of the last day are fold 0, which stops the training."""
    train_set = TrainSet.read(table_files(run, LEARNED), objectives)
    ts = pl.read_parquet(paths.impressions(run, LEARNED))["ts"].to_numpy()
    last = ts > ts.max() - DAY
    return replace(train_set, fold=np.where(last[train_set.session], 0, -1).astype(np.int8))


def fitted(run: Run, ranker: Ranker, objective: str, folder: Path) -> RankerModel:
    """Train a model of a ranker, on the objectives that its model learns together."""
    target = ranker.target(objective)
    learned = [o for o in run.recipe.objective_names if ranker.learns(o)]
    train_set = read_train_set(run, [objective] if target == objective else learned)
    task = FitTask(ranker, target, 0, folder / ranker.name, run.engine, run.recipe.seed)
    path = folder / f"{ranker.name}_{target}.{ranker.suffix}"
    if not path.exists():
        ranker.fit(task, ranker.prepare(run, task, train_set), path)
    return ranker.load(path, run).of(objective)


def batches(run: Run) -> Iterator[CandidateBatch]:
    """Yield the lists to score, with their features."""
    data, features = SplitData(run, SCORED), FeatureTable(run.recipe)
    for shard in shards(run, SCORED):
        for pool in pools(data, shard):
            yield CandidateBatch.compute(features, data, pool)


def standardised(score: F32, offsets: I64) -> F32:
    """Scale scores to mean 0 and deviation 1 within each list."""
    size = np.diff(offsets)
    query, n = np.repeat(np.arange(size.size), size), np.maximum(size, 1)
    centred = score - (np.bincount(query, score, size.size) / n)[query]
    deviation = np.sqrt(np.bincount(query, centred**2, size.size) / n)[query]
    return (centred / np.maximum(deviation, 1e-9)).astype(np.float32)


def ranked(name: str, table: pl.DataFrame) -> pl.LazyFrame:
    """List the candidates by a column of scores: session, item, rank from 0."""
    order = table.sort("session", name, "item", descending=[False, True, False])
    return order.select("session", "item", rank=pl.int_range(pl.len()).over("session")).lazy()


def of_lists(run: Run, name: str, table: pl.DataFrame, truth: pl.LazyFrame) -> dict[str, object]:
    """Score the lists by a column of scores: the recipe's metric with its interval, and others."""
    lists, first = ranked(name, table), ranked(table.columns[2], table)
    scored, base = (score_lists(of, truth, run.recipe.metric) for of in (lists, first))
    delta = paired_difference(scored, base.value)
    return {
        str(run.recipe.metric): scored.score(), "95 %": interval(run, scored),
        "delta": delta.score(), "of delta": interval(run, delta),
        **{str(m): score_lists(lists, truth, m).score() for m in ALSO},
    }  # fmt: skip


def interval(run: Run, scores: QueryScores) -> str:
    """Return the 95 % interval of a score."""
    low, high = (ends[0] for ends in bootstrap([scores], [1.0], run.recipe.seed))
    return f"[{low:.4f}, {high:.4f}]"


def of_rows(run: Run, name: str, table: pl.DataFrame, truth: pl.LazyFrame) -> dict[str, object]:
    """Score the judged rows by a column of scores: their pooled AUC with its interval."""
    judged = table.lazy().join(truth, on=["session", "item"], maintain_order="left").collect()
    session, score, grade = arrays(judged, "session", name, "grade")
    user = pl.read_parquet(paths.impressions(run, SCORED))["user"].to_numpy()
    rows = Predictions.known(score, grade, user[session])
    low, high = rows.auc_interval(run.recipe.seed)
    return {"rows": judged.height, "auc": rows.auc, "95 %": f"[{low:.4f}, {high:.4f}]"}


def scored(run: Run, objective: str, folder: Path) -> pl.DataFrame:
    """Train the rankers of an objective, and score them: a line each, and one of all."""
    models, seconds = dict[str, RankerModel](), dict[str, float]()
    for ranker in run.recipe.rankers_of(objective):
        start = time.perf_counter()
        models[ranker.name] = fitted(run, ranker, objective, folder)
        seconds[ranker.name] = time.perf_counter() - start
    tables, pooled = list[pl.DataFrame](), run.recipe.metric_of(objective).pooled
    for batch in batches(run):
        scores = {name: model.scores(batch) for name, model in models.items()}
        scaled = list(scores.values())
        if not pooled:
            scaled = [standardised(score, batch.pool.offsets) for score in scaled]
        if len(models) > 1:
            scores[ALL] = np.mean(scaled, axis=0)
        keys = {"session": batch.pool.session, "item": batch.pool.item}
        tables.append(pl.DataFrame(keys | scores))
    if len(models) > 1:
        seconds[ALL] = sum(seconds.values())
    number = run.recipe.objective_names.index(objective)
    truth = scan_labels(paths.labels(run, SCORED)).filter(objective=number)
    line, table = of_rows if pooled else of_lists, pl.concat(tables)
    return pl.DataFrame([
        {"ranker": name, "seconds": round(s), **line(run, name, table, truth)}
        for name, s in seconds.items()
    ])  # fmt: skip


def variants(first: NetRanker) -> list[Ranker]:
    """Return the rows that no recipe has: of one net each, like the given one."""
    one = replace(first, name="one", nets=1)
    counts = ("shown_item_count_all", "visits_user_count_all")
    gate = ContentGate(
        first.net, ("number_", "impression_"),
        (History(counts[0], EXPOSURE), History(counts[1], ("visits_user_",))),
    )  # fmt: skip
    return [one, replace(one, name="din", net=DIN(max_len=20), max_items=20_000),
            replace(one, name="gate", net=gate)]  # fmt: skip


def chosen(run: Run, names: Sequence[str]) -> Run:
    """Return the run with these rankers of the recipe and variants; without names, as it is."""
    if not names:
        return run
    rows = run.recipe.rankers
    first = next(row for row in rows if isinstance(row, NetRanker))
    known = {row.name: row for row in (*rows, *variants(first))}
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"--rankers {unknown}: take some of {sorted(known)}")
    return replace(run, recipe=replace(run.recipe, rankers=tuple(known[name] for name in names)))


def main(argv: list[str] | None) -> int:
    """Print a table per objective: that of the lists last, as it takes longest."""
    parser = argparse.ArgumentParser(prog="bench.time_split", description=__doc__)
    parser.add_argument("--rankers", nargs="+", default=[])
    parser.add_argument("--models", type=Path, help="folder that keeps the models")
    own, flags = parser.parse_known_args(argv)
    run = chosen(parse(str(__doc__), Path("6_xgb.py"), flags), own.rankers)
    with tempfile.TemporaryDirectory() as temporary:
        folder = own.models or Path(temporary)
        for objective in reversed(run.recipe.objective_names):
            if not run.recipe.rankers_of(objective):
                continue
            table = scored(run, objective, folder)
            print(f"{objective}, {peak_gib():.2f} GiB", flush=True)
            show(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(None))
