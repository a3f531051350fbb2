"""Turn the raw files into the log and the tables of all splits (step 1).

Rows up to a time are train_1, from which models only learn, later ones `valid`, and the last ones
test. Labels of the test, if there are any, become its labels; only `make score` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from src.core.arrays import hash_unit
from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import paths
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.antm2c import files, raw_parts, raw_rows
from src.datasets.antm2c.columns import LABEL, ROWS, USER
from src.datasets.antm2c.cuts import Part, find_cuts, split_parts, times
from src.datasets.antm2c.files import RawFile, rows_of
from src.datasets.antm2c.ids import blocks, build_ids
from src.datasets.antm2c.logs import of_part, write_shown
from src.datasets.antm2c.tables import SCHEMAS, TableMaker

BYTES_SHOWN = 100  # of a row, while the log is sorted
ROW_GROUP = 1 << 16  # rows of a group: who reads a batch reads whole groups


def make_splits(run: Run, max_bad: float) -> None:
    """Make items.parquet, the log and the tables of all splits.

    max_bad: share of bad rows that is allowed. Raises ValueError or FileNotFoundError, naming file,
    line or column, and cure.
    """
    remove_splits(run)
    raw = raw_parts.read_files(run)
    with run.step("quarantine") as summary:
        summary |= files.write_quarantine(run, raw, max_bad)
    with run.step("ids") as summary:
        ids = build_ids(run, raw)
        summary |= {"users": ids.users.len(), "items": ids.items.len()}
    with run.step("split by time") as summary:
        log = [file for file in raw if not file.is_test]
        cuts = find_cuts(times(log), alone=len(log) == len(raw))
        summary |= cuts.describe()
    parts = split_parts(raw, cuts)
    test = next((part for part in parts if part.role == "test"), None)
    known = test.first if test else max(part.end for part in parts)
    until = raw_rows.until_file(run.output / "raw")
    run.build(until, partial(raw_rows.write_until, known), known, [])
    with run.step("shown") as summary:
        run.budget.claim("shown", BYTES_SHOWN * sum(file.size for file in raw))
        path, inputs = paths.log(run, "shown"), [*rows_of(raw), paths.items(run)]
        run.build(path, partial(write_shown, raw, ids, test), cuts, inputs)
        summary["rows"] = count_rows(path)
    block_s = cuts.test - cuts.valid
    makers = [SplitMaker(run, part, raw, TableMaker(part, ids, block_s)) for part in parts]
    write_splits(run, [maker.make() for maker in makers])


@dataclass(frozen=True)
class SplitMaker:
    """Builds the tables of one split."""

    run: Run
    part: Part
    raw: Sequence[RawFile]
    tables: TableMaker

    def make(self) -> Split:
        """Bring the tables of the split up to date."""
        run, part = self.run, self.part
        names = {run.output / part.name / f"{name}.parquet": name for name in SCHEMAS}
        if not self.has_labels():
            del names[paths.labels(run, part.name)]
        rows = (part.name, part.first, part.end, self.tables.block_s, run.sample, run.recipe.seed)
        inputs = [*rows_of(self.raw), paths.items(run)]
        with run.step(part.name) as summary:
            run.build_many(dict.fromkeys(names, rows), partial(self.write, names), inputs)
            summary["rows"] = count_rows(paths.sessions(run, part.name))
            if part.role != "test":
                labels = pl.scan_parquet(paths.labels(run, part.name))
                summary["clicks"] = labels.select((pl.col("grade") > 0).sum()).collect().item()
        return Split.read(run, part.name, part.role, part.files[0].source.name)

    def has_labels(self) -> bool:
        """Whether some row of the part's files has a label."""
        rows = pl.scan_parquet(rows_of(self.part.files))
        return bool(rows.select(pl.col(LABEL).is_not_null().any()).collect().item())

    def write(self, names: dict[Path, str], parts: dict[Path, Path]) -> None:
        """Write the tables, block by block; a row is a session, in the order of the files."""
        session = 0
        with ExitStack() as stack:
            writers = {
                path: stack.enter_context(TableWriter(part, SCHEMAS[names[path]]))
                for path, part in parts.items()
            }
            for rows in self.rows():
                numbered = self.tables.ids.dense(rows).with_row_index("session", session)
                session += rows.height
                for path, writer in writers.items():
                    made = self.tables.make(names[path], numbered)
                    for group in made.iter_slices(ROW_GROUP):
                        writer.add(group)
        if not session:
            raise ValueError(
                f"--sample {self.run.sample} keeps no row of {self.part.name}; raise it"
            )

    def rows(self) -> Iterator[pl.DataFrame]:
        """Yield the rows of the split, those of --sample, in the order of the files."""
        for rows in blocks(self.raw, ROWS.names()):
            own = rows.filter(of_part(self.part, self.raw))
            if (sample := self.run.sample) < 1:
                own = own.filter(hash_unit(pl.col(USER), self.run.recipe.seed) < sample)
            if own.height:
                yield own
