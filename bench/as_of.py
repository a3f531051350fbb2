"""Show what a click rate is worth that counts its own row: as-of counts against inclusive ones.

    python -m bench.as_of --dataset ebnerd --input folder --output folder

Reads the log of step 1. Each line is one feature alone, on the rows shown on the last day of the
training period: its AUC over all rows, and inside lists (mean over lists with both classes; ties
count half). The inclusive variants count through the end of the row's day, its own click too. They
exist only here. Days are those of the file's clock.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from src.cli import parse
from src.core.arrays import F64, I64, offsets_of_sizes
from src.core.console import show
from src.data import paths
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR
from src.features.as_of import FOREVER, AsOfFeature
from src.features.keyed_log import Lookup, key_index
from src.metrics.auc import AUC
from src.metrics.judged import Judged
from src.metrics.ties import ranked_grades

LIST = ("ts", "user")  # rows of one list
PAIR, ITEM, USER = ("user", "item"), ("item",), ("user",)
KEYS = {PAIR: "(user, article)", ITEM: "article", USER: "user"}


class LastDay:
    """Rows of the last day with known clicks, by list; and their features."""

    def __init__(self, data: SplitData) -> None:
        self.data = data
        rows = pl.read_parquet(paths.log(data.run, "shown"))
        known = rows.drop_nulls("click")
        first = int(known["ts"].max()) // DAY * DAY  # type: ignore[arg-type]
        if known.filter(pl.col("ts") < first + DAY // 2, pl.col("ts") >= first).is_empty():
            raise ValueError("the last day has no morning; give a whole day")
        if int(known["ts"].max()) < first + DAY // 2:  # type: ignore[arg-type]
            first -= DAY  # a period that ends in the morning
        inside = pl.col("ts").is_between(first, first + DAY, closed="left")
        self.rows = known.filter(inside).sort(LIST)
        self.day = first
        self.click = self.rows["click"].to_numpy()
        sizes = self.rows.group_by(LIST, maintain_order=True).len()["len"]
        self.offsets = offsets_of_sizes(sizes.to_numpy())

    def rate(
        self, key: tuple[str, ...], until: I64 | None = None, delay_s: int = 0, raw: bool = False
    ) -> NDArray:
        """Compute the click rate of a key; until: the time of each row's lookup, not its own."""
        index, n = key_index(self.data, "shown", key), self.rows.height
        columns = [self.rows[name].to_numpy() for name in key]
        ts = self.rows["ts"].to_numpy().astype(np.int64) if until is None else until
        lookup, always = Lookup(index, index.groups_of(columns, n), ts), np.full(n, FOREVER)
        feature = AsOfFeature("shown", key, ("rate",), (None,), delay_s=delay_s)
        if raw:
            shown, clicks = feature.counted(self.data, lookup, key, always, FOREVER)
            return clicks / np.maximum(shown, 1)
        (column,) = feature.compute(self.data, lookup, always, self.offsets)
        return column

    def line(self, name: str, value: NDArray) -> dict[str, object]:
        """Score one feature."""
        return {
            "feature": name,
            "pooled": float(roc_auc_score(self.click, value)),
            "inside lists": self.inside(value),
        }

    def inside(self, value: NDArray) -> float:
        """Mean AUC over lists with both classes."""
        item = self.rows["item"].to_numpy()
        grade, score = self.click.astype(np.float32), value.astype(np.float32)
        metric, judged = AUC(), Judged(grade, self.offsets)
        listed = ranked_grades(self.offsets, item, score, grade, metric.k, "averaged")
        ideal: F64 = metric.norms(judged).ideal
        return float(metric.values(listed, judged).sum() / ideal.sum())

    def table(self) -> pl.DataFrame:
        """Score all features."""
        n = self.rows.height
        start, end = np.full(n, self.day), np.full(n, self.day + DAY)
        lines = [
            self.line("(user, article) rate incl. same day, raw", self.rate(PAIR, end, raw=True)),
            self.line("(user, article) rate strictly earlier", self.rate(PAIR)),
            self.line("article rate incl. same day", self.rate(ITEM, end)),
            self.line("article rate strictly earlier", self.rate(ITEM)),
            self.line("article rate, 1 h label delay", self.rate(ITEM, delay_s=HOUR)),
            self.line("article rate, prior days only", self.rate(ITEM, start)),
            self.line("user rate incl. same day", self.rate(USER, end)),
            self.line("user rate strictly earlier", self.rate(USER)),
            self.line("minus list length", -self.rows["length"].to_numpy()),
        ]
        return pl.DataFrame(lines)


def main(argv: list[str] | None) -> int:
    """Print the table."""
    run = parse(__doc__ or "", Path(__file__), argv)
    last = LastDay(SplitData(run, "valid"))
    lists = last.offsets.size - 1
    print(f"{last.rows.height:,} rows in {lists:,} lists, {last.click.mean():.3f} clicked")
    show(last.table())
    return 0


if __name__ == "__main__":
    sys.exit(main(None))
