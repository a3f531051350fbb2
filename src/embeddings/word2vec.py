"""Train Word2Vec item vectors (gensim's skip-gram)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.core.arrays import F32, count_items
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import all_splits
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.neighbours import write_likely_neighbours


@dataclass(frozen=True)
class Word2VecEmbedding(Embedding):
    """Skip-gram with negative sampling (Mikolov et al., 2013): a session is a text of items."""

    dim: int = 64
    window: int = 5
    epochs: int = 20  # at most
    max_tokens: int = 500_000_000  # events read in all epochs, about: fewer epochs where more
    negative: int = 10  # items drawn for each pair
    ns_exponent: float = 0.75  # drawn by (events of the item) ** ns_exponent
    min_count: int = 1  # events of an item; one with fewer has no vector

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """Vectors and neighbours."""
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        """Count gensim's two tables, our copies of them, and gensim's dictionary of words."""
        tables, dictionary = 4, 500  # the latter in bytes an item
        return training_memory(run, split, tables * 4 * self.dim + dictionary)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split, where its files are not up to date."""
        epochs = self.n_epochs(run)

        def make(parts: dict[Path, Path]) -> None:
            sessions = Sessions.load(run, split)
            word, context = self.train(sessions, epochs, run.recipe.seed)
            write_missing(parts, {
                paths.item_vectors(run, split, self.name): partial(save, unit(word)),
                paths.neighbours(run, split, self.name): partial(
                    write_likely_neighbours, word, context, sessions, self.top_n, self.max_items
                ),
            })  # fmt: skip

        return self.build_files(run, split, make, epochs)

    def n_epochs(self, run: Run) -> int:
        """Count the epochs that max_tokens allows on the largest split.

        All splits get as many: one ranker reads the cosines of all of them.
        """
        most = max(count_rows(paths.events(run, split)) for split in all_splits(run))
        return min(self.epochs, max(1, self.max_tokens // max(most, 1)))

    def train(self, sessions: Sessions, epochs: int, seed: int) -> tuple[F32, F32]:
        """Train the vectors of items as words and as context of a word, both (items, dim).

        Rows of items without a vector are 0. One worker: else gensim is not reproducible.
        """
        from gensim.models import Word2Vec

        word, context = np.zeros((2, sessions.n_items, self.dim), np.float32)
        length = np.diff(sessions.offsets)
        read = np.repeat(length > 1, length)
        if count_items(sessions.item[read], sessions.n_items).max(initial=0) < self.min_count:
            return word, context
        model = Word2Vec(
            Sentences(sessions), vector_size=self.dim, window=self.window, sg=1, hs=0,
            negative=self.negative, ns_exponent=self.ns_exponent, min_count=self.min_count,
            epochs=epochs, sample=1e-3, seed=seed, workers=1,
        )  # fmt: skip
        items = np.array(model.wv.index_to_key, dtype=np.int64)
        word[items], context[items] = model.wv.vectors, model.syn1neg
        return word, context


class Sentences:
    """Sessions of two events and more as lists of words; gensim reads them once per epoch."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.words = np.arange(sessions.n_items).astype(str).astype(object)

    def __iter__(self) -> Iterator[list[str]]:
        s = self.sessions
        bounds = zip(s.offsets[:-1], s.offsets[1:], strict=True)
        bar = {"total": s.n_sessions, "leave": False, "disable": None, "delay": 2}
        for first, end in tqdm(bounds, "word2vec, one pass", **bar):
            if end - first > 1:
                yield self.words[s.item[first:end]].tolist()
