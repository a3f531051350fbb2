"""How a net reads the training table: scaled numbers, ids from 0, and whole queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, I8, I32, I64
from src.core.run import Run
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.data.splits import labelled_splits
from src.rankers.base import FitTask
from src.rankers.selection import features_of
from src.rankers.train_set import TrainSet
from src.rankers.train_table import splits_of_files

if TYPE_CHECKING:
    from src.rankers.din import DINRanker

F16 = NDArray[np.float16]

MAX_DEVIATION = 5.0
"""Numbers are cut so many standard deviations from their mean."""
FIT_ROWS = 200_000
"""Rows that means, deviations and the values of categories are taken from, about."""


class InputSizes(NamedTuple):
    """Number of number columns, and of the codes of each id."""

    numbers: int
    items: int
    categories: tuple[int, ...]
    event_types: int


@dataclass(frozen=True)
class InputScaler:
    """Turns raw columns into a net's inputs; fitted on the rows that the net learns from.

    names: of the number columns, whose signed logarithms have this mean and std; categories: of the
    other columns. values, items: the known values of each category, and the known items, ascending.
    The code of a value is 1 + its index there; unknown values share the code 0.
    """

    names: list[str]
    categories: list[str]
    mean: F32
    std: F32
    values: list[I64]
    items: I64

    @classmethod
    def fit(cls, ranker: DINRanker, names: list[str], X: F32, item: NDArray) -> InputScaler:
        """Fit to X, columns of the names and then the ranker's categories, and all items read."""
        numbers = signed_logarithm(X[:, : len(names)])
        items, count = np.unique(item[item >= 0], return_counts=True)
        frequent = np.argsort(-count, kind="stable")[: ranker.max_items]
        kept = np.sort(items[frequent[count[frequent] >= ranker.min_count]]).astype(np.int64)
        values = [np.unique(X[:, c].astype(np.int64)) for c in range(len(names), X.shape[1])]
        mean, std = numbers.mean(axis=0), numbers.std(axis=0).clip(1e-6)
        return cls(names, list(ranker.categories), mean, std, values, kept)

    def sizes(self, event_types: int) -> InputSizes:
        """Sizes of a net's inputs; of items and categories with the code of unknown values."""
        categories = tuple(len(known) + 1 for known in self.values)
        return InputSizes(len(self.names), len(self.items) + 1, categories, event_types)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of X."""
        return [*self.names, *self.categories]

    def numbers(self, X: F32) -> F16:
        """Standardise the number columns of X."""
        raw = signed_logarithm(X[:, : len(self.names)])
        scaled = (raw - self.mean) / self.std
        return np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float16)

    def codes(self, X: F32) -> I32:
        """Encode the category columns of X."""
        codes = np.empty((len(X), len(self.values)), np.int32)
        for c, known in enumerate(self.values):
            codes[:, c] = codes_of(known, X[:, len(self.names) + c])
        return codes


def signed_logarithm(X: F32) -> F32:
    """sign(x) * ln(1 + |x|); a missing number counts as 0."""
    X = np.nan_to_num(X)
    return np.sign(X) * np.log1p(np.abs(X))


def codes_of(known: I64, value: NDArray) -> I32:
    """1 + the index of each value among the known ones, which ascend; 0 for all others."""
    table = np.append(known, np.iinfo(np.int64).max)
    index = np.searchsorted(table, value.astype(np.int64))
    return np.where(table[index] == value, index + 1, 0).astype(np.int32)


@dataclass(frozen=True)
class QueryRows:
    """Rows of whole queries as a net reads them.

    offsets: the first row of each query, and the end. (rows): label, item; (rows, names): numbers;
    (rows, categories): codes. (queries, max_len): history, the items of the session's last events,
    mask, event_type, recency.
    """

    offsets: I64
    label: I8
    item: I32
    numbers: F16
    codes: I32
    history: I32
    mask: NDArray[np.bool_]
    event_type: I64
    recency: I64

    @classmethod
    def of(
        cls, scaler: InputScaler, offsets: I64, label: I8, item: I32, batches: Iterable[F32],
        histories: SequenceBatch,
    ) -> QueryRows:  # fmt: skip
        """Convert raw rows; batches: the scaler's columns of all rows, some rows at a time.

        The arrays are filled batch by batch: to join batches would take twice the memory.
        """
        numbers = np.empty((item.size, len(scaler.names)), np.float16)
        codes, row = np.empty((item.size, len(scaler.values)), np.int32), 0
        for X in batches:
            rows = slice(row, row := row + len(X))
            numbers[rows], codes[rows] = scaler.numbers(X), scaler.codes(X)
        return cls(
            offsets, label, codes_of(scaler.items, item), numbers, codes,
            codes_of(scaler.items, histories.item), histories.mask, histories.event_type,
            histories.recency,
        )  # fmt: skip

    def labels(self, queries: I64) -> I8:
        """Labels of the rows of some queries, one after the other."""
        ends = zip(self.offsets[queries], self.offsets[queries + 1], strict=True)
        return np.concatenate([self.label[a:b] for a, b in ends])

    def batch(self, queries: I64) -> dict[str, NDArray]:
        """Gather the rows of some queries, with their histories.

        query: the index of a row's query among those given; position: of the row in its query.
        """
        size = np.diff(self.offsets)[queries]
        query = np.repeat(np.arange(queries.size), size)
        position = np.arange(query.size) - (np.cumsum(size) - size)[query]
        rows = self.offsets[queries][query] + position
        return {
            "query": query, "position": position, "label": self.label[rows],
            "item": self.item[rows], "numbers": self.numbers[rows].astype(np.float32),
            "codes": self.codes[rows], "history": self.history[queries],
            "mask": self.mask[queries], "event_type": self.event_type[queries],
            "recency": self.recency[queries],
        }  # fmt: skip


@dataclass(frozen=True)
class FoldQueries:
    """What one fold's net learns from: all rows, and the numbers of train and valid queries."""

    scaler: InputScaler
    rows: QueryRows
    train: I64
    valid: I64
    n_event_types: int
    counts: dict[str, int]  # of rows and positives

    @classmethod
    def read(
        cls, ranker: DINRanker, task: FitTask, train_set: TrainSet, histories: SequenceBatch,
        n_event_types: int,
    ) -> FoldQueries:  # fmt: skip
        """Read all rows; what is fitted or selected is so without the valid rows."""
        if unknown := set(ranker.categories) - set(train_set.names):
            raise ValueError(f"ranker {ranker.name}: categories {sorted(unknown)} are no features")
        train_set.check(task.target, task.fold)
        names = features_of(task, train_set, ranker.max_features)
        names = [name for name in names if name not in ranker.categories]
        columns, offsets = [*names, *ranker.categories], train_set.offsets
        train_rows, fold = train_set.fold != task.fold, train_set.fold[offsets[:-1]]
        items = [train_set.item[train_rows], histories.item[fold != task.fold].ravel()]
        X = train_set.load(train_set.subsample(train_rows, FIT_ROWS), columns)
        scaler = InputScaler.fit(ranker, names, X, np.concatenate(items))
        rows = QueryRows.of(
            scaler, offsets, train_set.label, train_set.item,
            (train_set.file_features(file, columns) for file in range(len(train_set.files))),
            histories,
        )  # fmt: skip
        return cls(
            scaler, rows, np.flatnonzero(fold != task.fold), np.flatnonzero(fold == task.fold),
            n_event_types, train_set.counts(task.fold),
        )  # fmt: skip


def last_events(sessions: Sessions, session: I32 | I64, max_len: int) -> SequenceBatch:
    """Last events of some dense sessions, newest first; nothing of a session without an event."""
    session = session.astype(np.int64)
    end = sessions.offsets[session + 1]
    event = np.where(end > sessions.offsets[session], end - 1, -1)
    return SequenceBatch.of(sessions, event, max_len)


def train_histories(run: Run, train_set: TrainSet, max_len: int) -> SequenceBatch:
    """Last events of each query of a training set; its splits are read one by one."""

    def of_splits() -> Iterator[SequenceBatch]:
        first_row, names = train_set.offsets[:-1], np.array(splits_of_files(run))
        file = np.searchsorted(train_set.file_offsets, first_row, side="right") - 1
        for split in labelled_splits(run):
            session = train_set.session[first_row[names[file] == split]]
            yield last_events(Sessions.load(run, split), session, max_len)

    batches = list(of_splits())
    parts = [field.name for field in fields(SequenceBatch)]
    return SequenceBatch(*(np.concatenate([getattr(b, part) for b in batches]) for part in parts))
