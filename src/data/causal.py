"""A recipe without what it sees of later events: `--causal`.

Matrices, vectors and session-kNN are made from all that is visible in a split, which the
competitions allow, and windows may reach `ahead` of the query. What is left without them is what a
recommender could have known at the query's own second.
"""

from __future__ import annotations

from dataclasses import replace

from src.candidates.rows import (
    HistoryRetriever,
    NewItemRetriever,
    PopularRetriever,
    Retriever,
    TransitionRetriever,
)
from src.data.recipe import Recipe
from src.features.rows import (
    ContextFeature,
    ContextPopularityFeature,
    FeatureGroup,
    ItemAgeFeature,
    ItemAttributeFeature,
    PopularityFeature,
)


def causal(recipe: Recipe) -> Recipe:
    """The rows that see nothing later than the query, those with `ahead` looking back only."""
    rules = [kept for row in recipe.rules if (kept := _rule(row))]
    features = [feature for row in recipe.features if (feature := _feature(row))]
    names = {row.name for row in rules}
    return replace(
        recipe,
        matrices=(),
        embeddings=(),
        rules=tuple(rules),
        baselines=tuple(row for row in recipe.baselines if set(row.rules) <= names),
        features=tuple(_merged(features)),
    )


def _merged(rows: list[FeatureGroup]) -> list[FeatureGroup]:
    """Rows that now count the same events in one, with the windows of all."""
    found: dict[object, FeatureGroup] = {}
    for row in rows:
        if isinstance(row, PopularityFeature | ContextPopularityFeature):
            key = replace(row, windows=())
            known = found.get(key, key)
            windows = dict.fromkeys((*getattr(known, "windows", ()), *row.windows))
            found[key] = replace(row, windows=tuple(windows))
        else:
            found[row] = row
    return list(found.values())


def _rule(row: Retriever) -> Retriever | None:
    match row:
        case PopularRetriever():
            return replace(row, window=row.window - row.ahead, ahead=0)
        case TransitionRetriever():
            return replace(row, ahead=False)
        case HistoryRetriever() | NewItemRetriever(unseen=False):
            return row
    return None


def _feature(row: FeatureGroup) -> FeatureGroup | None:
    match row:
        case PopularityFeature() | ContextPopularityFeature():
            return replace(row, ahead=0)
        case ItemAttributeFeature() | ContextFeature() | ItemAgeFeature():
            return row
    return None
