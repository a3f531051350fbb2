"""What one dataset is, as data: rows that the steps turn into matrices, candidates and features.

Everything that differs between competitions is one `Recipe` value in `src/datasets/`. A row holds
plain values only, so it can be compared, hashed into a manifest and printed. To try an idea, add or
change a row there; the step that uses it, and the steps behind it, run again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from src.candidates.rows import (
    Baseline,
    ItemToItemRetriever,
    PopularRetriever,
    Retriever,
    TwoTowerRetriever,
)
from src.data.units import Weights
from src.embeddings.rows import Embedding, TwoTowerEmbedding
from src.features.rows import FeatureGroup, TwoTowerFeature
from src.matrices.rows import CovisitationMatrix, SwingMatrix
from src.rankers.rows import Ranker


@dataclass(frozen=True)
class Objective:
    """What is predicted: events of type `name`, with its weight in the competition's score."""

    name: str
    weight: float
    next_only: bool = False  # only the next such event is true; else all that follow


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
    write_submission: Callable[..., None]  # step 7: lists -> submission.csv, validated
    layout: Callable[..., Any]  # recipe -> how a row of submission.csv is written
    asked: Callable[..., Any]  # folder of raw files, recipe -> queries and items, to check one
    truth: Callable[..., Any]  # published truth, recipe -> its table, to score one
    facts: Callable[..., tuple[int, int, int]]  # raw file, recipe -> rows, first and last ms
    types: tuple[str, ...]
    objectives: tuple[Objective, ...]
    metric: str  # "recall" or "mrr"
    k: int
    matrices: tuple[CovisitationMatrix | SwingMatrix, ...]
    embeddings: tuple[Embedding, ...]
    rules: tuple[Retriever, ...]
    baselines: tuple[Baseline, ...]
    features: tuple[FeatureGroup, ...]
    rankers: tuple[Ranker, ...]
    type_weight: Weights = (1.0, 1.0, 1.0)  # of the "type" weighting of features
    split_days: float | None = None  # None: as long as the test files last
    train_queries: int = 20_000  # below this, more queries than those of `valid` are learned from
    truncations: int = 1  # of the sessions of `valid`, cut anew, before earlier ones are taken
    pool_size: int = 150
    train_rows: int = 2_000_000  # per objective, about: how many negatives are kept
    negatives: float = 15.0  # per positive, at most
    folds: int = 4
    seed: int = 42
    expect: tuple[tuple[str, Expect], ...] = ()
    source: Source | None = None  # None: nothing to download

    def __post_init__(self) -> None:
        selects = [r.select for r in self.rules if hasattr(r, "select")]
        popular = [r for r in self.rules if isinstance(r, PopularRetriever)]
        given = [row.type_weight for row in selects] + [row.type_weight for row in popular]
        given.append(self.type_weight)
        if min(map(len, given)) < len(self.types):
            raise ValueError(f"recipe {self.name}: type_weight has one number per {self.types}")
        for row in self.matrices:
            weights = () if isinstance(row, SwingMatrix) else (row.source_weight, row.target_weight)
            if any(len(weight) < len(self.types) for weight in weights):
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
            if isinstance(rule, ItemToItemRetriever) and rule.matrix not in tables:
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
        models = {row.name for row in self.embeddings if isinstance(row, TwoTowerEmbedding)}
        names = {objective.name for objective in self.objectives}
        if models and not names <= set(self.types):
            raise ValueError(f"recipe {self.name}: objectives {names} are not all of {self.types}")
        for row in (*self.rules, *self.features):
            if isinstance(row, TwoTowerRetriever | TwoTowerFeature) and row.model not in models:
                raise ValueError(f"{row}: no two-tower model named {row.model}")
            if isinstance(row, TwoTowerRetriever) and not 0 <= row.objective < len(self.objectives):
                raise ValueError(f"rule {row.name}: no objective {row.objective}, count from 0")
