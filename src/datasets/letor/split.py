"""Turn the raw files into the tables of all splits (step 1).

The train, vali and test files become the splits train_1, from which models only learn, valid and
test. Without a vali file, the train file becomes valid: models are cross-validated by query. The
grades of a test file, if it has any, become its labels; only `make score` reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import polars as pl

from src.core.arrays import hash_unit
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS, LABELS
from src.data.splits import ROLES, Split, remove_splits, write_splits
from src.datasets.letor import description, files, given
from src.datasets.letor.raw import RawFile, read_file
from src.datasets.letor.text import number_of_feature

ORDER_SEED = 7  # added to the recipe's seed, so that the order of the items follows no other draw
WHOLE_NUMBER = "^(0|[1-9][0-9]{0,17})$"  # a qid that is an Int64


def make_splits(run: Run) -> None:
    """Make items.parquet, dataset.json and the tables of all splits.

    Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    remove_splits(run)
    raw = []
    for role, path in files.find(run.input).items():
        with run.step(f"read {path.name}") as summary:
            raw.append(read_file(run, path, role))
            summary |= count(raw[-1])
    refuse_common_queries(raw)
    with run.step("items") as summary:
        inputs = [file.rows for file in raw]
        write = partial(write_items, raw, run.recipe.seed)
        run.build(paths.items(run), write, run.recipe.seed, inputs)
        summary["documents"] = count_rows(paths.items(run))
    columns = tuple(sorted(set().union(*(file.columns() for file in raw)), key=number_of_feature))
    if not columns:
        raise ValueError(f"{raw[0].source}: no line has a feature; write <index>:<value> pairs")
    numbers = has_numbers(raw)
    makers = [SplitMaker(run, f, role_of(f, raw), columns, numbers) for f in raw]
    splits = [maker.make() for maker in sorted(makers, key=lambda maker: ROLES.index(maker.role))]
    with run.step("features") as summary:
        summary |= description.write(run, splits[0].name, columns)
    write_splits(run, splits)


def role_of(file: RawFile, raw: list[RawFile]) -> str:
    """Return the role of a file's split: without a vali file, the train file is scored."""
    alone = file.role == "train" and not any(other.role == "valid" for other in raw)
    return "valid" if alone else file.role


def count(file: RawFile) -> dict[str, object]:
    """Count queries, documents and features of a file; and queries whose rows stand apart."""
    qid = pl.read_parquet(file.rows, columns=["qid"])["qid"]
    stretches = qid.rle().struct.field("value")
    queries = qid.n_unique()
    found: dict[str, object] = {"queries": queries, "documents": qid.len()}
    found["features"] = len(file.columns())
    if apart := stretches.filter(stretches.is_duplicated()).n_unique():
        found["queries in several places, put together"] = apart
    return found


def refuse_common_queries(raw: list[RawFile]) -> None:
    """Raise ValueError where a query is in two files."""
    firsts = [
        pl.scan_parquet(file.rows).group_by("qid").agg(pl.col("line").min()).collect()
        for file in raw
    ]
    for n, (file, first) in enumerate(zip(raw, firsts, strict=True)):
        for earlier, other in zip(raw[:n], firsts[:n], strict=True):
            both = first.join(other, on="qid").sort("line").head(1)
            for qid, line, line_there in both.iter_rows():
                raise ValueError(
                    f"{file.source}, line {line}: query {qid} is also in {earlier.source.name}, "
                    f"line {line_there}; a query belongs to one file"
                )


def has_numbers(raw: list[RawFile]) -> bool:
    """Whether all qids are whole numbers."""
    whole = pl.col("qid").str.contains(WHOLE_NUMBER).all()
    return all(pl.scan_parquet(file.rows).select(whole).collect().item() for file in raw)


def write_items(raw: list[RawFile], seed: int, path: Path) -> None:
    """Write items.parquet: the documents of all files, in an order drawn by hash.

    Where scores are equal, the lower item comes first. A file may be sorted by grade, so its order
    must not decide.
    """
    docs = pl.concat([pl.scan_parquet(file.rows).select("doc") for file in raw])
    items = docs.unique(maintain_order=True).with_row_index("n").collect()
    order = items.select(hash_unit(pl.col("n"), seed + ORDER_SEED)).to_series().arg_sort()
    items.select(item_id=pl.col("doc").gather(order)).write_parquet(path)


@dataclass(frozen=True)
class SplitMaker:
    """Builds the tables of one split from one raw file."""

    run: Run
    file: RawFile
    role: str
    columns: tuple[str, ...]  # features of all files
    numbers: bool  # whether all qids are whole numbers

    @property
    def name(self) -> str:
        return "train_1" if self.role == "train" else self.role

    def make(self) -> Split:
        """Bring the tables of the split up to date."""
        run, name = self.run, self.name
        write: dict[Path, Callable[[Path], object]] = {
            paths.sessions(run, name): self.write_sessions,
            paths.given(run, name): self.write_given,
            paths.labels(run, name): self.write_labels,
            paths.events(run, name): pl.DataFrame(schema=EVENTS).write_parquet,
        }
        if not self.file.is_graded():
            del write[paths.labels(run, name)]

        def make(parts: dict[Path, Path]) -> None:
            for path, part in parts.items():
                write[path](part)

        rows = (name, run.sample, run.recipe.seed, self.columns, self.numbers)
        inputs = [self.file.rows, paths.items(run)]
        with run.step(name) as summary:
            run.build_many(dict.fromkeys(write, rows), make, inputs)
            summary["queries"] = count_rows(paths.sessions(run, name))
            summary["documents"] = count_rows(paths.given(run, name))
        return Split.read(run, name, self.role, self.file.source.name)

    @cached_property
    def queries(self) -> pl.DataFrame:
        """Queries in file order, those of --sample: qid, and session, a number to hash."""
        qid = pl.read_parquet(self.file.rows, columns=["qid"])["qid"].unique(maintain_order=True)
        number = qid.cast(pl.Int64) if self.numbers else pl.Series(range(qid.len()))
        queries = pl.DataFrame({"qid": qid, "session": number})
        if (sample := self.run.sample) < 1:
            unit = hash_unit(pl.col("session"), self.run.recipe.seed)
            queries = queries.filter(unit < sample)
        if queries.is_empty():
            raise ValueError(f"--sample {sample} keeps no query of {self.file.source}; raise it")
        return queries

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Documents by session and item: these, the grade, and the row in the file."""
        rows = pl.read_parquet(self.file.rows, columns=["qid", "doc", "grade"])
        dense = self.queries.select("qid").with_row_index("session")
        items = pl.read_parquet(paths.items(self.run)).with_row_index("item")
        rows = rows.with_row_index("row").join(dense, on="qid")
        rows = rows.join(items, left_on="doc", right_on="item_id")
        rows = rows.cast({"session": pl.Int32, "item": pl.Int32})
        return rows.select("session", "item", "grade", "row").sort("session", "item")

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS: all are queries; texts as ids where some qid is no number."""
        columns = ["session", pl.lit(True).alias("query")]
        columns += [] if self.numbers else [pl.col("qid").alias("id")]
        self.queries.select(columns).write_parquet(path)

    def write_labels(self, path: Path) -> None:
        """Write LABELS: all documents with their grades."""
        objective = pl.lit(0, pl.Int8).alias("objective")
        self.rows.select("session", objective, "item", "grade").cast(LABELS).write_parquet(path)

    def write_given(self, path: Path) -> None:
        """Write the candidates and their values."""
        given.write_given(path, self.file, self.columns, self.rows)
