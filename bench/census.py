"""Compare multi-task nets with single ones, torch-rechub's, LightGBM and logistic regression.

    python -m bench.census --input folder --output folder [--seeds 5] [--only single mmoe ...]

The input has UCI's census-income.data and census-income.test, or their .gz. Two pairs of tasks:
income above 50,000 with never married, and with some college or more. All models read the same
columns (bench/census_data.py). All nets are trained by the same trainer, with the same seeds, for
the same number of epochs; settings were chosen on rows of the train file. A delta is the mean over
seeds of the difference to the single nets of the same seed, with a 95 % interval of Student's t.
The nets of torch-rechub are left out, with a note, where the package is missing. Results are kept
in <output>/census.csv: a run that was stopped goes on; other settings need another folder. Prints a
table, and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
from scipy import sparse, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench import measure
from bench.census_data import PAIRS, Census, read
from bench.census_rival import Rechub
from src.core.arrays import F32
from src.core.engines import resolve
from src.rankers.base import FitTask, Ranker
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.pointwise import BCE
from src.rankers.net import NetRanker
from src.rankers.nets.base import Net
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import FoldQueries, QueryRows
from src.rankers.nets.mlp import MLP
from src.rankers.nets.mmoe import MMoE
from src.rankers.nets.ple import PLE
from src.rankers.nets.shared_bottom import SharedBottom
from src.rankers.nets.trainer import fit

EPOCHS, BATCH, RATE = 3, 1024, 0.005
HIDDEN, TOWER, DROPOUT, DIM = (64, 32), (16,), 0.1, 8
NETS: dict[str, Net] = {
    "single": MLP(HIDDEN, DROPOUT, "batch", DIM),
    "shared bottom": SharedBottom(HIDDEN, TOWER, DROPOUT, "batch", DIM),
    "mmoe": MMoE(HIDDEN, TOWER, DROPOUT, "batch", DIM),
    "ple": PLE(HIDDEN, TOWER, DROPOUT, "batch", DIM),
    "rechub shared bottom": Rechub(HIDDEN, TOWER, DROPOUT, "batch", DIM, kind="SharedBottom"),
    "rechub mmoe": Rechub(HIDDEN, TOWER, DROPOUT, "batch", DIM, kind="MMOE"),
    "rechub ple": Rechub(HIDDEN, TOWER, DROPOUT, "batch", DIM, kind="PLE"),
}
TREES = LightGBMRanker(
    "lightgbm",
    (("objective", "binary"), ("num_leaves", 31), ("learning_rate", 0.05),
     ("feature_fraction", 0.5), ("bagging_fraction", 0.8), ("bagging_freq", 1)),
    eval_metric="auc",
)  # fmt: skip
SINGLE, LOGISTIC, LIGHTGBM = "single", "logistic regression", "lightgbm"
HEAD = ("model", "AUC", "sd", "delta", "95 %", "AUC", "sd", "delta", "95 %", "CPU s", "weights")


@dataclass(frozen=True)
class Pair:
    """A pair of tasks, with its rows as models read them."""

    census: Census
    folder: Path

    @cached_property
    def rows(self) -> dict[tuple[str, ...], FoldQueries]:
        """Training rows as nets read them: with one label, and with both."""
        return {(t,): self.read((t,), SINGLE) for t in self.census.tasks} | {
            self.census.tasks: self.read(self.census.tasks, "mmoe")
        }

    def read(self, tasks: tuple[str, ...], net: str) -> FoldQueries:
        train_set, row = self.census.train_set(tasks), self.row(net)
        histories = no_events(train_set.offsets.size - 1)
        return FoldQueries.read(row, self.task(row, 0), train_set, histories, 1)

    @cached_property
    def test(self) -> QueryRows:
        """Test rows as nets read them."""
        return self.census.test_rows(self.rows[self.census.tasks].rows.scaler)

    def row(self, name: str) -> NetRanker:
        return NetRanker(
            name, NETS[name], BCE(), categories=self.census.categories, batch_size=BATCH,
            epochs=EPOCHS, patience=EPOCHS, learning_rate=RATE,
        )  # fmt: skip

    def task(self, row: Ranker, seed: int) -> FitTask:
        return FitTask(row, "census", 0, self.folder / row.name, resolve("cpu"), seed)

    def net(self, name: str, seed: int) -> tuple[F32, int]:
        """Train a net for both tasks, or one for each: test scores, number of weights."""
        row, tasks = self.row(name), self.census.tasks
        scores, weights = list[F32](), 0
        for some in (tasks,) if row.net.multi_task else [(t,) for t in tasks]:
            model = fit(row, self.task(row, seed), self.rows[some])
            scores.append(model.score_queries(self.test, np.arange(len(self.census.X))))
            weights += sum(value.numel() for value in model.nets[0].parameters())
        return np.column_stack(scores), weights

    def lightgbm(self, seed: int) -> tuple[F32, int]:
        """Train LightGBM for each task; the held-out rows stop it. Leaves count as weights."""
        row, scores, leaves = replace(TREES, categories=self.census.categories), list[F32](), 0
        for task in self.census.tasks:
            train_set, path = self.census.train_set((task,)), self.folder / "model.lgb"
            data = row.prepare(None, self.task(row, seed), train_set)  # type: ignore[arg-type]
            row.fit(self.task(row, seed), data, path)
            host = SimpleNamespace(engine=resolve("cpu"))
            model = row.load(path, host)
            scores.append(model.margins(self.census.X, self.census.columns))
            trees = path.read_text().splitlines()
            leaves += sum(int(line[11:]) for line in trees if line.startswith("num_leaves="))
        return np.column_stack(scores), leaves

    def logistic(self, seed: int) -> tuple[F32, int]:
        """Fit a logistic regression for each task; it draws nothing."""
        data, scores = self.rows[self.census.tasks], list[F32]()
        X, test = one_hot(data.rows)[data.train], one_hot(self.test)
        for label in data.rows.label[data.train].T:
            model = LogisticRegression(max_iter=300).fit(X, label)
            scores.append(model.decision_function(test))
        return np.column_stack(scores), 2 * (X.shape[1] + 1)


def one_hot(rows: QueryRows) -> sparse.csr_matrix:
    """Return the numbers of nets, and a column per value of each category."""
    parts = [sparse.csr_matrix(rows.scaler.inputs(rows.numbers))]
    for codes, known in zip(rows.codes.T, rows.scaler.values, strict=True):
        ones = np.ones(codes.size, np.float32), (np.arange(codes.size), codes)
        parts.append(sparse.csr_matrix(ones, shape=(codes.size, len(known) + 1)))
    return sparse.hstack(parts, format="csr")


def results(pair: Pair, names: Sequence[str], seeds: int, file: Path) -> pl.DataFrame:
    """Train what the file lacks, a line at a time; return the lines of the pair."""
    tasks = "+".join(pair.census.tasks)
    known = pl.read_csv(file) if file.exists() else pl.DataFrame(schema={"tasks": pl.String})
    done = set(known.filter(tasks=tasks)["model", "seed"].iter_rows()) if known.height else set()
    wanted = ((seed, name) for seed in range(seeds) for name in names)
    assert pair.rows and pair.test, "read before the clock starts"
    for seed, name in wanted:
        if (name, seed) in done:
            continue
        start = time.process_time()
        if name in NETS:
            scores, weights = pair.net(name, seed)
        else:
            scores, weights = (pair.lightgbm if name == LIGHTGBM else pair.logistic)(seed)
        seconds = time.process_time() - start
        columns = zip(pair.census.label.T, scores.T, strict=True)
        first, second = (float(roc_auc_score(label > 0, score)) for label, score in columns)
        line = {"tasks": tasks, "model": name, "seed": seed, "first": first, "second": second,
                "seconds": round(seconds, 1), "weights": weights}  # fmt: skip
        with open(file, "ab") as out:
            pl.DataFrame([line]).write_csv(out, include_header=out.tell() == 0)
        print(*line.values(), flush=True)
    return pl.read_csv(file).filter(pl.col("seed") < seeds, tasks=tasks)


def cells(lines: pl.DataFrame, names: Sequence[str]) -> Iterator[list[object]]:
    """Format the means over seeds: a row per model; lines: of a pair."""
    of = {name: lines.filter(model=name).sort("seed") for name in names}
    for name, table in of.items():
        row: list[object] = [name]
        for column in ("first", "second"):
            value = table[column].to_numpy()
            row += [f"{value.mean():.4f}", f"{value.std(ddof=1):.4f}" if value.size > 1 else ""]
            row += delta(value, of[SINGLE][column].to_numpy()) if name != SINGLE else ["", ""]
        seconds = table["seconds"].to_numpy().mean()
        yield [*row, f"{seconds:.0f}", f"{int(table['weights'][0]):,}"]


def delta(value: np.ndarray, base: np.ndarray) -> list[str]:
    """Format the mean of paired differences and its 95 % interval."""
    n = min(value.size, base.size)
    difference = value[:n] - base[:n]
    if n < 2:
        return [f"{difference.mean():+.4f}", ""]
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / n**0.5
    mean = difference.mean()
    return [f"{mean:+.4f}", f"[{mean - half:+.4f}, {mean + half:+.4f}]"]


def main(argv: list[str]) -> int:
    """Train, print, append."""
    parser = argparse.ArgumentParser(prog="bench.census", description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*NETS, LOGISTIC, LIGHTGBM])
    args = parser.parse_args(argv)
    names, notes = args.only or [LOGISTIC, LIGHTGBM, *NETS], [f"{args.seeds} seeds"]
    if importlib.util.find_spec("torch_rechub") is None:
        names = [name for name in names if not isinstance(NETS.get(name), Rechub)]
        notes.append("without torch-rechub, which is not installed: pip install torch-rechub")
    names = list(dict.fromkeys([SINGLE, *names]))
    args.output.mkdir(parents=True, exist_ok=True)
    train = read(args.input, "census-income.data", quote="'")
    test = read(args.input, "census-income.test", quote=None)
    for tasks in PAIRS:
        pair = Pair(Census.of(train, test, tasks, args.output / f"{tasks[1]}.parquet"), args.output)
        lines = results(pair, names, args.seeds, args.output / "census.csv")
        facts = f"AUC of {tasks[0]}, then of {tasks[1]}; {len(test):,} test rows"
        heading = measure.title(measure.origin(argv, "bench.census"), facts, *notes)
        measure.append_table(heading, measure.table(HEAD, cells(lines, names)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
