"""Name and number the event types of a log."""

from __future__ import annotations

import re

import polars as pl

from src.features.base import lower_names
from src.features.item_statistics_kernel import MAX_TYPES
from src.features.session_item_kernel import SessionItemColumn
from src.features.session_kernel import SessionColumn

ONLY, RATING, OTHER = "interactions", "rating", "other"
"""The type of a log without types, without and with ratings; the type that joins many others."""
TAKEN = {
    "total", "low", "high", "baseline", "retriever", "ranker", "pool", "item", "session", "score",
    "value", "convention", "metric", "delta", "delta_low", "delta_high", "date", "recipe", "code",
    "features", "rankers", "sample", "change", "dropped", "columns", "loss", "fold",
    *lower_names((*SessionColumn, *SessionItemColumn)),
}  # fmt: skip
"""Columns of the tables in which types are columns too: such a type gets an underscore."""


def number_types(counts: pl.DataFrame, kept: tuple[str, ...]) -> dict[str, str]:
    """Name the event types, most frequent first: text of the log -> name.

    counts: type, len. kept: types that are never joined. Where there are more than MAX_TYPES, the
    others become one type. Raises ValueError for a kept type that the log lacks.
    """
    texts = counts.sort("len", "type", descending=[True, False])["type"].to_list()
    named = {text: type_name(text) for text in texts}
    names = list(dict.fromkeys(named.values()))
    if unknown := [name for name in kept if name not in names]:
        raise ValueError(
            f"--weights: no event is of type {', '.join(unknown)}; the log has "
            f"{', '.join(names)[:200]}"
        )
    if len(texts) <= MAX_TYPES:
        return named
    if not kept or len(kept) >= MAX_TYPES:
        raise ValueError(
            f"{len(texts)} event types, at most {MAX_TYPES} are told apart; name those to predict, "
            f"--weights {type_name(texts[-1])}=1: the others then count as one type"
        )
    return {text: name if name in kept else OTHER for text, name in named.items()}


def type_name(text: str) -> str:
    """Make a name for columns and files: letters, digits, _ and -."""
    name = re.sub(r"[^\w-]+", "_", text.strip()) or "_"
    return f"{name}_" if name.lower() in TAKEN else name
