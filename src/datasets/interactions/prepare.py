"""Read a log and its tables of items and users; note what was found (step 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS
from src.datasets.interactions.choose import SESSION, Choice, choose
from src.datasets.interactions.columns import Columns
from src.datasets.interactions.flags import HELD_OUT, Flags
from src.datasets.interactions.found import FILE, Found
from src.datasets.interactions.holdout import RANDOM, TIME
from src.datasets.interactions.log import PART_ROWS, InteractionLog
from src.datasets.interactions.log_writer import read_log
from src.datasets.interactions.sources import ITEMS, TEST_USERS, USERS, Sources, Table
from src.datasets.interactions.tables import attributes, code_of, read_table, table_ids
from src.datasets.windows import PLAN
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

    @cached_property
    def dated(self) -> InteractionLog:
        """The log, where sessions that `test` asks for do not say when it ends."""
        return replace(self.log, asked=self.asked() if self.sources.who == SESSION else None)

    def _print_columns(self, log: InteractionLog) -> None:
        """Print which columns were read, and files that were not."""
        unit = log.facts().unit
        named = [f"{role} {name}" for role, name in self.columns.items()]
        print(f"columns: {', '.join(named)}" + (f" in {unit}" if unit else "; no times"))
        if unit:
            ends = log.sessions().select(pl.min("first"), pl.max("last")).collect().row(0)
            first, last = (datetime.fromtimestamp(ms // 1000, UTC) for ms in ends)
            print(f"events from {first:%F %R} to {last:%F %R} UTC")
        if self.sources.ignored:
            print(
                f"not read, without user and item: {', '.join(self.sources.ignored)} "
                "(tables are items.csv and users.csv)"
            )

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
            ids = pl.read_parquet(self.log.users)
            known, kind_of = _attributes(table, self.sources.who, ids)
            taken = {name: f"{name}_" for name in kind_of if name in TAKEN}
            known = known.rename(taken)
            kind_of = {taken.get(name, name): kind for name, kind in kind_of.items()}
            codes = [code_of(known[name], kind).alias(name) for name, kind in kind_of.items()]
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
        choice = choose(self.dated, who, holdout)
        before = f"{choice.returning:.0%} of the {who}s in the last window were there before"
        print(f"held out: {choice.holdout.text}; lists for {choice.who}s"
              + (f" ({before})" if holdout.rule == TIME else ""))  # fmt: skip
        if holdout.rule == TIME and (late := self.dated.late_sessions()):
            print(f"the log ends at {datetime.fromtimestamp(self.dated.end() // 1000, UTC):%F %R} "
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
        highest = self.log.events().select(pl.col("rating").max()).collect().item() or 0.0
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
            last=self.dated.end() // 1000,
        )
        self.run.build(path, found.write, found, [log.table, paths.items(self.run)])
        return found

    @cached_property
    def asked_ids(self) -> pl.Series | None:
        """The ids in the table of test users; None without one; ValueError for one of no use."""
        table = self.sources.tables.get(TEST_USERS)
        if table is None:
            return None
        asked = table_ids(table, self.sources.who)
        if self.flags.test_held_out or self.flags.candidates == HELD_OUT:
            raise ValueError(
                f"{table.path} asks for lists, but `test` is what the flags hide; remove it, or "
                "leave out --test held-out and --candidates held-out"
            )
        if asked.is_empty():
            raise ValueError(f"{table.path} asks for no {self.sources.who}; name some or remove it")
        return asked

    def asked(self) -> pl.Series | None:
        """Return the numbers of the users in the table of test users; None without one."""
        asked = self.asked_ids
        if asked is None:
            return None
        ids = pl.read_parquet(self.log.users)["id"].cast(pl.String)
        return ids.is_in(asked.implode()).arg_true().cast(pl.Int32)


TAKEN = {*PART_ROWS, *EVENTS, *PLAN, "raw", "dense"}
"""Columns of events on their way to a split: an attribute of users gets an underscore."""
OWN_ID = "id of the log"  # no attribute has blanks in its name
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
    texts = ids.select(pl.col("id").cast(pl.String), ids["id"].alias(OWN_ID))
    joined = texts.join(known, on="id", how="left", maintain_order="left")
    return joined.drop("id").rename({OWN_ID: "id"}), kinds
