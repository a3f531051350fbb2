"""Compare the shape of a simulated shop with that of OTTO."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from src.datasets.demo.shop import TYPES, ShopConfig

OTTO_STATISTICS = {
    "events per session: mean": 16.80,
    "events per session: median": 6.0,
    "events per session: p90": 39.0,
    "events per session: max": 500.0,
    "events per item: mean": 116.79,
    "events per item: median": 20.0,
    "events per item: p90": 183.0,
    "events per item: max": 129_004.0,
    "share of clicks": 0.8985,
    "share of carts": 0.0780,
    "share of orders": 0.0235,
    "share of revisits": None,
    "full test session: mean": 8.29,
    "full test session: median": 4.0,
    "full test session: p90": 18.0,
    "visible test session: median": 2.0,
}
"""Published by the organisers, the last one by a participant; of train unless the name has `test`.

Revisits are events on an item that the session had before. The maximum per item grows with size.
"""


def statistics(config: ShopConfig, batches: Iterable[tuple[bool, pl.DataFrame]]) -> pl.DataFrame:
    """Compute the statistics of a shop beside OTTO's: columns statistic, simulated, published.

    batches: those of `simulate`, because the files lack the full test sessions.
    """
    sessions, per_item, revisits = [], np.zeros(config.items, np.int64), 0
    for test, events in batches:
        counts = [pl.col("type").eq(t).sum().alias(name) for t, name in enumerate(TYPES)]
        counts += [pl.len().alias("events"), pl.col("hidden").not_().sum().alias("visible")]
        sessions.append(events.group_by("session").agg(*counts).with_columns(test=test))
        if not test:
            per_item += np.bincount(events["aid"], minlength=config.items)
            revisits += events.height - events.select("session", "aid").n_unique()
    train, test_sessions = pl.concat(sessions).partition_by("test", maintain_order=True)
    total = per_item.sum()
    values = {
        **_shape("events per session", train["events"]),
        **_shape("events per item", pl.Series(per_item)),
        **{f"share of {name}": train[name].sum() / total for name in TYPES},
        "share of revisits": revisits / total,
        **_shape("full test session", test_sessions["events"]),
        **_shape("visible test session", test_sessions["visible"]),
    }
    rows = [(name, float(values[name]), published) for name, published in OTTO_STATISTICS.items()]
    return pl.DataFrame(rows, ("statistic", "simulated", "published"), orient="row")


def _shape(name: str, counts: pl.Series) -> dict[str, float]:
    values = counts.to_numpy()
    median, p90, maximum = np.quantile(values, (0.5, 0.9, 1.0), method="nearest")
    shape = {"mean": values.mean(), "median": median, "p90": p90, "max": maximum}
    return {f"{name}: {statistic}": value for statistic, value in shape.items()}
