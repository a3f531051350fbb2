"""Rows that list candidates (steps 3 and 4), and the lists they are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from src.data.units import DAY, HOUR, Weights

SCOPES = ("all", "visit", "visit_ends", "visit_starts", "day")


@dataclass(frozen=True)
class Seeds:
    """Which history events of a query session speak, and how loudly.

    Scopes: "all" events; the current "visit" (visits are split by gaps of over 2 hours); the
    "visit_ends" or "visit_starts", one event of each visit; the last "day" (24 h before the last
    event). An item's weight is the sum over its events of recency ** (events back) * type weight.
    """

    scope: str = "all"
    last: int | None = None  # only the latest different items
    recency: float = 0.9
    type_weight: Weights = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ValueError(f"scope {self.scope!r}: one of {', '.join(SCOPES)}")


@dataclass(frozen=True)
class HistoryRetriever:
    """The session's own items, by weight."""

    name: str
    select: Seeds
    top: int = 100


@dataclass(frozen=True)
class ItemToItemRetriever:
    """Neighbours, in one matrix or embedding, of the selected items."""

    name: str
    matrix: str
    select: Seeds
    neighbours: int = 20  # how many of each item
    share: bool = True  # each item's neighbour weights sum to 1; else each neighbour counts 1
    top: int = 50


@dataclass(frozen=True)
class SessionKnnRetriever:
    """Items of the most similar sessions: V-SKNN and STAN (src/candidates/session_knn_kernel.py has the papers)."""

    name: str
    neighbours: int = 200
    sample: int = 1000  # the latest sessions of each item that are looked at
    query_decay: float = 0.0  # events; weight of a query event exp(-back / decay), 0: linear
    recency_days: float = 0.0  # weight of a session exp(-age / days), 0: none
    item_decay: float = 0.0  # weight of an item exp(-distance to the shared one / decay), 0: none
    idf: bool = False  # times ln(sessions / sessions with the item)
    top: int = 50


@dataclass(frozen=True)
class PopularRetriever:
    """The most frequent items of a time window that ends before the query, or `ahead` of it."""

    name: str
    window: int = 7 * DAY  # seconds
    bucket: int = HOUR  # the window ends at the last whole bucket before the query
    ahead: int = 0  # seconds later than that: transductive
    type_weight: Weights = (1.0, 1.0, 1.0)
    top: int = 20


@dataclass(frozen=True)
class TransitionRetriever:
    """What followed the selected items in any session, the louder the nearer to the query in time.

    (A matrix row of direction "forward" whose votes are weighed at the query's time, not once.)
    """

    name: str
    select: Seeds
    steps: int = 1  # followers: so many events after the item, at most
    within: int = 1800  # and so many seconds
    half_life: int = HOUR  # a follower so many seconds from the query counts half
    ahead: bool = True  # followers later than the query count too: transductive
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of the follower
    top: int = 50


@dataclass(frozen=True)
class TwoTowerRetriever:
    """Items nearest to the query's vector, of one objective, in a two-tower model; exact search."""

    name: str
    model: str  # a TwoTowerEmbedding
    objective: int  # its number in Recipe.objectives
    among: int = 100_000  # only the most frequent items of the split are looked at
    top: int = 100


@dataclass(frozen=True)
class NewItemRetriever:
    """The newest items at the query, by a column of items.parquet that holds when they came.

    Also those that nobody has ever looked at: what no table and no count can propose.
    """

    name: str
    created: str  # column: seconds since 1970
    days: float = 1.0  # only items that are no older
    same: str | None = None  # column: only items that share a value with one of the history
    near: str | None = None  # column: only items that lie near the mean of the history,
    apart: float = 0.0  # so far from it, at most
    unseen: bool = False  # only items without any event in the split
    top: int = 20


Retriever = (
    HistoryRetriever
    | ItemToItemRetriever
    | SessionKnnRetriever
    | PopularRetriever
    | TransitionRetriever
    | NewItemRetriever
    | TwoTowerRetriever
)


@dataclass(frozen=True)
class Baseline:
    """A list without a model: the rules' lists one after the other, first occurrence kept."""

    name: str
    rules: tuple[str, ...]
