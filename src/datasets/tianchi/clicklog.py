"""Read the click logs and the articles of a news site.

The site logs the last click of a visit exactly 30,000 ms after the click before it. Such clicks get
event type 1, all other clicks type 0. The task is to predict the end of a test user's last visit:
the item 30 s after the last visible click.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.arrays import hash_unit
from src.core.csvfile import read_integers
from src.core.run import Run
from src.data import paths
from src.data.units import DAY
from src.datasets.times import NEWEST, OLDEST

TRAIN, TEST, ARTICLES = "train_click_log.csv", "test*_click_log*.csv", "articles.csv"
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
ATTRIBUTES = ("category", "created", "words")
INT32 = ("category_id", "words_count")  # columns of articles that must fit Int32
END_GAP = 30_000  # ms between the last click of a visit and the one before
FRESH = DAY  # unread articles are items if created this long before the log, at most
MEMORY, MEMORY_SHARE = 3e8, 8  # bytes that reading takes, and per byte of the logs


def test_file(folder: Path) -> Path | None:
    """Find the test log of a folder, if it has one; raise ValueError where there are several."""
    files = sorted(folder.glob(TEST))
    if len(files) > 1:
        raise ValueError(f"{folder}: {files[0].name} and {files[1].name}; keep the one to predict")
    return files[0] if files else None


@dataclass(frozen=True)
class ClickLog:
    """The raw files of a run, and the tables made from them before the splits."""

    run: Run
    train: Path
    test: Path | None
    articles: Path

    @classmethod
    def find(cls, run: Run) -> ClickLog:
        """Find the raw files; raise FileNotFoundError where one is missing."""
        log = cls(run, run.input / TRAIN, test_file(run.input), run.input / ARTICLES)
        for file in log.files:
            if not file.exists():
                raise FileNotFoundError(
                    f"{file} not found; put the competition's files there or name their folder "
                    "with --input"
                )
        return log

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.train, self.test, self.articles) if file]

    @property
    def clicks(self) -> Path:
        """All clicks by user and time: user, item, ts (ms), test, type and context."""
        return self.run.output / "raw" / "clicks.parquet"

    @property
    def key(self) -> dict[str, object]:
        """Raw files, sample and seed, on which all tables depend."""
        return {
            "files": [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in self.files],
            "sample": self.run.sample,
            "seed": self.run.recipe.seed,
        }

    def read(self) -> dict[str, object]:
        """Bring the table of clicks up to date; return its summary."""
        self.run.build(self.clicks, self._write_clicks, self.key, [])
        summary = pl.scan_parquet(self.clicks).select(
            users=pl.col("user").n_unique(), clicks=pl.len(), ends=pl.col("type").sum()
        )
        return summary.collect().row(0, named=True)

    def _write_clicks(self, path: Path) -> None:
        size = sum(file.stat().st_size for file in (self.train, self.test) if file)
        self.run.budget.claim("read clicks", MEMORY + MEMORY_SHARE * size, size)
        logs = [_read_log(self.train, False)]
        if self.test:
            logs.append(_read_log(self.test, True))
            _refuse_common_users(*logs)
        clicks = pl.concat(logs).sort("user", "ts", maintain_order=True)
        if self.run.sample < 1:
            unit = hash_unit(pl.col("user"), self.run.recipe.seed)
            clicks = clicks.filter(unit < self.run.sample)
        gap = pl.col("ts").diff().over("user").fill_null(0)
        clicks.with_columns(type=(gap == END_GAP).cast(pl.Int8)).write_parquet(path)

    def make_items(self) -> dict[str, object]:
        """Bring items.parquet up to date; return its summary."""
        path = paths.items(self.run)
        self.run.build(path, self._write_items, self.key, [self.clicks])
        unknown = {"without category": pl.col("category").null_count()}
        summary = pl.scan_parquet(path).select(items=pl.len(), **unknown)
        return summary.collect().row(0, named=True)

    def _write_items(self, path: Path) -> None:
        """Write raw ids of clicked and of fresh articles; category, created (s) and words.

        An attribute is null where it is unknown.
        """
        clicks = pl.scan_parquet(self.clicks)
        since = clicks.select(pl.col("ts").min()).collect().item() // 1000 - FRESH
        articles = read_integers(self.articles, ARTICLE, int32=INT32)
        for item in articles.filter(pl.col("item").is_duplicated())["item"][:1]:
            raise ValueError(f"{self.articles}: article {item} appears twice; keep one")
        _refuse_times(self.articles, articles["created"])
        articles = articles.with_columns(pl.col("created") // 1000)
        fresh = articles.filter(pl.col("created") >= since).select("item").lazy()
        items = pl.concat([clicks.select("item"), fresh]).unique().sort("item").collect()
        items = items.join(articles, on="item", how="left", maintain_order="left")
        items = items.select(pl.col("item").alias("item_id"), *ATTRIBUTES)
        items.cast(dict.fromkeys(ATTRIBUTES, pl.Int32)).write_parquet(path)


def _read_log(path: Path, test: bool) -> pl.DataFrame:
    """Read and check a log; repeated lines count once."""
    clicks = read_integers(path, CLICK | CONTEXT, int32=CONTEXT)
    _refuse_times(path, clicks["ts"])
    return clicks.unique(maintain_order=True).with_columns(test=pl.lit(test))


def _refuse_times(path: Path, ts: pl.Series) -> None:
    for wrong, message in (
        (ts < OLDEST, "is in seconds by its size; write milliseconds since 1970"),
        (ts > NEWEST, "lies after 2038; write milliseconds since 1970"),
    ):
        if wrong.any():
            line = int(wrong.arg_max() or 0)
            raise ValueError(f"{path}, line {line + 2}: time {ts[line]} {message}")


def _refuse_common_users(train: pl.DataFrame, test: pl.DataFrame) -> None:
    for user in test.join(train, on="user", how="semi")["user"][:1]:
        raise ValueError(f"user {user} is in the train and in the test log; download both again")
