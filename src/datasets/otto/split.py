"""Raw sessions -> dense events, queries and labels of the splits, as the OTTO organisers cut them.

`valid` holds out the sessions that begin in the last days of train, trims all others at that
moment, and cuts each held-out one at random; `test` is all of train, then the test sessions.
`again_1`, ... are `valid` with each session cut at another random event, and `earlier_1`, ... what
it would have been one, two, ... windows before: more to learn from where `valid` has little.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core import store
from src.core.arrays import hash_unit
from src.core.parquet import TableWriter, count_rows
from src.data.folds import AGAIN
from src.data.schemas import EVENTS, LABELS, SESSIONS
from src.datasets.otto.raw import (
    Raw,
    read,
    refuse_common_sessions,
    refuse_other_download,
    refuse_swapped_files,
)

if TYPE_CHECKING:
    from src.core.run import Run


DAY_MS = 86_400_000
ALL, ALWAYS = 2**31 - 1, 2**63 - 1
ROW_GROUP = 1 << 20
WINDOWS = 8  # held out at most: valid and the earlier ones

PLAN = pl.Schema(
    {
        "line": pl.Int32,
        "session": pl.Int64,
        "query": pl.Boolean,
        "keep": pl.Int32,
        "until": pl.Int64,
    }
)
"""One session a row, in dense order: line in its file, at most how many events, before which ms."""


def prepare_otto(run: Run) -> None:
    """Make items.parquet and the tables of all splits; without test.jsonl, there is no `test`.

    Raises ValueError, naming file, line and cure, for whatever is wrong with the raw files.
    """
    # until all is made, no other step may take the old splits with the new items
    (run.output / "splits.json").unlink(missing_ok=True)
    raws = [raw for stem in ("train", "test") if (raw := _read(run, stem))]
    data = Data(run, raws[0], raws[1] if len(raws) > 1 else None)
    with run.step("items") as facts:
        item_ids = data.build("items.parquet", data.items, run.recipe.expect, data.tables)
        facts["items"] = count_rows(item_ids)
    splits = ["valid"]
    queries = _make_window(data, "valid")
    if data.test:
        splits.append("test")
        plan = data.build("raw/plan-test.parquet", data.plan_test, None, data.tables)
        _make_split(data, "test", data.raws, plan)
    more = [(f"{AGAIN}_{n}", 0, n) for n in range(1, run.recipe.truncations)]
    more += [(f"earlier_{back}", back, 0) for back in range(1, data.windows)]
    for split, back, draw in more:
        if queries >= run.recipe.train_queries:
            break
        if found := _make_window(data, split, back, draw):
            splits.append(split)
            queries += found
    store.write_text(run.output / "splits.json", json.dumps(splits))


def _make_window(data: Data, split: str, back: int = 0, draw: int = 0) -> int:
    """The valid split, cut anew or what it would have been before; its number of queries."""
    rows = (data.days, back, draw)
    plan = data.build(
        f"raw/plan-{split}.parquet", lambda path: data.plan_window(path, back, draw), rows,
        data.tables,
    )  # fmt: skip
    queries = int(pl.scan_parquet(plan).select(pl.col("query").sum()).collect().item())
    if queries:
        _make_split(data, split, [data.train], plan)
    return queries


def _read(run: Run, stem: str) -> Raw | None:
    with run.step(f"read {stem}") as facts:
        raw = read(run, stem)
        if raw:
            facts["sessions"], facts["events"] = raw.counts()
        elif stem == "train":
            raise FileNotFoundError(
                f"{run.input / 'train.jsonl'} not found (nor .gz, .zst); put the competition's "
                "file there or name its folder with --input"
            )
        else:
            facts["not found:"] = "preparing valid only"
        return raw


def _make_split(data: Data, split: str, raws: list[Raw], plan: Path) -> None:
    """Sessions, labels and at last events: where a split's events are, the rest of it is."""
    objectives = [o.name for o in data.run.recipe.objectives]
    cut = Cut(data.run, plan, raws)
    inputs = [plan, data.run.output / "items.parquet"]
    with data.run.step(split) as facts:
        sessions = data.build(f"{split}/sessions.parquet", cut.sessions, None, [plan])
        facts["sessions"] = count_rows(sessions)
        facts["queries"] = pl.scan_parquet(sessions).select(pl.col("query").sum()).collect().item()
        if split != "test":
            rows = [(o.name, o.next_only) for o in data.run.recipe.objectives]
            labels = data.build(f"{split}/labels.parquet", cut.labels, rows, inputs)
            counts = pl.read_parquet(labels)["objective"].value_counts()
            facts |= {f"{objectives[o]} labels": n for o, n in sorted(counts.iter_rows())}
        facts["events"] = count_rows(
            data.build(f"{split}/events.parquet", cut.events, None, inputs)
        )


@dataclass(frozen=True)
class Data:
    """A run and its raw files."""

    run: Run
    train: Raw
    test: Raw | None

    @property
    def raws(self) -> list[Raw]:
        return [self.train] if self.test is None else [self.train, self.test]

    @property
    def tables(self) -> list[Path]:
        return [raw.table for raw in self.raws]

    def build(
        self, name: str, make: Callable[[Path], None], rows: object, inputs: list[Path]
    ) -> Path:
        path, recipe = self.run.output / name, self.run.recipe
        key = {"rows": rows, "sample": self.run.sample, "seed": recipe.seed}
        self.run.build(path, make, {**key, "code": store.code_version(Path(__file__))}, inputs)
        return path

    def kept(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of the sessions that --sample keeps: by raw id, so alike in every file."""
        if self.run.sample == 1:
            return rows
        return rows.filter(hash_unit(pl.col("session"), self.run.recipe.seed) < self.run.sample)

    def items(self, path: Path) -> None:
        """The raw ids of all items, sorted; refuses a wrong download on the way."""
        if self.test:
            refuse_common_sessions(self.train, self.test)
            refuse_swapped_files(self.train, self.test)
        found = []
        for raw in self.raws:
            parts = self.run.progress(raw.parts(), f"items of {raw.table.stem}")
            seen = [self.kept(pl.scan_parquet(p)).select("aid").unique().collect() for p in parts]
            item_ids = pl.concat(seen).unique()
            wanted = dict(self.run.recipe.expect).get(raw.table.stem)
            if wanted and self.run.sample == 1:
                refuse_other_download(raw, wanted, item_ids.height)
            found.append(item_ids)
        pl.concat(found).unique().sort("aid").rename({"aid": "item_id"}).write_parquet(path)

    def plan_window(self, path: Path, back: int, draw: int) -> None:
        """The organisers' split and truncation, both as older versions of their script do it.

        For an earlier window, on what was known `back` windows before the end of train; `draw`
        numbers the truncations of a window.
        """
        start = self._start(back)
        until = self._start(back - 1) if back else ALWAYS
        sessions = self.kept(self.train.sessions()).collect(engine="streaming")
        history = sessions.filter(pl.col("first") < start)
        held_out = sessions.filter(pl.col("first") > start, pl.col("first") < until)
        if back:
            held_out = self._until(held_out, until)
        held_out = held_out.filter(pl.col("events") > 1)
        for part, change in ((history, "smaller"), (held_out, "larger")):
            if part.is_empty() and not back:
                what = "before" if part is history else "in"
                raise ValueError(
                    f"{self.train.source}: no session begins {what} the last {self.days:g} days, "
                    "which are held out; "
                    f"set a {change} split_days in the recipe, or raise --sample"
                )
        drawn = random.Random(self.run.recipe.seed + draw)
        keep = [drawn.randint(1, n - 1) for n in held_out["events"]]
        queries = _plan(held_out, True, keep, until)
        pl.concat([_plan(history, False, until=start), queries]).write_parquet(path)

    def _until(self, sessions: pl.DataFrame, until: int) -> pl.DataFrame:
        """Sessions with the number of their events before a moment."""
        before = self.train.events().filter(pl.col("ts") < until).group_by("line").agg(n=pl.len())
        counted = sessions.lazy().join(before, on="line", how="left", maintain_order="left")
        return counted.with_columns(events=pl.col("n").cast(pl.Int32)).collect(engine="streaming")

    def _start(self, back: int) -> int:
        return _end(self.train) - round((back + 1) * self.days * DAY_MS)

    @cached_property
    def days(self) -> float:
        """Length of a held-out window: the recipe's, else that of the test file, else a week."""
        if self.run.recipe.split_days is not None:
            return self.run.recipe.split_days
        return max(1, round((_end(self.test) - _end(self.train)) / DAY_MS)) if self.test else 7

    @property
    def windows(self) -> int:
        """How many windows can be held out with at least two windows of history before each."""
        first = self.train.sessions().select(pl.col("first").min()).collect().item()
        windows = int((_end(self.train) - first) / (self.days * DAY_MS) - 2 + 0.01)
        return min(windows, WINDOWS)

    def plan_test(self, path: Path) -> None:
        """All of train, then all of test."""
        train, test = (self.kept(raw.sessions()).collect() for raw in self.raws)
        if test.is_empty():
            raise ValueError(f"--sample {self.run.sample} keeps no test session; raise it")
        pl.concat([_plan(train, False), _plan(test, True)]).write_parquet(path)


def _end(raw: Raw) -> int:
    return int(raw.sessions().select(pl.col("last").max()).collect().item())


def _plan(
    sessions: pl.DataFrame, query: bool, keep: list[int] | None = None, until: int = ALWAYS
) -> pl.DataFrame:
    kept = pl.lit(ALL) if keep is None else pl.Series(keep)
    columns = sessions.with_columns(query=pl.lit(query), keep=kept, until=pl.lit(until))
    return columns.select(PLAN.names()).cast(PLAN)


@dataclass(frozen=True)
class Cut:
    """What a plan leaves of the raw files: history comes from the first, queries from the last."""

    run: Run
    plan: Path
    raws: list[Raw]

    def sessions(self, path: Path) -> None:
        plan = pl.scan_parquet(self.plan)
        plan.select(SESSIONS.names()).sink_parquet(path, row_group_size=ROW_GROUP)

    def events(self, path: Path) -> None:
        """Events before the cut."""
        seen = (pl.col("position") < pl.col("keep")) & (pl.col("ts") < pl.col("until"))
        with TableWriter(path, EVENTS) as writer:
            for query in (False, True):
                for rows in self._dense(query, seen):
                    ts = (pl.col("ts") // 1000).cast(pl.Int32)
                    writer.add(rows.with_columns(ts).select(EVENTS.names()))

    def labels(self, path: Path) -> None:
        """Events behind the cut: the next one of an objective, or all different items."""
        behind = (pl.col("position") >= pl.col("keep")) & (pl.col("ts") < pl.col("until"))
        found = [pl.DataFrame(schema=LABELS)]
        for rows in self._dense(True, behind):
            for n, objective in enumerate(self.run.recipe.objectives):
                ahead = rows.filter(pl.col("type") == self.run.recipe.types.index(objective.name))
                if objective.next_only:
                    first = pl.col("position") == pl.col("position").min().over("session")
                    ahead = ahead.filter(first)
                found.append(ahead.select("session", pl.lit(n, pl.Int8).alias("objective"), "item"))
        pl.concat(found).unique().sort(LABELS.names()).write_parquet(path)

    def _dense(self, query: bool, which: pl.Expr) -> Iterator[pl.DataFrame]:
        """Raw events of the history or the queries, in order, with dense session and item.

        A frame per part of the raw file (whole sessions), so that only one is in memory.
        """
        plan = pl.read_parquet(self.plan).with_row_index("dense").filter(pl.col("query") == query)
        plan = plan.select("line", "keep", "until", pl.col("dense").cast(pl.Int32))
        item_ids = pl.read_parquet(self.run.output / "items.parquet")["item_id"]
        parts, name = self.raws[-1 if query else 0].parts(), "queries" if query else "history"
        for part in self.run.progress(parts, f"{self.plan.stem}, {name}"):
            rows = pl.read_parquet(part)
            first, end = plan["line"].search_sorted([rows["line"][0], rows["line"][-1] + 1])
            lines = plan.slice(first, end - first)
            if lines.height:
                rows = rows.join(lines, on="line", maintain_order="left").filter(which)
                item = item_ids.search_sorted(rows["aid"]).cast(pl.Int32)
                yield rows.with_columns(item=item).rename({"session": "raw", "dense": "session"})
