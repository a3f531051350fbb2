"""Click logs of a news site -> dense events, queries and labels, one session a user.

The log stamps the last click of a visit exactly 30,000 ms after the one before it, so the ends of
all visits are known: they are events of type 1, all other clicks are of type 0. What is asked is
the end of the visit that a test user is in: its item, 30 s after the last visible click.

`valid` hides the last click of as many train users as there are test users, drawn so that their
activity is that of the test users. `more_1`, `more_2`, ... hide ends of all other users' visits to
learn from, the test users' earlier ones too: one end of a user in a split, the users' last ends
first, until there are as many queries as the recipe wants, or few are left. What the user clicked
behind a hidden end is a session of its own there. Nothing in a split was made from a click that it
hides, so what its queries see of the others' clicks (also later ones: the competition allows it) is
what the test queries see.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core import store
from src.core.arrays import hash_unit
from src.core.csvfile import read_integers
from src.data.schemas import EVENTS, LABELS, SESSIONS
from src.datasets.otto.jsonl_kernel import NEWEST, OLDEST
from src.datasets.tianchi import holdout as hidden

if TYPE_CHECKING:
    from src.core.run import Run


FEWEST = 0.1  # of the queries of `valid`: a split of fewer is not worth its matrices
TRAIN, TESTS, ARTICLES = "train_click_log.csv", "test*_click_log*.csv", "articles.csv"
CLICK = {"user_id": "user", "click_article_id": "item", "click_timestamp": "ts"}
CONTEXT = {
    "click_environment": "environment",
    "click_deviceGroup": "device",
    "click_os": "os",
    "click_country": "country",
    "click_region": "region",
    "click_referrer_type": "referrer",
}
ARTICLE = {
    "article_id": "item",
    "category_id": "category",
    "created_at_ts": "created",
    "words_count": "words",
}
SMALL = ("category_id", "words_count")
END_GAP = 30_000  # ms before the last click of a visit
FRESH = 86_400  # seconds: articles never clicked are items if created since a day before the log
MEMORY, MEMORY_SHARE = 3e8, 8  # bytes that reading takes, and per byte of the logs


def prepare_clicks(run: Run) -> None:
    """Make items.parquet and the tables of all splits.

    Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    (run.output / "splits.json").unlink(missing_ok=True)
    log = Log(run, run.input / TRAIN, test_file(run.input), run.input / ARTICLES)
    with run.step("read clicks") as facts:
        facts |= log.read()
    with run.step("items") as facts:
        facts |= log.items()
    splits = log.plan()
    for split in splits:
        with run.step(split) as facts:
            facts |= log.write(split)
    store.write_text(run.output / "splits.json", json.dumps(splits))


def test_file(folder: Path) -> Path | None:
    """The one test log of a folder; None where there is none."""
    found = sorted(folder.glob(TESTS))
    if len(found) > 1:
        raise ValueError(f"{folder}: {found[0].name} and {found[1].name}; keep the one to predict")
    return found[0] if found else None


@dataclass(frozen=True)
class Log:
    """The raw files of a run, and what is made of them."""

    run: Run
    train: Path
    test: Path | None
    articles: Path

    @property
    def clicks(self) -> Path:
        return self.run.output / "raw" / "clicks.parquet"

    @property
    def asked(self) -> Path:
        return self.run.output / "raw" / "asked.parquet"

    @property
    def key(self) -> dict[str, object]:
        """What all tables depend on; raises when a raw file is missing."""
        files = [file for file in (self.train, self.test, self.articles) if file]
        for file in files:
            if not file.exists():
                raise FileNotFoundError(
                    f"{file} not found; put the competition's files there or name their folder "
                    "with --input"
                )
        return {
            "files": [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files],
            "sample": self.run.sample,
            "seed": self.run.recipe.seed,
            "code": store.code_version(Path(__file__)),
        }

    def read(self) -> dict[str, object]:
        """raw/clicks.parquet: user, item, ts (ms), test, type and context, by user and time."""

        def make(path: Path) -> None:
            size = sum(file.stat().st_size for file in (self.train, self.test) if file)
            self.run.budget.claim("read clicks", MEMORY + MEMORY_SHARE * size, size)
            parts = [self._read(self.train, False)]
            if self.test:
                parts.append(self._read(self.test, True))
                _refuse_common_users(*parts)
            clicks = pl.concat(parts).sort("user", "ts", maintain_order=True)
            if self.run.sample < 1:
                clicks = clicks.filter(
                    hash_unit(pl.col("user"), self.run.recipe.seed) < self.run.sample
                )
            gap = pl.col("ts").diff().over("user").fill_null(0)
            clicks.with_columns(type=(gap == END_GAP).cast(pl.Int8)).write_parquet(path)

        self.run.build(self.clicks, make, self.key, [])
        told = pl.scan_parquet(self.clicks).select(
            users=pl.col("user").n_unique(), clicks=pl.len(), ends=pl.col("type").sum()
        )
        return told.collect().row(0, named=True)

    def _read(self, path: Path, test: bool) -> pl.DataFrame:
        """One log, checked; clicks that stand in it twice are counted once."""
        clicks = read_integers(path, CLICK | CONTEXT, small=CONTEXT)
        _refuse_times(path, clicks["ts"])
        return clicks.unique(maintain_order=True).with_columns(test=pl.lit(test))

    def items(self) -> dict[str, object]:
        """items.parquet: raw ids; category, created (s), words: null where unknown."""
        path = self.run.output / "items.parquet"
        columns = ("category", "created", "words")

        def make(part: Path) -> None:
            clicks = pl.scan_parquet(self.clicks)
            since = clicks.select(pl.col("ts").min()).collect().item() // 1000 - FRESH
            table = read_integers(self.articles, ARTICLE, small=SMALL)
            if twice := table.filter(pl.col("item").is_duplicated())["item"].head(1).to_list():
                raise ValueError(f"{self.articles}: article {twice[0]} stands twice; keep one")
            _refuse_times(self.articles, table["created"])
            table = table.with_columns(pl.col("created") // 1000)
            fresh = table.filter(pl.col("created") >= since).select("item").lazy()
            items = pl.concat([clicks.select("item"), fresh]).unique().sort("item").collect()
            known = items.join(table, on="item", how="left", maintain_order="left")
            known = known.select(pl.col("item").alias("item_id"), *columns)
            known.cast(dict.fromkeys(columns, pl.Int32)).write_parquet(part)

        self.run.build(path, make, self.key, [self.clicks])
        items = pl.scan_parquet(path)
        told = items.select(items=pl.len(), **{"without category": pl.col("category").null_count()})
        return told.collect().row(0, named=True)

    def plan(self) -> list[str]:
        """raw/asked.parquet: hidden.ASKED, of all splits; returns those that are made."""

        def make(path: Path) -> None:
            clicks = pl.read_parquet(self.clicks, columns=["user", "test", "type"])
            clicks = clicks.with_columns(place=pl.int_range(pl.len()).over("user"))
            users = clicks.group_by("user", "test").agg(clicks=pl.len()).sort("user")
            valid = hidden.valid(users, self.run.recipe.seed)
            if valid.is_empty():
                raise ValueError(f"{self.train}: no user with two clicks, nothing to learn from")
            test = users.filter("test").select("user", place="clicks", split=pl.lit("test"))
            more = hidden.more(clicks, valid, self.run.recipe.seed)
            parts = [
                part.select(hidden.ASKED.names()).cast(hidden.ASKED) for part in (valid, test, more)
            ]
            pl.concat(parts).write_parquet(path)

        self.run.build(self.asked, make, self.key, [self.clicks])
        sizes = dict(pl.read_parquet(self.asked)["split"].value_counts().iter_rows())
        splits, queries = ["valid", *(s for s in sizes if s == "test")], sizes["valid"]
        for n in range(1, len(sizes)):
            size = sizes.get(f"more_{n}", 0)
            if queries >= self.run.recipe.train_queries or size < FEWEST * sizes["valid"]:
                break
            splits.append(f"more_{n}")
            queries += size
        return splits

    def write(self, split: str) -> dict[str, object]:
        """Sessions, labels and at last events of a split."""
        place, recipe = self.run.output / split, self.run.recipe
        inputs = [self.clicks, self.asked, self.run.output / "items.parquet"]
        names = [
            f"{t}.parquet"
            for t in ("sessions", "labels", "events")
            if (split, t) != ("test", "labels")
        ]

        def make(parts: dict[Path, Path]) -> None:
            sessions, labels, events = self._tables(split)
            made = {"sessions": sessions, "labels": labels, "events": events}
            for path, part in parts.items():
                made[path.stem].write_parquet(part)

        rows = (split, [o.name for o in recipe.objectives], self.key)
        self.run.build_many({place / name: rows for name in names}, make, inputs)
        told = pl.scan_parquet(place / "sessions.parquet")
        facts = told.select(sessions=pl.len(), queries=pl.col("query").sum()).collect()
        clicks = pl.scan_parquet(place / "events.parquet").select(pl.len()).collect().item()
        return facts.row(0, named=True) | {"clicks": clicks}

    def _tables(self, split: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """SESSIONS, LABELS, and EVENTS with their context, of a split."""
        asked = pl.read_parquet(self.asked).filter(pl.col("split") == split)
        item_ids = pl.read_parquet(self.run.output / "items.parquet")["item_id"]
        clicks = pl.read_parquet(self.clicks).join(
            asked.select("user", hidden="place"), on="user", how="left", maintain_order="left"
        )
        place = pl.int_range(pl.len()).over("user")
        clicks = clicks.with_columns(
            place=place,
            item=item_ids.search_sorted(clicks["item"]),
            query=pl.col("hidden") >= place,
        ).with_columns(
            pl.col("query").fill_null(False),
            # what comes behind a hidden click: another session, of no user
            raw=pl.when(place > pl.col("hidden")).then(-1 - pl.col("user")).otherwise("user"),
        )
        seen = pl.col("place").ne_missing(pl.col("hidden"))
        sessions = clicks.filter(seen).select("raw", "query").unique().sort("query", "raw")
        sessions = sessions.with_row_index("session")
        clicks = clicks.join(sessions.select("raw", "session"), on="raw", maintain_order="left")
        clicks = clicks.sort("session", maintain_order=True)
        labels = clicks.filter(~seen).select("session", pl.lit(0).alias("objective"), "item")
        shown = clicks.filter(seen).with_columns(pl.col("ts") // 1000)
        context = shown.select(CONTEXT.values()).cast(pl.Int32)
        events = shown.select(EVENTS.names()).cast(EVENTS).hstack(context)
        sessions = sessions.select(pl.col("raw").alias("session"), "query").cast(SESSIONS)
        return sessions, labels.cast(LABELS), events


def _refuse_times(path: Path, ts: pl.Series) -> None:
    for wrong, what in (
        (ts < OLDEST, "is in seconds by its size; write milliseconds since 1970"),
        (ts > NEWEST, "lies after 2038; write milliseconds since 1970"),
    ):
        if wrong.any():
            line = int(wrong.arg_max() or 0)
            raise ValueError(f"{path}, line {line + 2}: time {ts[line]} {what}")


def _refuse_common_users(train: pl.DataFrame, test: pl.DataFrame) -> None:
    both = test.join(train, on="user", how="semi")["user"].head(1).to_list()
    if both:
        raise ValueError(f"user {both[0]} is in the train and in the test log; download both again")
