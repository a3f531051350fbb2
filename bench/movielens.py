"""Score the recipe of a log on MovieLens-100K, beside lists without a model.

    python -m bench.movielens --dataset interactions --input ml-100k [--splits 3] [--only B C]

Input: the folder with ml-100k.inter, .item and .user, as RecBole ships them. The protocols:

A  the last fifth of each user's ratings, put in order; NDCG with gain 2^rating - 1
B  the last fifth, among all items that the user has not rated before
C  a random quarter, among all items that the user has not rated before

In B and C every rating counts as relevant. Scores are means over users. Each split renames the
users and shuffles the rows, so that other rows are drawn, and other ties are broken. The rankers
learn from ratings before the hidden ones alone. A score is the mean over splits, low and high are
the means of the bounds of their 95 % intervals. Prints the table and appends it to
bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from bench import measure
from src.cli import configured, tool_flags
from src.data.labels import scan_labels
from src.metrics.base import Metric
from src.metrics.bootstrap import bootstrap
from src.metrics.named import metric_named
from src.metrics.query_scores import score_lists
from src.tools.score import read_labels

HEAD = ("protocol", "lists", "metric", "score", "low", "high", "lowest split", "highest split")
STEPS = sorted(measure.HERE.parent.glob("[1-7]_*.py"))
USER = "user_id:token"
SHRINK = 5  # ratings of the mean that an item's own mean is shrunk by
SEED = 42  # of the bootstrap, and of lists in random order


class Floor(NamedTuple):
    """Lists without a model: their name, and how a folder of results gives them."""

    name: str
    lists: Callable[[Path], pl.DataFrame]  # session, item, rank from 0


@dataclass(frozen=True)
class Protocol:
    """A protocol: flags of the scripts, metrics, and lists to compare with."""

    name: str
    flags: tuple[str, ...]
    metrics: tuple[str, ...]
    floors: tuple[Floor, ...]


def ranked(table: pl.DataFrame) -> pl.DataFrame:
    """Turn scores (session, item, score) into lists; ties by item."""
    ordered = table.sort("session", "score", "item", descending=[False, True, False])
    return ordered.select("session", "item", rank=pl.int_range(pl.len()).over("session"))


def events(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "test" / "events.parquet")


def retrieved(name: str) -> Floor:
    """Take the lists of a retriever of the recipe."""
    files = Path("test", "candidates", name, "*.parquet")
    return Floor(name, lambda folder: pl.read_parquet(folder / files))


def random_unseen(folder: Path) -> pl.DataFrame:
    """Put all items that a user has not rated in random order."""
    seen = events(folder).select("session", "item")
    users, items = seen["session"].unique(), pl.read_parquet(folder / "items.parquet").height
    pairs = users.to_frame().join(
        pl.DataFrame({"item": np.arange(items, dtype=np.int32)}), how="cross"
    )
    return random_order(pairs.join(seen, on=["session", "item"], how="anti"))


def random_order(pairs: pl.DataFrame) -> pl.DataFrame:
    return ranked(pairs.with_columns(score=np.random.default_rng(SEED).random(pairs.height)))


def judged(folder: Path) -> pl.DataFrame:
    """Read the hidden items of each user: session, item, sorted."""
    labels = scan_labels(folder / "test" / "labels.parquet").select("session", "item")
    return labels.collect().sort("session", "item")


def by_statistic(name: str, statistic: pl.Expr) -> Floor:
    """Put the hidden items in the order of a statistic of their visible events."""

    def lists(folder: Path) -> pl.DataFrame:
        rows = events(folder).with_columns(mean=pl.col("rating").mean())
        scores = rows.group_by("item").agg(score=statistic.cast(pl.Float64))
        mean = float(rows["mean"][0]) if name == "item mean" else 0.0
        joined = judged(folder).join(scores, on="item", how="left")
        return ranked(joined.with_columns(pl.col("score").fill_null(mean)))

    return Floor(name, lists)


ITEM_MEAN = (pl.col("rating").sum() + SHRINK * pl.col("mean").first()) / (pl.len() + SHRINK)
HELD_OUT = ("--test", "held-out")
UNSEEN = (*HELD_OUT, "--candidates", "unseen", "--metric", "ndcg@10")
FLOORS = (Floor("random", random_unseen), *map(retrieved, ("popular_all", "cosine", "ease")))
PROTOCOLS = (
    Protocol(
        "A",
        ("--split", "last:0.2", *HELD_OUT, "--candidates", "held-out", "--grades", "rating",
         "--metric", "ndcg@10"),
        ("ndcg@5", "ndcg@10", "ndcg@5:gain=linear", "ndcg@10:gain=linear"),
        (Floor("random", lambda folder: random_order(judged(folder))),
         by_statistic("popularity", pl.len()), by_statistic("item mean", ITEM_MEAN)),
    ),
    Protocol("B", ("--split", "last:0.2", *UNSEEN), ("ndcg@10", "mrr@10"), FLOORS),
    Protocol("C", ("--split", "random:0.25", *UNSEEN), ("ndcg@10", "precision@10"), FLOORS),
)  # fmt: skip


def write_input(source: Path, target: Path, split: int) -> None:
    """Write the raw files of a split: users renamed, rows shuffled; split 0 is as it came."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "ml-100k.item", target)
    tables = {
        name: pl.read_csv(source / name, separator="\t", infer_schema=False)
        for name in ("ml-100k.inter", "ml-100k.user")
    }
    users = tables["ml-100k.user"][USER].to_numpy()
    rng = np.random.default_rng(split)
    renamed = dict(zip(users, rng.permutation(users) if split else users, strict=True))
    for name, table in tables.items():
        rows = rng.permutation(table.height) if split else np.arange(table.height)
        named = table[rows].with_columns(pl.col(USER).replace_strict(renamed))
        named.write_csv(target / name, separator="\t")


def make(dataset: str, protocol: Protocol, raw: Path, output: Path) -> None:
    """Run the seven scripts; raise RuntimeError where one fails."""
    shared = ["--dataset", dataset, "--input", str(raw), "--output", str(output)]
    for step in STEPS:
        command = [sys.executable, str(step), *shared, *protocol.flags]
        if measure.run(command, output / "bench.log", show=False).code:
            raise RuntimeError(f"{step.name} failed: see {output / 'bench.log'}")


def submitted(name: str, output: Path) -> pl.DataFrame:
    """Read the positives that the submission lists, with dense ids: session, item, rank."""
    flags = ["--dataset", name, "--output", str(output)]
    args = tool_flags("movielens", None, flags, file="the submission")
    dataset = configured(args)
    found = dataset.judged_items(args.file, read_labels(output / "test" / "labels.parquet"))
    users = pl.read_parquet(output / "test" / "sessions.parquet").with_row_index("dense")
    items = pl.read_parquet(output / "items.parquet", columns=["item_id"]).with_row_index("row")
    dense = found.join(users, on="session").join(items, left_on="item", right_on="item_id")
    return dense.select(
        pl.col("dense").cast(pl.Int32).alias("session"), pl.col("row").cast(pl.Int32).alias("item"),
        "rank",
    )  # fmt: skip


def scored(output: Path, lists: pl.DataFrame, metric: Metric) -> tuple[float, float, float]:
    """Score lists: the mean over users and its 95 % interval."""
    truth = scan_labels(output / "test" / "labels.parquet").select("session", "item", "grade")
    scores = score_lists(lists.lazy().select("session", "item", "rank"), truth, metric)
    low, high = bootstrap([scores], [1.0], SEED)
    return scores.score(), float(low[0]), float(high[0])


def rows_of(dataset: str, protocol: Protocol, outputs: list[Path]) -> list[tuple[object, ...]]:
    """Make the rows of a protocol: all lists by all metrics, over all splits."""
    rows: list[tuple[object, ...]] = []
    for floor in (*protocol.floors, Floor("the recipe", partial(submitted, dataset))):
        lists = [floor.lists(output) for output in outputs]
        for metric in protocol.metrics:
            found = np.array([
                scored(output, table, metric_named(metric))
                for output, table in zip(outputs, lists, strict=True)
            ])  # fmt: skip
            bounds = (*found.mean(axis=0), found[:, 0].min(), found[:, 0].max())
            rows.append((protocol.name, floor.name, metric, *(f"{x:.4f}" for x in bounds)))
    return rows


def main(argv: list[str] | None = None) -> int:
    """Run the protocols; print the table and append it to the results."""
    names = [protocol.name for protocol in PROTOCOLS]
    parser = argparse.ArgumentParser("bench.movielens", description=__doc__)
    parser.add_argument("--dataset", required=True, help="the dataset of any log")
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("output/movielens"))
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    args = parser.parse_args(argv)
    rows: list[tuple[object, ...]] = []
    for protocol in (p for p in PROTOCOLS if p.name in args.only):
        outputs = [args.output / f"{protocol.name}{split}" for split in range(args.splits)]
        for split, output in enumerate(outputs):
            write_input(args.input, args.output / f"raw{split}", split)
            make(args.dataset, protocol, args.output / f"raw{split}", output)
        rows += rows_of(args.dataset, protocol, outputs)
    record = measure.origin(sys.argv[1:] if argv is None else argv, "bench.movielens")
    measure.append_table(measure.title(record), measure.table(HEAD, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
