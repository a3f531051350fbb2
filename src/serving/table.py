"""Tell an answer: as a table, and as what JSON holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from src.candidates.pool_kernel import ABSENT
from src.serving.effects import Effect
from src.serving.recommender import Answer, Recommender

POOL = "without a model"
"""Name of the list in the order of the pool, beside those of the objectives."""

SOURCE = pl.Struct({"retriever": pl.String, "rank": pl.Int64})
FEATURE = pl.Struct({"feature": pl.String, "value": pl.Float64, "effect": pl.Float64})
RECOMMENDATIONS = pl.Schema([
    ("objective", pl.String), ("rank", pl.Int64), ("item", pl.Int32), ("id", pl.String),
    ("title", pl.String), ("score", pl.Float32), ("pool_rank", pl.Int64),
    ("proposed_by", pl.List(SOURCE)), ("features", pl.List(FEATURE)),
])  # fmt: skip
"""A recommended item a row; all ranks count from 1, as people do.

pool_rank: in the list without a model. proposed_by: retrievers that list the item, best ranks
first. features: the strongest, of `Effect`.
"""


class Listed(NamedTuple):
    """An item of a list; pool_row: its place in the pool, from 0."""

    item: int
    score: float
    pool_row: int


def listed(answer: Answer, k: int) -> dict[str, list[Listed]]:
    """Take the first k items of each objective, then of the pool, whose score is the RRF score."""
    found = {}
    for name, final in answer.lists.items():
        items = final.item[:k].tolist()
        found[name] = list(map(Listed, items, final.score[:k].tolist(), answer.rows(items)))
    pool = answer.pool
    scores = pool.rrf_score[:k].tolist()
    return {**found, POOL: list(map(Listed, pool.item[:k].tolist(), scores, range(len(scores))))}


def sources(names: Sequence[str], answer: Answer, pool_row: int) -> list[dict[str, object]]:
    """List the retrievers that propose a candidate, best ranks first; names: of all."""
    ranks = enumerate(answer.pool.ranks[pool_row].tolist())
    found = sorted((rank, number) for number, rank in ranks if rank != ABSENT)
    return [{"retriever": names[number], "rank": rank + 1} for rank, number in found]


def as_dicts(effects: Sequence[Effect]) -> list[dict[str, object]]:
    """Convert the strongest features of a candidate."""
    return [effect._asdict() for effect in effects]


def recommend(
    of: Recommender, events: str = "", text: str = "", k: int = 20, features: int = 3
) -> pl.DataFrame:
    """Recommend the first k items of each objective: RECOMMENDATIONS.

    events, text: as QueryReader.read takes them. features: how many of the strongest are told.
    """
    answer = of.answer(of.reader.read(events, text))
    names, rows = [row.name for row in of.run.recipe.retrievers], []
    of_all = listed(answer, k)
    for objective in of.blends:
        items = of_all[objective]
        effects = of.effects(answer, objective, [entry.item for entry in items], features)
        for rank, (entry, strongest) in enumerate(zip(items, effects, strict=True), 1):
            rows.append((
                objective, rank, entry.item, str(of.names.ids[entry.item]),
                of.names.titles[entry.item], entry.score, entry.pool_row + 1,
                sources(names, answer, entry.pool_row), as_dicts(strongest),
            ))  # fmt: skip
    return pl.DataFrame(rows, RECOMMENDATIONS, orient="row")
