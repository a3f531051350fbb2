"""Rows that become columns of features (step 5)."""

from __future__ import annotations

from dataclasses import dataclass

RELATIONS = (
    "value", "age", "last", "last_age", "minus_last", "minus_mean", "same_last", "share",
)  # fmt: skip
WEIGHTINGS = ("equal", "position", "type", "day", "time", "recsys")
AGGREGATES = ("sum", "mean", "max")


@dataclass(frozen=True)
class ScoreFeature:
    """Scores of candidate c beside each history event's item: weighted, then aggregated.

    Every weighting meets every aggregate; of each sum there is a rank within the query too. Beside
    them stand the scores beside the `latest` events alone, one by one, and the number of different
    history items whose score is above a threshold.
    """

    table: str
    weightings: tuple[str, ...] = WEIGHTINGS
    aggregates: tuple[str, ...] = AGGREGATES
    latest: int = 5
    above: float | None = 0.0

    def __post_init__(self) -> None:
        if unknown := set(self.weightings) - set(WEIGHTINGS):
            raise ValueError(f"feature of {self.table}: {sorted(unknown)} not in {WEIGHTINGS}")
        if unknown := set(self.aggregates) - set(AGGREGATES):
            raise ValueError(f"feature of {self.table}: {sorted(unknown)} not in {AGGREGATES}")
        if not 0 <= self.latest <= 5:
            raise ValueError(f"feature of {self.table}: latest is at most 5 events")


class MatrixFeature(ScoreFeature):
    """The score is c's weight among the item's neighbours in a matrix (or of an embedding)."""


class EmbeddingFeature(ScoreFeature):
    """The score is the cosine of c and the item."""


@dataclass(frozen=True)
class TwoTowerFeature:
    """Cosine of candidate c with the query's vector in a two-tower model, for every objective."""

    model: str  # a TwoTowerEmbedding


@dataclass(frozen=True)
class PopularityFeature:
    """Events of one type on candidate c in windows of seconds before the query; None: all.

    Behind the counts, in ascending windows, stands the share of each in the next: the trend.
    """

    type: int
    windows: tuple[int | None, ...]
    ahead: int = 0  # seconds after the query that the windows reach: transductive


@dataclass(frozen=True)
class ContextPopularityFeature:
    """Events on candidate c, of the query's own value of a context column, in such windows."""

    column: str
    windows: tuple[int | None, ...]
    ahead: int = 0


@dataclass(frozen=True)
class ItemStatisticsFeature:
    """What all sessions did with candidate c: src/features/item_statistics_kernel.py has the columns.

    Of all visible events or the last days of the split's own history: transductive.
    """

    last_days: float | None = None


@dataclass(frozen=True)
class ItemAttributeFeature:
    """A column of items.parquet: of candidate c, and beside the items of the history.

    Relations: the "value"; the "age" (seconds from it to the query); "last" and "last_age", both of
    the last item; "minus_last" and "minus_mean", the difference to the last item and to the mean of
    the history; "same_last", 1 if it is that of the last item; "share" of the history's events
    that have it.
    """

    column: str
    relations: tuple[str, ...] = ("value",)

    def __post_init__(self) -> None:
        if unknown := set(self.relations) - set(RELATIONS):
            raise ValueError(f"item feature {self.column}: {sorted(unknown)} not in {RELATIONS}")


@dataclass(frozen=True)
class ContextFeature:
    """A context column of the session's last event: where, and on what, it happened."""

    column: str


@dataclass(frozen=True)
class ItemAgeFeature:
    """Seconds from the first and from the latest event on candidate c to the query."""


FeatureGroup = (
    MatrixFeature
    | EmbeddingFeature
    | TwoTowerFeature
    | PopularityFeature
    | ContextPopularityFeature
    | ItemStatisticsFeature
    | ItemAttributeFeature
    | ContextFeature
    | ItemAgeFeature
)
