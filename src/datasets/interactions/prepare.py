"""Read a log and its tables of items and users; note what was found (step 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.datasets.interactions.choose import Choice, choose
from src.datasets.interactions.columns import Columns
from src.datasets.interactions.flags import Flags
from src.datasets.interactions.found import FILE, Found
from src.datasets.interactions.holdout import RANDOM, TIME
from src.datasets.interactions.log import InteractionLog
from src.datasets.interactions.log_writer import read_log
from src.datasets.interactions.sources import ITEMS, TEST_USERS, USERS, Sources, Table
from src.datasets.interactions.tables import NUMBER, attributes, read_table, table_ids
from src.metrics.ndcg import LARGEST


@dataclass(frozen=True)
class Preparation:
    """Makes the log, items.parquet, the context of users, and dataset.json."""

    run: Run
    sources: Sources
    flags: Flags
    texts: dict[str, str]  # all flags, as they are kept in dataset.json

    @property
    def raw(self) -> Path:
        return self.run.output / "raw"

    @cached_property
    def log(self) -> InteractionLog:
        """Bring the log up to date."""
        with self.run.step("read log") as summary:
            log = read_log(self.run, self.sources, tuple(name for name, _ in self.flags.weights))
            facts = log.facts()
            summary |= {"rows": facts.rows, "left out, without an id or a value": facts.missing}
            told = "counted once" if facts.told_once else "kept: times are whole minutes"
            summary |= {f"doubled ({told})": facts.doubled}
            summary |= {f"{self.sources.who}s": count_rows(log.users)}
            summary |= {"types": " ".join(facts.types)}
        self._print_columns(log)
        return log

    def _print_columns(self, log: InteractionLog) -> None:
        """Print which columns were read, and files that were not."""
        unit = log.facts().unit
        named = [f"{role} {name}" for role, name in self.columns.items()]
        print(f"columns: {', '.join(named)}" + (f" in {unit}" if unit else "; no times"))
        if self.sources.ignored:
            print(f"not read, without user and item: {', '.join(self.sources.ignored)}")

    @property
    def columns(self) -> dict[str, str]:
        """Role -> name of the column, or its number from 1, in the first file."""
        table, columns = self.sources.logs[0]
        return {role: _names(table, columns, role) for role in ROLES if _numbers(columns, role)}

    def make_items(self) -> dict[str, str]:
        """Bring items.parquet up to date; return the kinds of its attributes."""
        kinds, path = self.raw / "attributes.json", paths.items(self.run)
        table = self.sources.tables.get(ITEMS)

        def make(temporary: dict[Path, Path]) -> None:
            ids = pl.read_parquet(self.log.items)
            known, kind_of = _attributes(table, "item", ids)
            for file, part in temporary.items():
                if file == path:
                    known.rename({"id": "item_id"}).write_parquet(part)
                else:
                    part.write_text(json.dumps(kind_of))

        with self.run.step("items") as summary:
            self.run.build_many(
                dict.fromkeys([path, kinds], table and table.key), make, [self.log.items]
            )
            found: dict[str, str] = json.loads(kinds.read_text())
            summary |= {"items": count_rows(path), "attributes": len(found)}
        return found

    def make_context(self) -> tuple[Path | None, dict[str, str]]:
        """Bring the table of users' attributes up to date; return it and their kinds."""
        table = self.sources.tables.get(USERS)
        if table is None:
            return None, {}
        path, kinds = self.raw / "context.parquet", self.raw / "context.json"

        def make(temporary: dict[Path, Path]) -> None:
            known, kind_of = _attributes(table, "user", pl.read_parquet(self.log.users))
            codes = [_code(known[name], kind).alias(name) for name, kind in kind_of.items()]
            line = pl.int_range(pl.len(), dtype=pl.Int32).alias("line")
            for file, part in temporary.items():
                if file == path:
                    known.with_columns(codes).select(line, *kind_of).write_parquet(part)
                else:
                    part.write_text(json.dumps(kind_of))

        self.run.build_many(dict.fromkeys([path, kinds], table.key), make, [self.log.users])
        return path, json.loads(kinds.read_text())

    def choice(self) -> Choice:
        """Choose the window, and for whom lists are; print it.

        Raises ValueError for a log without times, where the flags need them.
        """
        holdout, who = self.flags.holdout, self.sources.who
        if not self.log.facts().unit and holdout.rule != RANDOM:
            raise ValueError(
                f"{self.run.input}: no column of times, which --split {holdout.text} needs; "
                "name it, --columns time=ts, or give --split random:0.25"
            )
        self._require_ratings()
        choice = choose(self.log, who, holdout)
        before = f"{choice.returning:.0%} of the {who}s in the last window were there before"
        print(f"held out: {choice.holdout.text}; lists for {choice.who}s"
              + (f" ({before})" if holdout.rule == TIME else ""))  # fmt: skip
        if holdout.rule == TIME and (late := self.log.late_sessions()):
            print(f"the log ends at {datetime.fromtimestamp(self.log.end() // 1000, UTC):%F %R} "
                  f"UTC: {late:,} {choice.who}s go on alone, in the last window")  # fmt: skip
        return choice

    def _require_ratings(self) -> None:
        """Raise ValueError where the flags need ratings that the log does not have."""
        if not self.flags.reads_ratings:
            return
        if not self.log.facts().has_ratings:
            raise ValueError(
                f"{self.run.input}: no column of ratings for --relevant and --grades; name it, "
                "--columns rating=stars, or leave the flags out"
            )
        lowest = self.flags.relevant if self.flags.relevant is not None else 0.0
        highest = self.log.events().select(pl.col("rating").max()).collect().item()
        if highest < lowest or highest <= 0:
            raise ValueError(
                f"{self.run.input}: no rating makes a positive, the highest is {highest:g}; "
                "give a lower --relevant"
            )

    def _has_whole_ratings(self) -> bool:
        """Whether all ratings are whole numbers of at most LARGEST."""
        rating = pl.col("rating")
        whole = ((rating == rating.round()) & (rating <= LARGEST)).fill_null(True).all()
        return bool(self.log.events().select(whole).collect(engine="streaming").item())

    def found(self, choice: Choice, attributes: dict[str, str], context: dict[str, str]) -> Found:
        """Write dataset.json; return what it holds."""
        log, path = self.log, self.run.output / FILE
        facts, (_, events) = log.facts(), log.counts()
        found = Found(
            flags=self.texts,
            who=choice.who,
            days=choice.holdout.amount if choice.holdout.rule == TIME else 0.0,
            columns=self.columns,
            unit=facts.unit,
            types=facts.types,
            has_ratings=facts.has_ratings,
            whole_ratings=self._has_whole_ratings(),
            attributes=attributes,
            context=context,
            has_titles="title" in pl.read_parquet_schema(paths.items(self.run)),
            has_created="created" in pl.read_parquet_schema(paths.items(self.run)),
            events=events,
            users=count_rows(log.users),
            items=count_rows(paths.items(self.run)),
            cold_items=count_rows(paths.items(self.run)) - facts.items,
            first=log.start() // 1000,
            last=log.end() // 1000,
        )
        self.run.build(path, found.write, found, [log.table, paths.items(self.run)])
        return found

    def asked(self) -> pl.Series | None:
        """Return the numbers of the users in the table of test users; None without one."""
        table = self.sources.tables.get(TEST_USERS)
        if table is None:
            return None
        ids = pl.read_parquet(self.log.users)["id"].cast(pl.String)
        asked = table_ids(table, "user")
        return ids.is_in(asked.implode()).arg_true().cast(pl.Int32)


ROLES = ("session", "user", "item", "time", "type", "rating")


def _numbers(columns: Columns, role: str) -> list[int]:
    """Return the numbers of the columns that have a role."""
    if role in ("session", "user"):
        return [columns.user] if columns.who == role else []
    value = getattr(columns, role)
    return list(value) if role == "time" else [] if value is None else [value]


def _names(table: Table, columns: Columns, role: str) -> str:
    numbers = _numbers(columns, role)
    return "+".join(table.names[n] if table.has_header else str(n + 1) for n in numbers)


def _attributes(
    table: Table | None, role: str, ids: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Join the attributes of a table to all ids; return them with their kinds."""
    if table is None:
        return ids, {}
    known, kinds = attributes(read_table(table, role))
    texts = ids.select(pl.col("id").cast(pl.String), raw="id")
    joined = texts.join(known, on="id", how="left", maintain_order="left")
    return joined.drop("id").rename({"raw": "id"}), kinds


def _code(values: pl.Series, kind: str) -> pl.Series:
    """Convert an attribute of users to Int32; 0 where unknown."""
    whole = values.round() if kind == NUMBER else values
    return whole.cast(pl.Int32, strict=False).fill_null(0)
