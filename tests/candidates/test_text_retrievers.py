"""Retrievers for the text of a query, against plain loops.

pytest tests/candidates/test_text_retrievers.py
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, small_split, whole
from sklearn.feature_extraction.text import TfidfVectorizer

from src.candidates import item_names, text_knn
from src.candidates.item_names import K1, B, ItemNameRetriever
from src.candidates.lists import write_candidates
from src.candidates.text_knn import TextKnnRetriever
from src.candidates.texts import normalised
from src.data import paths
from src.data.split_data import SplitData
from src.texts.session_texts import session_vectors
from src.texts.tfidf import TfidfEncoder

HISTORIES = [[0, 1], [0, 2, 0], [3], [1, 3, 0], [2], [], [2], [1, 0]]
TEXTS = ["Rainy Day!", "rainy  day", "rain", "Workout", "🎸", "", "rainy day", "workout"]
ASKED = ["RAINY day.", "rainy", "", "🎸", "?!", "wörkout mix", "rainy day"]
QUERIES = [[], [3], [0], [], [], [], []]
NAMES = ["Rainy Day", "Workout", None, "Rain rain day", "Day never heard"]
SESSIONS = [[(item, n, 0) for n, item in enumerate(items)] for items in HISTORIES + QUERIES]


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    data = small_split(tmp_path, SESSIONS, len(ASKED))
    file = tmp_path / "valid" / "sessions.parquet"
    whole(file, pl.read_parquet(file).with_columns(text=pl.Series([*TEXTS, *ASKED])))
    names = pl.DataFrame({"item_id": range(5), "title": NAMES})
    whole(tmp_path / "items.parquet", names)
    return data


def lists(
    row: TextKnnRetriever | ItemNameRetriever, data: SplitData
) -> list[list[tuple[int, float]]]:
    item, score = row.lists(data, data.first_query, data.n_sessions)
    pairs = [zip(*of_query, strict=True) for of_query in zip(item, score, strict=True)]
    return [[(int(i), float(s)) for i, s in pair if i >= 0] for pair in pairs]


def ranked(scores: dict[int, float], top: int) -> list[tuple[int, float]]:
    found = sorted(scores.items(), key=lambda pair: (-np.float32(pair[1]), pair[0]))
    return [(item, pytest.approx(score, rel=1e-5)) for item, score in found if score > 0][:top]


def plain_items(similar: list[float], popularity: float, top: int) -> list[tuple[int, float]]:
    has = [set(items) for items in HISTORIES]
    count = Counter(item for items in has for item in items)
    scores = {
        item: sum(s for s, items in zip(similar, has, strict=True) if item in items)
        / count[item] ** popularity
        for item in count
    }
    return ranked(scores, top)


def test_the_same_title(data: SplitData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_knn, "QUERIES", 3)
    same = {"rainy day": [0, 1, 6], "workout": [3, 7], "🎸": [4]}
    found = lists(TextKnnRetriever("same", "exact", popularity=0.3, top=3), data)
    for asked, of_query in zip(ASKED, found, strict=True):
        near = same.get(normalised(asked), [])
        similar = [float(n in near) for n in range(len(HISTORIES))]
        assert of_query == plain_items(similar, 0.3, 3), asked


def test_a_title_of_similar_letters(data: SplitData) -> None:
    row = TextKnnRetriever("like", "ngrams", neighbours=3, power=2.0, popularity=0.5, top=4)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    known = grams.fit_transform([normalised(text) for text in TEXTS]).toarray()
    asked = grams.transform([normalised(text) for text in ASKED]).toarray()
    for cosine, of_query in zip(asked @ known.T, lists(row, data), strict=True):
        near = sorted(range(len(TEXTS)), key=lambda n: (-np.float32(cosine[n]), n))[:3]
        similar = [float(cosine[n]) ** 2 if n in near else 0.0 for n in range(len(TEXTS))]
        assert of_query == plain_items(similar, 0.5, 4)


def test_a_title_of_a_near_vector(data: SplitData) -> None:
    encoder = TfidfEncoder(dim=3, min_texts=1, ngrams=(1, 1))
    row = TextKnnRetriever("means", "vectors", encoder, neighbours=3, power=2.0, top=4)
    vectors = session_vectors(data, encoder, 0, data.n_sessions)
    for query, of_query in zip(range(data.first_query, data.n_sessions), lists(row, data),
                               strict=True):  # fmt: skip
        cosine = (vectors[: data.first_query] @ vectors[query]).tolist()
        order = sorted(range(len(cosine)), key=lambda n: (-np.float32(cosine[n]), n))
        near = {n: cosine[n] ** 2 for n in order[:3] if cosine[n] > 0}
        wanted = plain_items([near.get(n, 0.0) for n in range(len(cosine))], 0.0, 4)
        assert of_query == wanted
    row.check(BARE)
    assert row.inputs(data.run, "valid").count(paths.sessions(data.run, "valid")) == 1
    assert row.memory(data.run, "valid") > replace(row, encoder=None).memory(data.run, "valid")


@dataclass(frozen=True)
class Read(TfidfEncoder):
    """An encoder that reads a file."""

    file: str = ""

    def content_hash(self) -> str:
        return Path(self.file).read_text()


def test_lists_are_made_anew_for_another_model(data: SplitData, tmp_path: Path) -> None:
    model = tmp_path / "elsewhere" / "model"
    model.parent.mkdir()
    encoder = Read(dim=3, min_texts=1, ngrams=(1, 1), file=str(model))
    row = TextKnnRetriever("means", "vectors", encoder, top=4)
    for weights, built in [("1", 1), ("1", 0), ("2", 1), ("2", 0)]:
        model.write_text(weights)
        assert write_candidates(data, row)["built"] == built


def test_one_query_gets_the_list_that_it_gets_among_many(tmp_path: Path) -> None:
    """A product of one row is rounded otherwise than one of several."""
    words = np.random.default_rng(0).choice([f"w{n}" for n in range(40)], (4000, 4))
    data = small_split(tmp_path, [[(n % 5, 0, 0)] for n in range(4000)], 20)
    file = tmp_path / "valid" / "sessions.parquet"
    titles = pl.Series([" ".join(of) for of in words.tolist()])
    whole(file, pl.read_parquet(file).with_columns(text=titles))
    row = TextKnnRetriever("means", "vectors", TfidfEncoder(dim=30), neighbours=900, top=5)
    item, score = row.lists(data, data.first_query, data.n_sessions)
    for n in range(20):
        alone = row.lists(data, data.first_query + n, data.first_query + n + 1)
        assert np.array_equal(alone[0][0], item[n]) and np.array_equal(alone[1][0], score[n])


def test_feedback_compares_the_songs_of_the_first_list(data: SplitData) -> None:
    """The two best items of the list for the text ask for sessions once more."""
    first = TextKnnRetriever("like", "ngrams", neighbours=3, power=2.0, popularity=0.5, top=2)
    found = lists(replace(first, feedback=2, top=4), data)
    has = np.array([[float(item in items) for item in range(5)] for items in HISTORIES])
    idf = np.log(len(has) / np.maximum(has.sum(axis=0), 1))
    length = np.maximum(np.linalg.norm(has * idf, axis=1), 1e-9)
    for of_text, of_query in zip(lists(first, data), found, strict=True):
        asked = np.zeros(5)
        for item, score in of_text:
            asked[item] = score * idf[item]
        cosine = (has * idf) @ asked / length / max(np.linalg.norm(asked), 1e-9)
        near = sorted(range(len(has)), key=lambda n: (-np.float32(cosine[n]), n))[:3]
        similar = [float(cosine[n]) if n in near else 0.0 for n in range(len(has))]
        assert of_query == plain_items(similar, 0.5, 4)
    assert found[0] and found != lists(replace(first, top=4), data)


def test_items_by_their_names(data: SplitData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_names, "QUERIES", 2)
    names = [normalised(name or "").split() for name in NAMES]
    mean = sum(map(len, names)) / len(names)
    events = Counter(item for items in HISTORIES + QUERIES for item in items)
    for asked, of_query in zip(ASKED, lists(ItemNameRetriever("names", top=3), data), strict=True):
        scores: dict[int, float] = {}
        for item, words in enumerate(names):
            for word in set(normalised(asked).split()):
                n, f = sum(word in other for other in names), words.count(word)
                idf = np.log1p((len(names) - n + 0.5) / (n + 0.5))
                long = K1 * (1 - B + B * len(words) / mean)
                scores[item] = scores.get(item, 0) + idf * f * (K1 + 1) / (f + long)
        wanted = {item: score * events[item] ** 0.3 for item, score in scores.items()}
        assert of_query == ranked(wanted, 3), asked


def test_texts_without_a_letter_give_no_list(data: SplitData) -> None:
    file = data.run.output / "valid" / "sessions.parquet"
    sessions = pl.read_parquet(file)
    rows = (TextKnnRetriever("same", "exact"), TextKnnRetriever("like", "ngrams"))
    for table in (sessions.with_columns(text=pl.lit("")), sessions.drop("text")):
        whole(file, table)
        empty = SplitData(data.run, "valid")
        for row in (*rows, ItemNameRetriever("names")):
            assert lists(row, empty) == [[]] * len(ASKED)


def test_a_long_title_is_cut_and_marks_are_dropped() -> None:
    assert normalised("  ROAD_trip!! (2017) 🚗 ") == "road trip 2017 🚗"
    assert len(normalised("x" * 10_000)) == 1_000


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind is one of exact, ngrams, vectors"):
        replace(BARE, retrievers=(TextKnnRetriever("same", "sound"),))
    for kind, encoder in [("vectors", None), ("exact", TfidfEncoder())]:
        with pytest.raises(ValueError, match='retriever same: the kind "vectors" alone has an'):
            replace(BARE, retrievers=(TextKnnRetriever("same", kind, encoder),))


def test_without_other_sessions_lists_are_empty(tmp_path: Path) -> None:
    data = small_split(tmp_path, SESSIONS[:3], 3)
    file = tmp_path / "valid" / "sessions.parquet"
    whole(file, pl.read_parquet(file).with_columns(text=pl.Series(TEXTS[:3])))
    for row in (TextKnnRetriever("t", "exact"), TextKnnRetriever("t", "exact", feedback=3)):
        assert lists(row, data) == [[], [], []]
