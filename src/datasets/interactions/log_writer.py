"""Turn the files of a log into parquet parts: dense ids, sorted by user and time, told once.

A part holds whole users. Texts are written out first, then numbers. So nothing but the tables of
ids and one part is in memory at a time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import polars as pl

from src.core.arrays import I64, offsets_of_sizes, positions
from src.core.run import Run
from src.datasets.interactions import text_files
from src.datasets.interactions.ids import numbers_of, sorted_ids
from src.datasets.interactions.log import PART_ROWS, Facts, InteractionLog
from src.datasets.interactions.rows import RowReader
from src.datasets.interactions.sources import ITEMS, TEST_USERS, USERS, Sources
from src.datasets.interactions.tables import table_ids
from src.datasets.interactions.time_columns import COARSE
from src.datasets.interactions.types import ONLY, RATING, number_types
from src.datasets.session_log import SESSION_ROWS

PART = 4_000_000  # rows of a part, about
MEMORY, MEMORY_PER_BYTE, DISK_PER_BYTE = 1e9, 1.5, 1.5  # of the raw files
EVENT = ("user", "item", "ts", "type", "rating")  # rows with the same values are doubled


def read_log(run: Run, sources: Sources, kept_types: tuple[str, ...]) -> InteractionLog:
    """Bring output/raw/log*.parquet up to date; kept_types: those that are never joined."""
    log = InteractionLog(run.input, run.output / "raw" / "log.parquet")
    if log.table.exists() and not all(part.exists() for part in log.parts()):
        log.table.unlink()
    columns = [columns for _, columns in sources.logs]
    key = {"source": sources.key, "columns": columns, "types": kept_types}
    key |= {} if sources.shuffle is None else {"shuffle": sources.shuffle}

    def make(temporary: dict[Path, Path]) -> None:
        size = sum(table.path.stat().st_size for table, _ in sources.logs)
        run.budget.claim("read log", MEMORY + MEMORY_PER_BYTE * size, DISK_PER_BYTE * size)
        with TemporaryDirectory(dir=run.output, prefix=".part-log-") as folder:
            LogWriter(run, sources, log, Path(folder)).write(temporary, kept_types)

    run.build_many(dict.fromkeys(log.files, key), make, [], _texts_of(run).write_texts)
    return log


def _texts_of(run: Run) -> ModuleType:
    """Return the module that writes texts in the way of the engine."""
    return run.engine.twin(text_files.__name__) or text_files


@dataclass(frozen=True)
class LogWriter:
    """Writes the parts and tables of a log."""

    run: Run
    sources: Sources
    log: InteractionLog
    folder: Path  # of files that are removed in the end

    def write(self, temporary: dict[Path, Path], kept_types: tuple[str, ...]) -> None:
        """Write the parts, and the tables of the log to their temporary paths."""
        unit = self._write_texts()
        texts = pl.scan_parquet(self.folder / "text-*.parquet")
        complete = texts.filter(pl.all_horizontal(pl.col(self._needed).is_not_null()))
        rows, kept = (
            t.select(pl.len()).collect(engine="streaming").item() for t in (texts, complete)
        )
        if not kept:
            raise ValueError(
                f"{self.run.input}: no row has all of {', '.join(self._needed)}; name the columns "
                "that have them, --columns user=uid,item=iid,time=ts"
            )
        users, _ = self._ids(complete, "user", (USERS, TEST_USERS))
        items, n_items = self._ids(complete, "item", (ITEMS,))
        if self.sources.shuffle is not None:
            order = np.random.default_rng(self.sources.shuffle).permutation(items.height)
            items = items[order]
        types = self._types(complete, kept_types)
        self._write_numbers(complete, users, items, types)
        times = pl.scan_parquet(self.folder / "number-*.parquet").select("ts")
        coarse = times.select((pl.col("ts") % COARSE == 0).all()).collect(engine="streaming").item()
        told_once = not (unit and coarse)
        sessions, doubled = self._write_parts(users, told_once)
        names = tuple(dict.fromkeys(types.values()))
        facts = Facts(
            rows, rows - kept, doubled, told_once, unit, names, self._has("rating"), n_items
        )
        tables = {self.log.table: sessions, self.log.users: users, self.log.items: items}
        for path, file in temporary.items():
            if path == self.log.facts_file:
                file.write_text(json.dumps(asdict(facts)))
            else:
                tables[path].write_parquet(file)

    def _has(self, column: str) -> bool:
        return getattr(self.sources.logs[0][1], column) is not None

    @property
    def _needed(self) -> list[str]:
        """Columns without which a row does not count; of events of types, some have a rating."""
        kind = "type" if self._has("type") else "rating"
        return ["user", "item", "ts", *([kind] if self._has(kind) else [])]

    def _write_texts(self) -> str:
        """Write ROWS of all files, in order; return the unit of their times."""
        rows, units = 0, dict[str, str]()
        for number, (table, columns) in enumerate(self.sources.logs):
            reader = RowReader(table, columns)
            stem = self.folder / f"text-{number:03}"
            rows += _texts_of(self.run).write_texts(self.run, reader, stem)
            units[reader.unit] = table.path.name
        if rows == 0:
            raise ValueError(f"{self.run.input}: no rows but the header; give a log with events")
        return ", ".join(units)

    def _ids(
        self, rows: pl.LazyFrame, column: str, tables: tuple[str, ...]
    ) -> tuple[pl.DataFrame, int]:
        """Collect all ids of a column of the log and of tables, sorted; count those of the log."""
        of_log = rows.select(pl.col(column).unique()).collect(engine="streaming").to_series()
        role = self.sources.who if column == "user" else column
        opened = [self.sources.tables[name] for name in tables if name in self.sources.tables]
        of_all = pl.concat([of_log, *(table_ids(t, role) for t in opened)]).unique()
        return sorted_ids(of_all), of_log.len()

    def _types(self, rows: pl.LazyFrame, kept_types: tuple[str, ...]) -> dict[str, str]:
        """Name the event types: text of the log -> name."""
        if not self._has("type"):
            only = RATING if self._has("rating") else ONLY
            if set(kept_types) - {only}:
                raise ValueError(
                    "--weights: the log has no column of types; name it, --columns type=kind, or "
                    "leave --weights out"
                )
            return {"": only}
        counts = rows.group_by("type").agg(pl.len()).collect(engine="streaming")
        return number_types(counts, kept_types)

    def _write_numbers(
        self, rows: pl.LazyFrame, users: pl.DataFrame, items: pl.DataFrame, types: dict[str, str]
    ) -> None:
        """Write the rows with dense ids, file by file, in order."""
        names = list(dict.fromkeys(types.values()))
        of_type = pl.DataFrame(
            {"type": list(types), "type_number": [names.index(name) for name in types.values()]},
            schema={"type": pl.String, "type_number": pl.Int8},
        )
        ids = {"user": numbers_of(users, "user"), "item": numbers_of(items, "item"),
               "type": of_type}  # fmt: skip
        for text in sorted(self.folder.glob("text-*.parquet")):
            table = pl.read_parquet(text).drop_nulls(self._needed)
            table = table.with_columns(pl.col("type").fill_null(""))
            for name, numbers in ids.items():
                table = table.join(numbers, on=name, how="left", maintain_order="left")
            table = table.select(
                user="user_number", item="item_number", ts="ts", type="type_number", rating="rating"
            )
            table.write_parquet(text.with_name(text.name.replace("text", "number")))
            text.unlink()

    def _write_parts(self, users: pl.DataFrame, told_once: bool) -> tuple[pl.DataFrame, int]:
        """Write the parts; return SESSION_ROWS of all users, and the number of doubled rows."""
        numbers = pl.scan_parquet(self.folder / "number-*.parquet")
        count = np.zeros(users.height, np.int64)
        for file in sorted(self.folder.glob("number-*.parquet")):
            of_file = pl.read_parquet(file, columns=["user"])["user"].to_numpy()
            count += np.bincount(of_file, minlength=users.height)
        raw = users["id"] if users["id"].dtype == pl.Int64 else pl.Series(range(users.height))
        tables, doubled = [], 0
        for n, (first, end) in enumerate(_ranges(count)):
            of_range = numbers.filter(pl.col("user").is_between(first, end - 1)).collect()
            part = of_range.sort("user", "ts", maintain_order=True)
            once = part.unique(EVENT, keep="first", maintain_order=True)
            doubled += part.height - once.height
            part = once if told_once else part
            sessions = _write_part(part, first, end, raw[first:end], self.log.part(n))
            tables.append(sessions.with_columns(part=pl.lit(n, pl.Int32)))
        return pl.concat(tables).select(SESSION_ROWS.names()).cast(SESSION_ROWS), doubled


def _ranges(count: I64) -> list[tuple[int, int]]:
    """Cut users into ranges of about PART rows."""
    part = np.cumsum(count) // PART
    bounds = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
    return list(zip(bounds, [*bounds[1:], count.size], strict=True))


def _write_part(
    rows: pl.DataFrame, first: int, end: int, raw: pl.Series, path: Path
) -> pl.DataFrame:
    """Write the sorted rows of users first : end as PART_ROWS; return their SESSION_ROWS.

    raw: the number that stands for each user in SESSIONS. A user without rows has 0 events.
    """
    size = np.bincount(rows["user"].to_numpy() - first, minlength=end - first)
    offsets = offsets_of_sizes(size)
    table = rows.with_columns(
        line=pl.col("user"), session=raw.gather(rows["user"] - first),
        position=pl.Series(positions(offsets)),
    )  # fmt: skip
    table.select(PART_ROWS.names()).cast(PART_ROWS).write_parquet(path)
    some, ts = pl.Series(size > 0), rows["ts"]
    begin = pl.Series(np.where(size > 0, offsets[:-1], 0)).cast(pl.UInt32)
    last = pl.Series(np.where(size > 0, offsets[1:] - 1, 0)).cast(pl.UInt32)
    return pl.DataFrame(
        {
            "line": range(first, end), "session": raw, "events": size,
            "first": ts.gather(begin).set(~some, None), "last": ts.gather(last).set(~some, None),
        }
    )  # fmt: skip
