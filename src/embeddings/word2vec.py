"""Train Word2Vec item vectors with gensim."""

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
from src.embeddings.neighbours import write_neighbours_by_likelihood


@dataclass(frozen=True)
class Word2VecEmbedding(Embedding):
    """Skip-gram with negative sampling (Mikolov et al., 2013): sessions are texts, items words."""

    dim: int = 64
    window: int = 5
    epochs: int = 20  # at most
    max_tokens: int = 500_000_000  # events read in all epochs, about; lowers their number
    negative: int = 10  # items drawn for each pair
    ns_exponent: float = 0.75  # drawn by (events of the item) ** ns_exponent
    min_count: int = 1  # events of an item; items with fewer have no vector

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of item vectors and of neighbours."""
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        """Count gensim's two tables, our copies of them, and gensim's dictionary of words."""
        vectors, dictionary = 4, 500  # dictionary: bytes an item
        return training_memory(run, split, vectors * 4 * self.dim + dictionary)

    def build(self, run: Run, split: str) -> Summary:
        """Train on the sessions of a split; write vectors and neighbours."""
        epochs = self.n_epochs(run)

        def make(temporary: dict[Path, Path]) -> None:
            sessions = Sessions.load(run, split)
            word, context = self.train(sessions, epochs, run.recipe.seed)
            write_missing(temporary, {
                paths.item_vectors(run, split, self.name): partial(save, unit(word)),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_likelihood, self, word, context, sessions.count_items()
                ),
            })  # fmt: skip

        return self.build_files(run, split, make, epochs)

    def n_epochs(self, run: Run) -> int:
        """Return the number of epochs that max_tokens allows on the largest split.

        It is the same for all splits, so that a ranker reads comparable cosines.
        """
        largest = max(count_rows(paths.events(run, split)) for split in all_splits(run))
        return min(self.epochs, max(1, self.max_tokens // max(largest, 1)))

    def train(self, sessions: Sessions, epochs: int, seed: int) -> tuple[F32, F32]:
        """Train vectors of items as words, and as contexts of words; both (items, dim).

        They are 0 for items without a vector. gensim is reproducible with one worker alone.
        """
        from gensim.models import Word2Vec

        word, context = np.zeros((2, sessions.n_items, self.dim), np.float32)
        length = np.diff(sessions.offsets)
        in_text = np.repeat(length > 1, length)
        if count_items(sessions.item[in_text], sessions.n_items).max(initial=0) < self.min_count:
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
    """Yields sessions of two events and more as lists of words; gensim reads all once an epoch."""

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
