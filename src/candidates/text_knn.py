"""List items of the sessions whose texts are most like that of the query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse

from src.candidates import texts
from src.candidates.base import Retriever
from src.core.arrays import F64
from src.core.nearest import nearest
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.shards import batches
from src.data.split_data import SplitData
from src.texts.base import TextEncoder
from src.texts.session_texts import session_vectors, text_inputs, text_memory

if TYPE_CHECKING:
    from src.data.recipe import Recipe

QUERIES = 256  # compared with all sessions at a time
KINDS = ("exact", "ngrams", "vectors")


@dataclass(frozen=True)
class TextKnnRetriever(Retriever):
    """Lists the items of sessions with similar texts, such as titles of playlists.

    Sessions that are no query are neighbours. The score of an item is the sum of the similarities
    of the neighbours that have it, over (sessions with the item) ** popularity. A query without a
    text gets an empty list; one without an event is no special case.

    With `feedback`, the best items of that list take the place of the text: sessions are compared
    once more, by the cosine of the items' scores, times idf, with theirs (Rocchio, "Relevance
    Feedback in Information Retrieval", 1971; here without anyone's judgement). So sessions with
    other titles count.
    """

    kind: str  # "exact": texts are equal, once normalised; "ngrams": TF-IDF; "vectors": encoder
    encoder: TextEncoder | None = None  # of the kind "vectors", by the cosine
    neighbours: int = 100  # most similar sessions, ties by session; all equal texts for "exact"
    power: float = 1.0  # of the similarity
    popularity: float = 0.0
    feedback: int = 0  # best items that are compared; 0: none
    top: int = 255

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError for an unknown kind."""
        super().check(recipe)
        if self.kind not in KINDS:
            raise ValueError(f"retriever {self.name}: kind is one of {', '.join(KINDS)}")
        if (self.kind == "vectors") != (self.encoder is not None):
            raise ValueError(f'retriever {self.name}: the kind "vectors" alone has an encoder')

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, the texts of the sessions, and what the encoder reads."""
        of_encoder = text_inputs(run, split) if self.encoder else []
        texts_of = paths.sessions(run, split)
        return list(dict.fromkeys([*super().inputs(run, split), texts_of, *of_encoder]))

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the vectors, of the sessions' items, and of a batch of scores."""
        sessions, events = count_rows(paths.sessions(run, split)), paths.events(run, split)
        of_encoder = 0.0
        if self.encoder is not None:
            of_encoder = 8.0 * self.encoder.most_numbers * sessions
            of_encoder += text_memory(run, split, self.encoder)
        return 16 * QUERIES * sessions + 1200 * sessions + 16 * count_rows(events) + of_encoder

    def causal(self) -> Self | None:
        """Return None, as neighbours are sessions of the whole split."""
        return None

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Sum the items of each query's neighbours."""
        has = data.cached(("items of sessions",), lambda: items_of_sessions(data))
        with_item = data.cached(("sessions of items",), lambda: sessions_of_items(has))
        weight = 1 / np.maximum(with_item, 1) ** self.popularity
        found = []
        for low, high in batches(first, end, QUERIES):
            near = self._similar(data, low, high)
            if self.kind != "exact":
                near = texts.first_of_csr(near, self.neighbours)
                near.data **= self.power
            scores = sparse.csr_matrix((near @ has).multiply(weight))
            if self.feedback:
                near = self._sessions_with(texts.first_of_csr(scores, self.feedback), data)
                scores = sparse.csr_matrix((near @ has).multiply(weight))
            found.append(texts.top_of_csr(scores, self.top))
        item, score = zip(*found, strict=True)
        return np.concatenate(item), np.concatenate(score)

    def _sessions_with(self, items: sparse.csr_matrix, data: SplitData) -> sparse.csr_matrix:
        """Find the sessions whose items are most like those of each query, both times idf."""
        from sklearn.preprocessing import normalize

        if not data.first_query:  # all sessions are queries
            return sparse.csr_matrix((items.shape[0], 0))

        def make() -> tuple[sparse.dia_matrix, sparse.csr_matrix]:
            has = data.cached(("items of sessions",), lambda: items_of_sessions(data))
            count = np.maximum(sessions_of_items(has), 1)
            idf = sparse.diags(np.log(max(has.shape[0], 2) / count))
            return idf, normalize(has @ idf).T.tocsr()

        idf, sessions = data.cached(("sessions by their items",), make)
        similar = normalize(items @ idf) @ sessions
        return texts.first_of_csr(sparse.csr_matrix(similar), self.neighbours)

    def _similar(self, data: SplitData, first: int, end: int) -> sparse.csr_matrix:
        """Compare the texts of queries with those of sessions that are no query.

        The nearest `neighbours` of an encoder; all that are above 0 of other kinds.
        """
        if self.encoder is not None:
            encoder = self.encoder
            vectors = data.cached(("vectors of sessions", encoder), lambda: session_vectors(
                data, encoder, 0, data.first_query
            ))  # fmt: skip
            asked = session_vectors(data, encoder, first, end)
            near, cosine = nearest(asked, vectors, min(self.neighbours, len(vectors)))
            cosine[cosine <= 0] = 0.0  # also where a list ends
            query, place = np.nonzero(cosine)
            values = cosine[query, place].astype(np.float64)
            size = len(asked), len(vectors)
            return sparse.csr_matrix((values, (query, near[query, place])), size)
        vectorise, known = data.cached(("text vectors", self.kind), lambda: self._known(data))
        names = [texts.normalised(text) for text in data.query_texts(first, end)]
        return sparse.csr_matrix(vectorise(names) @ known)

    def _known(self, data: SplitData) -> tuple[texts.Vectorise, sparse.csr_matrix]:
        """Learn from the texts of sessions that are no query; return their vectors transposed."""
        names = [texts.normalised(text) for text in data.query_texts(0, data.first_query)]
        vectorise = texts.by_equality(names) if self.kind == "exact" else texts.by_ngrams(names)
        return vectorise, vectorise(names).T.tocsr()


def items_of_sessions(data: SplitData) -> sparse.csr_matrix:
    """Mark the items of each session that is no query: float64 (sessions, items), 1 or 0."""
    s, n = data.sessions, data.first_query
    end = s.offsets[n]
    session = np.repeat(np.arange(n), np.diff(s.offsets[: n + 1]))
    has = sparse.csr_matrix((np.ones(end), (session, s.item[:end])), (n, s.n_items))
    has.sum_duplicates()
    has.data[:] = 1
    return has


def sessions_of_items(has: sparse.csr_matrix) -> F64:
    """Count the sessions with each item: float64 (items). has: of `items_of_sessions`."""
    count: F64 = np.asarray(has.sum(axis=0)).ravel()
    return count
