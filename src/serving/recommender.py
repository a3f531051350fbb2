"""Recommend items for one query, as steps 3 to 7 do for the queries of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import polars as pl
from numba import get_num_threads, set_num_threads

from src.blend.cv import cv_path
from src.blend.final_blend import FinalBlend, final_blends
from src.blend.scored_candidates import ScoredCandidates
from src.candidates.lists import lists_function, lists_of_query
from src.candidates.pool import Pool, merge
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.folds import all_folds
from src.data.schemas import FinalList
from src.data.splits import scored_splits, split_named
from src.prerankers.base import stage_of
from src.prerankers.comparison import first_candidates
from src.rankers.batches import CandidateBatch
from src.serving.effects import Effect, strongest
from src.serving.item_names import ItemNames
from src.serving.query import NEW, Query
from src.serving.query_data import QueryData
from src.serving.reader import QueryReader
from src.serving.scorer import Scorer

BYTES_PER_EVENT = 36.0
"""Of a split: its columns while they are read and with room for a query, and their indices."""


@dataclass(frozen=True)
class Answer:
    """Candidates of a query with their features, and the list of each objective, best first."""

    batch: CandidateBatch
    lists: dict[str, FinalList]
    fold: int | None  # whose models scored; None: the mean of all

    @property
    def pool(self) -> Pool:
        return self.batch.pool

    def rows(self, items: Sequence[int]) -> list[int]:
        """Return the places of candidates in the pool, from 0."""
        place = {item: row for row, item in enumerate(self.pool.item.tolist())}
        return [place[item] for item in items]


class Recommender:
    """All that answers queries, in memory: no file is read for one. Threads take turns."""

    def __init__(self, run: Run, split: str | None = None) -> None:
        """Read what the lists and scores of a split are made from; None: that of the submission.

        Raises ValueError or FileNotFoundError, with the cure, where a run cannot answer.
        """
        recipe = run.recipe
        if recipe.given:
            raise ValueError(
                f"{recipe.name}: the raw files give the candidates of each query, so events alone "
                "have none; make export writes what scores such lists"
            )
        self.run, self.split = run, split or scored_splits(run)[-1]
        run.require(_files(run, self.split))
        run.budget.claim("answers", _memory(run, self.split))
        self.data, self.blends = QueryData(run, self.split), final_blends(run)
        self.scorer = Scorer.load(run)
        stage = stage_of(run, recipe.preranker) if recipe.preranker else None
        self.preranker = Scorer.load(stage) if stage else None
        is_test = split_named(run, self.split).role == "test"
        self.folds = None if is_test else all_folds(run, self.split)
        data, schema = self.data, pl.read_parquet_schema(paths.sessions(run, self.split))
        self.names = ItemNames.of(data.items, data.stored.count_items())
        self.reader = QueryReader(
            self.names, recipe.types, "text" in schema, data.now, data.usual_gap
        )
        self._turn = Lock()
        first = np.zeros(1, np.int32), np.zeros(1, np.int8), np.array([data.now], np.int32)
        self.answer(Query(*first))  # fills the caches

    def answer(self, query: Query) -> Answer:
        """Find, score and order the candidates of a query."""
        fold = None
        if self.folds is not None and query.stands_for != NEW:
            fold = int(self.folds[query.stands_for])
        with self._turn, one_thread():
            self.data.take(query)
            batch = self.scorer.batch(self.data, self.pool(fold))
            columns = {"session": batch.pool.session, "item": batch.pool.item}
            table = pl.DataFrame(columns | self.scorer.scores(batch, fold))
            lists = {name: ranked(table, final) for name, final in self.blends.items()}
        return Answer(batch, lists, fold)

    def effects(
        self, answer: Answer, objective: str, items: Sequence[int], n: int
    ) -> list[list[Effect]]:
        """Find the n strongest features of some candidates of an answer, each."""
        final, rows = self.blends[objective], answer.rows(items)
        with self._turn, one_thread():
            return strongest(self.scorer, answer.batch, final, rows, n, answer.fold)

    def pool(self, fold: int | None) -> Pool:
        """Merge the lists of all retrievers, and keep what the pre-ranker keeps."""
        recipe, data, query = self.run.recipe, self.data, self.data.query_session
        tables = [
            lists_function(self.run, row)(data, query, query + 1) for row in recipe.retrievers
        ]
        pool = merge(lists_of_query(tables), len(tables), query, recipe.pool_size)
        if recipe.preranker is None or self.preranker is None:
            return pool
        order = -np.arange(pool.item.size, dtype=np.float32)
        if self.preranker.models:
            (order,) = self.preranker.scores(self.preranker.batch(data, pool), fold).values()
        return pool.keep_rows(first_candidates(pool, order, recipe.preranker.keep))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run kernels by one thread: for a single query, more cost more than they save."""
    threads = get_num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(threads)


def ranked(table: pl.DataFrame, final: FinalBlend) -> FinalList:
    """Order all candidates of a query for an objective."""
    candidates = ScoredCandidates.from_table(table, final.columns)
    return candidates.ranked(candidates.blended(final.blend, final.stack), None)


def _files(run: Run, split: str) -> list[Path]:
    """List the files that lists, features and blends are made from; models are not among them."""
    recipe = run.recipe
    files = [cv_path(run), paths.items(run), paths.sessions(run, split), paths.events(run, split)]
    files += [file for row in recipe.retrievers for file in row.inputs(run, split)]
    features = (*recipe.features, *(recipe.preranker.features if recipe.preranker else ()))
    files += [file for row in features for file in row.inputs(run, split)]
    files += [paths.query_encoder(run, split, row.name)
              for row in recipe.embeddings if row.makes_query_vectors]  # fmt: skip
    return list(dict.fromkeys(files))


def _memory(run: Run, split: str) -> float:
    """Estimate the bytes of the data of all retrievers and features."""
    held = [row.memory(run, split) for row in run.recipe.retrievers]
    held += [row.memory(run, split).held for row in run.recipe.features]
    return BYTES_PER_EVENT * count_rows(paths.events(run, split)) + sum(held)
