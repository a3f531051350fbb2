"""What one dataset is, as data: rows that the steps turn into matrices, candidates and features.

Everything that differs between competitions is one `Recipe` value in `src/datasets/`. A row holds
plain values only, so it can be compared, hashed into a manifest and printed. To try an idea, add or
change a row there; the step that uses it, and the steps behind it, run again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOUR = 3600
DAY = 24 * HOUR

RELATIONS = (
    "value", "age", "last", "last_age", "minus_last", "minus_mean", "same_last", "share",
)  # fmt: skip
SCOPES = ("all", "visit", "visit_ends", "visit_starts", "day")

Weights = tuple[float, ...]
"""One number per event type, in the order of `Recipe.types`; 0 leaves the type out."""


@dataclass(frozen=True)
class Objective:
    """What is predicted: events of type `name`, with its weight in the competition's score."""

    name: str
    weight: float
    next_only: bool = False  # only the next such event is true; else all that follow


@dataclass(frozen=True)
class MatrixRow:
    """One item-item co-occurrence matrix: which pairs of a session's events vote, and how much.

    An event pair (x, y) of one session votes for neighbour y of item x when x is not y and every
    condition below holds. Its vote is the product of all weights; a vote of 0 is no vote. Events
    are first filtered (`types`, `last_days`), then trimmed (`tail`); positions, session lengths
    and item counts are those of the events that are left.
    """

    name: str
    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    tail: int | None = None  # only the last events of each session
    first_only: bool = False  # x is the first event of its session
    direction: str = "both"  # "forward": y comes after x, by position
    within: int | None = None  # |ts_y - ts_x| < within seconds
    steps: int | None = None  # at most so many positions apart
    source_weight: Weights = (1.0, 1.0, 1.0)  # by the type of x
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of y
    recency: float = (
        0.0  # times 1 + recency * (age of x from the oldest, 0, to the newest event, 1)
    )
    half_life: float | None = None  # times 0.5 ** (seconds apart / half_life)
    step_decay: float = 1.0  # times step_decay ** (positions apart - 1)
    once: bool = True  # only the heaviest vote of a session for (x, y) counts; else all do
    session_norm: bool = False  # times 1 / ln(1 + session length): ItemCF's penalty for activity
    item_norm: float = 0.0  # in the end, divided by (count of x * count of y) ** item_norm
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        if self.direction not in ("both", "forward"):
            raise ValueError(f"matrix {self.name}: direction is 'both' or 'forward'")
        weights = self.source_weight + self.target_weight
        if min(weights) < 0 or not 0 < self.step_decay <= 1 or self.top_n < 1:
            raise ValueError(
                f"matrix {self.name}: weights are at least 0, top_n at least 1, "
                "step_decay in (0, 1]"
            )
        bounds = (self.steps, self.within, self.half_life, self.tail, self.types)
        if bounds == (None,) * 5 and not self.first_only:
            raise ValueError(
                f"matrix {self.name}: every pair of a long session would vote; "
                "set tail, within, steps or half_life"
            )


@dataclass(frozen=True)
class Word2VecRow:
    """Word2Vec item vectors (gensim skip-gram) and their neighbours as a matrix."""

    name: str
    size: int = 64
    window: int = 5
    epochs: int = 5
    negative: int = 10
    ns_exponent: float = 0.75
    min_count: int = 1
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


ENCODERS = ("pool", "gru", "lags")


@dataclass(frozen=True)
class SequenceRow:
    """A two-tower net: a session's last events and the type of event wanted -> likely items.

    The encoder turns the events (item, type, seconds ago, hour of day) into a vector; plus a vector
    of the wanted type, it is compared by cosine with the item vectors, which both towers share. It
    learns to tell each of the next events from sampled items (src/sequence.py has the papers).
    """

    name: str
    encoder: str = "pool"  # learned weights of the events and a perceptron; or "gru", "lags"
    size: int = 64
    last: int = 10  # events of the session that are read
    ahead: int = 10  # next events that are learned from, each under its type
    temperature: float = 0.07  # cosines are divided by it
    negatives: int = 2048  # items drawn per batch; all items where there are no more than that
    popularity: float = 0.5  # drawn by (events of the item) ** popularity, which is corrected for
    dropout: float = 0.1  # share of the events that are not read, while learning
    batch: int = 1024  # positions of sessions
    epochs: int = 10  # at most; the rate falls to 0 over them
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    rate: float = 0.005  # of Adam
    last_days: float | None = None  # positions of the split's last days, and all of its queries
    positions: int = 4_000_000  # per epoch, at most: a random part where there are more
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ValueError(f"embedding {self.name}: encoder is one of {', '.join(ENCODERS)}")
        if min(self.last, self.ahead, self.negatives, self.batch, self.epochs, self.positions) < 1:
            raise ValueError(f"embedding {self.name}: all its counts are at least 1")
        if not 0 < self.temperature <= 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"embedding {self.name}: temperature is in (0, 1], dropout in [0, 1)")


@dataclass(frozen=True)
class ContentRow:
    """Item vectors that come with the data: a CSV file of raw item ids and numbers.

    Items without a line of numbers have no vector, so no neighbours and cosines of 0; without the
    file, that is all of them.
    """

    name: str
    file: str  # in the input folder
    key: str  # its column of raw item ids; all others are the vector
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


@dataclass(frozen=True)
class FactorRow:
    """Matrix factorisation of item pairs: which item comes soon after which (src/factors.py).

    Directed: its neighbours and cosines compare items as the earlier one with others as the later.
    """

    name: str
    size: int = 64
    steps: int = 1  # positions apart, at most, of the kept events
    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    negatives: int = 4  # later items drawn for each pair
    popularity: float = 0.75  # by (events of the item) ** popularity
    epochs: int = 20  # at most
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    rate: float = 0.1  # of Adagrad
    pairs: int = 20_000_000  # per epoch, at most, about: of random sessions where there are more
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


EmbeddingRow = Word2VecRow | SequenceRow | FactorRow | ContentRow


@dataclass(frozen=True)
class Select:
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
class HistoryRule:
    """The session's own items, by weight."""

    name: str
    select: Select
    top: int = 100


@dataclass(frozen=True)
class MatrixRule:
    """Neighbours, in one matrix or embedding, of the selected items."""

    name: str
    matrix: str
    select: Select
    neighbours: int = 20  # how many of each item
    share: bool = True  # each item's neighbour weights sum to 1; else each neighbour counts 1
    top: int = 50


@dataclass(frozen=True)
class KnnRule:
    """Items of the most similar sessions: V-SKNN and STAN (src/knn_kernel.py has the papers)."""

    name: str
    neighbours: int = 200
    sample: int = 1000  # the latest sessions of each item that are looked at
    query_decay: float = 0.0  # events; weight of a query event exp(-back / decay), 0: linear
    recency_days: float = 0.0  # weight of a session exp(-age / days), 0: none
    item_decay: float = 0.0  # weight of an item exp(-distance to the shared one / decay), 0: none
    idf: bool = False  # times ln(sessions / sessions with the item)
    top: int = 50


@dataclass(frozen=True)
class PopularRule:
    """The most frequent items of a time window that ends before the query, or `ahead` of it."""

    name: str
    window: int = 7 * DAY  # seconds
    bucket: int = HOUR  # the window ends at the last whole bucket before the query
    ahead: int = 0  # seconds later than that: transductive
    type_weight: Weights = (1.0, 1.0, 1.0)
    top: int = 20


@dataclass(frozen=True)
class FlowRule:
    """What followed the selected items in any session, the louder the nearer to the query in time.

    (A matrix row of direction "forward" whose votes are weighed at the query's time, not once.)
    """

    name: str
    select: Select
    steps: int = 1  # followers: so many events after the item, at most
    within: int = 1800  # and so many seconds
    half_life: int = HOUR  # a follower so many seconds from the query counts half
    ahead: bool = True  # followers later than the query count too: transductive
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of the follower
    top: int = 50


@dataclass(frozen=True)
class RetrievalRule:
    """Items nearest to the query's vector, of one objective, in a two-tower model; exact search."""

    name: str
    model: str  # a SequenceRow
    objective: int  # its number in Recipe.objectives
    among: int = 100_000  # only the most frequent items of the split are looked at
    top: int = 100


Rule = HistoryRule | MatrixRule | KnnRule | PopularRule | FlowRule | RetrievalRule


@dataclass(frozen=True)
class Baseline:
    """A list without a model: the rules' lists one after the other, first occurrence kept."""

    name: str
    rules: tuple[str, ...]


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
class RetrievalFeature:
    """Cosine of candidate c with the query's vector in a two-tower model, for every objective."""

    model: str  # a SequenceRow


@dataclass(frozen=True)
class PopularityFeature:
    """Events of one type on candidate c in windows of seconds before the query; None: all.

    Behind the counts, in ascending windows, stands the share of each in the next: the trend.
    """

    type: int
    windows: tuple[int | None, ...]
    ahead: int = 0  # seconds after the query that the windows reach: transductive


@dataclass(frozen=True)
class AlikeFeature:
    """Events on candidate c, of the query's own value of a context column, in such windows."""

    column: str
    windows: tuple[int | None, ...]
    ahead: int = 0


@dataclass(frozen=True)
class StatisticsFeature:
    """What all sessions did with candidate c: src/statistics_kernel.py has the columns.

    Of all visible events or the last days of the split's own history: transductive.
    """

    last_days: float | None = None


@dataclass(frozen=True)
class ItemFeature:
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
class SeenFeature:
    """Seconds from the first and from the latest event on candidate c to the query."""


FeatureRow = (
    MatrixFeature
    | EmbeddingFeature
    | RetrievalFeature
    | PopularityFeature
    | AlikeFeature
    | StatisticsFeature
    | ItemFeature
    | ContextFeature
    | SeenFeature
)


@dataclass(frozen=True)
class RankerRow:
    """One XGBoost model per objective and fold."""

    name: str
    params: tuple[tuple[str, float | int | str], ...]
    rounds: int = 1000
    patience: int = 50  # early stopping: rounds without a better metric on the held-out fold
    metric: str = "auc"  # of early stopping, as XGBoost names it; AUC is logged in any case
    columns: int | None = None  # only those that a short model gains most by; None: all features


@dataclass(frozen=True)
class DinRow:
    """A deep interest network (Zhou et al., 2018), per objective and fold; src/din.py has the net.

    The candidate's vector weighs the items of the history one by one; what comes of it stands
    beside the features. It learns to tell what came true from the query's other candidates.
    """

    name: str
    categories: tuple[str, ...] = ()  # features that are read as names, not as numbers
    size: int = 16  # of an item's vector, and a category's
    last: int = 10  # events of the session that are read
    among: int = 100_000  # only the most frequent items have a vector of their own
    seen: int = 5  # and only if the training rows have them so often; the others share one
    hidden: tuple[int, ...] = (128, 64)
    batch: int = 256  # queries
    epochs: int = 4  # at most; the rate falls to 0 over them
    patience: int = 1  # epochs without a better metric on the held-out fold; the best one is kept
    rate: float = 0.002  # of Adam
    columns: int | None = None  # only those that a short model gains most by; None: all features


Ranker = RankerRow | DinRow


@dataclass(frozen=True)
class Expect:
    """What the right download looks like; a file that differs is refused."""

    sessions: int
    events: int
    items: int


@dataclass(frozen=True)
class RawFile:
    """A raw file of a competition: its rows, and the milliseconds between which its times lie."""

    name: str  # or a pattern
    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class Source:
    """Where the raw files come from, and what they hold."""

    page: str
    licence: str
    kaggle: str  # what Kaggle's client calls the competition; "" where it is not there
    files: tuple[RawFile, ...]


@dataclass(frozen=True)
class Recipe:
    """One dataset from raw files to submission."""

    name: str
    prepare: Callable[..., None]  # step 1: raw files -> output folder; see src/datasets/
    write_submission: Callable[..., int]  # step 7: lists -> submission.csv, validated; its rows
    layout: Callable[..., Any]  # recipe -> how a row of submission.csv is written
    asked: Callable[..., Any]  # folder of raw files, recipe -> queries and items, to check one
    truth: Callable[..., Any]  # published truth, recipe -> its table, to score one
    facts: Callable[..., tuple[int, int, int]]  # raw file, recipe -> rows, first and last ms
    types: tuple[str, ...]
    objectives: tuple[Objective, ...]
    metric: str  # "recall" or "mrr"
    k: int
    matrices: tuple[MatrixRow, ...]
    embeddings: tuple[EmbeddingRow, ...]
    rules: tuple[Rule, ...]
    baselines: tuple[Baseline, ...]
    features: tuple[FeatureRow, ...]
    rankers: tuple[Ranker, ...]
    type_weight: Weights = (1.0, 1.0, 1.0)  # of the "type" weighting of features
    split_days: float | None = None  # None: as long as the test files last
    train_queries: int = 20_000  # below this, more queries than those of `valid` are learned from
    truncations: int = 1  # of the sessions of `valid`, cut anew, before earlier ones are taken
    pool_size: int = 150
    train_rows: int = 5_000_000  # per objective, about; sets how many negatives are kept
    negatives: float = 15.0  # per positive, at most
    folds: int = 4
    seed: int = 42
    expect: tuple[tuple[str, Expect], ...] = ()
    source: Source | None = None  # None: nothing to download

    def __post_init__(self) -> None:
        selects = [r.select for r in self.rules if hasattr(r, "select")]
        popular = [r for r in self.rules if isinstance(r, PopularRule)]
        given = [row.type_weight for row in selects] + [row.type_weight for row in popular]
        given.append(self.type_weight)
        if min(map(len, given)) < len(self.types):
            raise ValueError(f"recipe {self.name}: type_weight has one number per {self.types}")
        for row in self.matrices:
            if min(len(row.source_weight), len(row.target_weight)) < len(self.types):
                raise ValueError(f"matrix {row.name}: one weight per event type {self.types}")
        tables = {row.name for row in self.matrices} | {row.name for row in self.embeddings}
        rules = {row.name for row in self.rules}
        for kind, rows in (
            ("matrix or embedding", self.matrices + self.embeddings),
            ("rule", self.rules),
            ("ranker", self.rankers),
        ):
            names = [row.name for row in rows]
            if len(set(names)) < len(names):
                raise ValueError(f"recipe {self.name}: two rows share a {kind} name in {names}")
        for rule in self.rules:
            if isinstance(rule, MatrixRule) and rule.matrix not in tables:
                raise ValueError(f"rule {rule.name}: no matrix or embedding named {rule.matrix}")
        for rule in self.rules:
            if rule.top > 255:
                raise ValueError(f"rule {rule.name}: top is at most 255, the ranks of a list")
        for baseline in self.baselines:
            if missing := set(baseline.rules) - rules:
                raise ValueError(f"baseline {baseline.name}: no rule named {sorted(missing)}")
        for feature in self.features:
            named = getattr(feature, "table", None)
            if named is not None and named not in tables:
                raise ValueError(f"feature {feature}: no matrix or embedding named {named}")
        self._check_retrieval()

    def _check_retrieval(self) -> None:
        models = {row.name for row in self.embeddings if isinstance(row, SequenceRow)}
        names = {objective.name for objective in self.objectives}
        if models and not names <= set(self.types):
            raise ValueError(f"recipe {self.name}: objectives {names} are not all of {self.types}")
        for row in (*self.rules, *self.features):
            if isinstance(row, RetrievalRule | RetrievalFeature) and row.model not in models:
                raise ValueError(f"{row}: no two-tower model named {row.model}")
            if isinstance(row, RetrievalRule) and not 0 <= row.objective < len(self.objectives):
                raise ValueError(f"rule {row.name}: no objective {row.objective}, count from 0")
