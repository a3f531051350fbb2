"""Tell an answer as JSON; docs/ask.md has the schema."""

from __future__ import annotations

from typing import Any

from src.serving.query import Query
from src.serving.recommender import Answer, Recommender
from src.serving.table import Listed, as_dicts, listed, sources

FEATURES = 8
"""Strongest features of the item that is explained."""


def item_of(of: Recommender, item: int) -> dict[str, object]:
    """Name an item; ids are texts, as numbers of JavaScript are exact up to 2^53 only."""
    return {"id": str(of.names.ids.item(item)), "title": of.names.titles.item(item)}


def information(of: Recommender) -> dict[str, object]:
    """Tell what the server answers with."""
    recipe = of.run.recipe
    return {
        "dataset": recipe.name, "split": of.split, "items": of.names.ids.len(),
        "types": list(recipe.types), "objectives": list(of.blends), "texts": of.reader.texts,
        "titles": of.names.has_titles,
        "retrievers": [row.name for row in recipe.retrievers],
        "rankers": {name: [row.name for row in b.rankers] for name, b in of.blends.items()},
    }  # fmt: skip


def answer_of(of: Recommender, query: Query, answer: Answer, k: int) -> dict[str, Any]:
    """Tell the query, and the first k items of each list."""
    names = [row.name for row in of.run.recipe.retrievers]
    types = of.run.recipe.types

    def entry(rank: int, found: Listed) -> dict[str, object]:
        return item_of(of, found.item) | {
            "rank": rank, "score": found.score, "pool_rank": found.pool_row + 1,
            "sources": sources(names, answer, found.pool_row),
        }  # fmt: skip

    pairs = zip(query.type.tolist(), query.item.tolist(), strict=True)
    return {
        "dataset": of.run.recipe.name, "split": of.split, "text": query.text,
        "events": [{"type": types[type_]} | item_of(of, item) for type_, item in pairs],
        "candidates": int(answer.pool.item.size),
        "lists": {name: [entry(rank, found) for rank, found in enumerate(items, 1)]
                  for name, items in listed(answer, k).items()},
    }  # fmt: skip


def reasons(of: Recommender, answer: Answer, item: int) -> dict[str, Any]:
    """Tell the strongest features of a candidate by objective; ValueError for another item."""
    if item not in answer.pool.item:
        raise ValueError(
            f"{of.names.describe(item)} is no candidate of this query; take one listed"
        )
    found = {name: as_dicts(of.effects(answer, name, [item], FEATURES)[0]) for name in of.blends}
    return item_of(of, item) | {"features": found}
