"""Rows of whole queries as a net reads them: from the training table, with histories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, I32, I64, offsets_of_sizes
from src.core.run import Run
from src.data.sequence_batch import SequenceBatch
from src.data.shards import batches
from src.data.split_data import SplitData
from src.rankers.base import FitTask
from src.rankers.nets.histories import histories, no_events
from src.rankers.nets.scaling import F16, InputScaler, codes_of
from src.rankers.selection import features_of
from src.rankers.train_set import TrainSet

if TYPE_CHECKING:
    from src.rankers.batches import CandidateBatch
    from src.rankers.net import NetRanker

FIT_ROWS = 200_000
"""Rows, about, from which the scaler takes means, deviations and values of categories."""
BATCH_ROWS = 1 << 14
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class QueryRows:
    """Candidates of whole queries as a net reads them: a row each.

    offsets: CSR of the queries. (rows): label; item, its code. (rows, names): numbers. (rows,
    categories): codes. correction: as label, what a loss of log-odds adds to the scores; see
    TrainSet. (queries, max_len), of the last events of the session: history, the codes of
    the items; mask, event_type and recency of SequenceBatch. The label of a multi-task net is
    (rows, objectives), NaN where nothing is known.
    """

    scaler: InputScaler
    offsets: I64
    label: F32
    item: I32
    numbers: F16
    codes: I32
    history: I32
    mask: NDArray[np.bool_]
    event_type: I64
    recency: I64
    correction: F32

    @classmethod
    def of(
        cls, scaler: InputScaler, offsets: I64, label: F32, item: I32, files: Iterable[F32],
        histories: SequenceBatch, correction: F32 | None = None,
    ) -> QueryRows:  # fmt: skip
        """Convert raw rows.

        files: X of the scaler's columns, in parts of the rows. They are converted in small batches:
        the numbers between take several times the memory. correction: None for 0.
        """
        numbers = np.empty((item.size, len(scaler.names)), np.float16)
        codes, row = np.empty((item.size, len(scaler.values)), np.int32), 0
        for X in (file[a:b] for file in files for a, b in batches(0, len(file), BATCH_ROWS)):
            rows = slice(row, row := row + len(X))
            numbers[rows], codes[rows] = scaler.numbers(X), scaler.codes(X)
        return cls(
            scaler, offsets, label, codes_of(scaler.items, item), numbers, codes,
            codes_of(scaler.items, histories.item), histories.mask, histories.event_type,
            histories.recency, np.zeros_like(label) if correction is None else correction,
        )  # fmt: skip

    def take(self, queries: I64) -> QueryRows:
        """Keep the rows and histories of some queries, in their order."""
        rows = np.concatenate([np.arange(self.offsets[q], self.offsets[q + 1]) for q in queries])
        of_row = ("label", "item", "numbers", "codes", "correction")
        of_query = ("history", "mask", "event_type", "recency")
        taken = {name: getattr(self, name)[rows] for name in of_row}
        taken |= {name: getattr(self, name)[queries] for name in of_query}
        return replace(self, offsets=offsets_of_sizes(np.diff(self.offsets)[queries]), **taken)

    def labels(self, queries: I64) -> F32:
        """Return the labels of the rows of queries, in the order of the queries."""
        return self.label[self._rows(queries)]

    def corrections(self, queries: I64) -> F32:
        """Return the correction of the rows of queries, in the order of the queries."""
        return self.correction[self._rows(queries)]

    def _rows(self, queries: I64) -> I64:
        ends = zip(self.offsets[queries], self.offsets[queries + 1], strict=True)
        return np.concatenate([np.arange(a, b) for a, b in ends])

    def batch(self, queries: I64) -> dict[str, NDArray]:
        """Gather the rows and histories of queries.

        The batch has two more arrays (rows): query, the index of the row's query in `queries`, and
        position, of the row in its query. offsets: CSR of the queries of the batch. numbers are
        those of InputScaler.inputs.
        """
        size = np.diff(self.offsets)[queries]
        query = np.repeat(np.arange(queries.size), size)
        offsets = offsets_of_sizes(size)
        position = np.arange(query.size) - offsets[:-1][query]
        rows = self.offsets[queries][query] + position
        return {
            "offsets": offsets, "query": query, "position": position, "label": self.label[rows],
            "item": self.item[rows], "numbers": self.scaler.inputs(self.numbers[rows]),
            "codes": self.codes[rows], "history": self.history[queries],
            "mask": self.mask[queries], "event_type": self.event_type[queries],
            "recency": self.recency[queries], "correction": self.correction[rows],
        }  # fmt: skip


@dataclass(frozen=True)
class FoldQueries:
    """The data of one fold: all rows, and which queries are for training and which for stopping."""

    rows: QueryRows
    train: I64  # indices of queries
    valid: I64
    n_event_types: int
    counts: dict[str, int]  # of rows and positives
    vectors: F32 | None = None  # of all items, (items, numbers), where the net reads some
    objectives: tuple[str, ...] = ()  # columns of the labels; (): these have one

    @classmethod
    def read(
        cls, ranker: NetRanker, task: FitTask, train_set: TrainSet, histories: SequenceBatch,
        n_event_types: int, vectors: F32 | None = None,
    ) -> FoldQueries:  # fmt: skip
        """Read all rows; features are selected and the scaler fitted on train rows alone.

        histories: of all queries of the training set. Raises ValueError where a category of the
        ranker is no feature.
        """
        if unknown := set(ranker.categories) - set(train_set.names):
            raise ValueError(f"ranker {ranker.name}: categories {sorted(unknown)} are no features")
        train_set.check(task.target, task.fold)
        names = features_of(task, train_set, ranker.max_features)
        names = [name for name in names if name not in ranker.categories]
        columns, offsets = [*names, *ranker.categories], train_set.offsets
        train_rows, fold = train_set.fold != task.fold, train_set.fold[offsets[:-1]]
        items = [train_set.item[train_rows], histories.item[fold != task.fold].ravel()]
        fit_rows = train_set.subsample(train_rows, FIT_ROWS)
        scaler = InputScaler.fit(
            ranker, names, train_set.load(fit_rows, columns), train_set.query[fit_rows],
            np.concatenate(items),
        )  # fmt: skip
        if vectors is not None:
            scaler = replace(scaler, items=np.arange(len(vectors)))
        objectives = train_set.objectives if ranker.net.multi_task else ()
        rows = QueryRows.of(
            scaler, offsets, train_set.grades() if objectives else train_set.label, train_set.item,
            (train_set.file_features(file, columns) for file in range(len(train_set.files))),
            histories,
            train_set.corrections() if objectives else train_set.correction(task.fold),
        )  # fmt: skip
        return cls(
            rows, np.flatnonzero(fold != task.fold), np.flatnonzero(fold == task.fold),
            n_event_types, train_set.counts(task.fold), vectors, objectives,
        )  # fmt: skip


def rows_to_score(batch: CandidateBatch, scaler: InputScaler, max_len: int) -> QueryRows:
    """Convert the candidates of a batch, with the last max_len events of their sessions."""
    pool = batch.pool
    events = histories(batch.data, np.arange(pool.first, pool.end), max_len)
    columns = [batch.names.index(name) for name in scaler.columns]
    X = batch.X[np.ix_(batch.rows, np.array(columns, np.int64))]
    no_label = np.zeros(pool.item.size, np.float32)
    return QueryRows.of(scaler, pool.offsets, no_label, pool.item, [X], events)


def train_histories(run: Run, train_set: TrainSet, max_len: int) -> SequenceBatch:
    """Return the last events of each query of a training set, whose splits are read in turn.

    The files of a split stand together.
    """
    if not max_len:
        return no_events(train_set.offsets.size - 1)

    def of_splits() -> Iterator[SequenceBatch]:
        first_row = train_set.offsets[:-1]
        names = [path.relative_to(run.output).parts[0] for path in train_set.files]
        split_of_file = np.array(names)
        file = np.searchsorted(train_set.file_offsets, first_row, side="right") - 1
        for split in dict.fromkeys(names):
            session = train_set.session[first_row[split_of_file[file] == split]]
            yield histories(SplitData(run, split), session, max_len)

    parts = list(of_splits())
    names = [field.name for field in fields(SequenceBatch)]
    return SequenceBatch(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
