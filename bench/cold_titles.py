"""Ask what titles and genres are worth for items that nobody has rated yet, on MovieLens-100K.

    python -m bench.cold_titles --input ml-100k [--seeds 5]

Input: the folder with ml-100k.inter and .item, as RecBole ships them. The task is to tell whether
a rating is at least 4, of the movies that a user rated: AUC over all rows, NDCG@10 within users.
Ten windows in time, of equally many ratings: LightGBM learns from windows 2 to 4 and is scored on
5 to 9. Id vectors and rates of items are those before each window; encoders, whitening and their
terms are fitted on items rated before window 2.

Rows are warm, new or hidden. New: nobody had rated the movie before the window. Hidden: a fifth of
the movies, drawn anew for each seed, whose earlier ratings are taken from the log; in the windows
to learn from, another fifth is. Brackets hold 95 % intervals over users, which are the same for
all variants and seeds; differences are to `ids`, which has no text. Prints the tables and appends
them to bench/RESULTS.md. Needs requirements-texts.txt.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from bench import measure
from bench.cold_rows import DIMS, FIRST, TEST, WINDOWS, Ratings, Window
from src.core.arrays import F32, F64, I64, Mask
from src.embeddings.base import unit
from src.embeddings.nearest_map import NearestMap
from src.embeddings.ridge_map import RidgeMap
from src.embeddings.vector_map import VectorMap
from src.texts.sentence import SentenceEncoder
from src.texts.tfidf import TfidfEncoder
from src.texts.vectors import distinct, encode_distinct
from src.texts.whitening import Whitening

SHARE = 0.2  # of the movies that are hidden
MIN_EVENTS = 5  # as FallbackEmbedding
MAPS: dict[str, VectorMap] = {
    "mean": RidgeMap(1e9), "ridge": RidgeMap(1.0), "nearest": NearestMap(10)
}  # fmt: skip
VARIANTS = {
    "ids": ("ids",),
    "ids, genre flags": ("ids", "genres"),
    "ids, TF-IDF": ("ids", "tfidf"),
    "ids, TF-IDF whitened": ("ids", "tfidf_w"),
    "ids, sentences": ("ids", "sentence"),
    "ids, sentences whitened": ("ids", "sentence_w"),
    "ids filled by the mean": ("mean",),
    "ids filled by ridge": ("ridge",),
    "ids filled by nearest": ("nearest",),
    "ids filled by ridge, sentences whitened": ("ridge", "sentence_w"),
}
KINDS = ("hidden", "new", "warm")
RESAMPLES = 500
PARAMS = {
    "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 50,
    "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "num_threads": 1,
    "deterministic": True, "verbose": -1,
}  # fmt: skip
TREES = 200


class Scored(NamedTuple):
    """Rows of one seed, and the scores of all variants."""

    user: I64
    click: F64
    kind: NDArray[np.str_]
    scores: dict[str, F64]


def text_spaces(ratings: Ratings, sentences: F32, known: Mask) -> dict[str, F32]:
    """Encode the texts of all items; learn from known items."""
    learned = distinct([text for text, has in zip(ratings.texts, known, strict=True) if has])
    encode = TfidfEncoder(dim=64).fit(learned)
    raw = {"tfidf": encode_distinct(encode, ratings.texts), "sentence": sentences}
    spaces = {name: unit(vectors) for name, vectors in raw.items()}
    for name, vectors in raw.items():
        whitened = Whitening(32).fit(np.unique(vectors[known], axis=0))
        spaces[f"{name}_w"] = unit(whitened.apply(vectors))
    return spaces


def columns_of(window: Window, spaces: dict[str, F32], seed: int) -> dict[str, F64]:
    """Compute the columns of a window: those of every space, and "plain"."""
    ids, sentence = window.id_vectors(seed), spaces["sentence"]
    warm = ids.any(axis=1) & (window.count >= MIN_EVENTS)
    found = {"plain": window.plain(), "ids": window.nearness(ids)}
    for name, rule in MAPS.items():
        full = ids.copy()
        full[~warm] = unit(rule.fit(sentence[warm], ids[warm])(sentence[~warm]))
        found[name] = window.nearness(full)
    for name, vectors in spaces.items():
        first = window.of_item(vectors[:, :DIMS])
        found[name] = np.hstack([window.nearness(vectors), first])
    found["genres"] = window.of_item(window.ratings.genres)
    return found


def score(ratings: Ratings, sentences: F32, seed: int) -> Scored:
    """Train all variants with one seed; score the windows from TEST on."""
    rng = np.random.default_rng(seed)
    hidden, nobody = rng.random(ratings.n_items) < SHARE, np.zeros(ratings.n_items, bool)
    start = Window(ratings, FIRST, hidden, ~nobody)
    spaces = text_spaces(ratings, sentences, start.count > 0)
    windows = []
    for number in range(FIRST, WINDOWS):
        also = rng.random(ratings.n_items) < SHARE
        learns = number < TEST
        windows.append(Window(ratings, number, hidden | (also & learns), ~(hidden & learns)))
    tables = [columns_of(window, spaces, seed) for window in windows]
    rows = [window.rows for window in windows]
    scores = {}
    for name, spaces_used in VARIANTS.items():
        X = [np.hstack([table["plain"], *(table[s] for s in spaces_used)]) for table in tables]
        learned = lgb.Dataset(
            np.vstack(X[: TEST - FIRST]), ratings.click[np.concatenate(rows[: TEST - FIRST])]
        )
        model = lgb.train({**PARAMS, "seed": seed}, learned, TREES)
        scores[name] = np.asarray(model.predict(np.vstack(X[TEST - FIRST :])))
    tested = np.concatenate(rows[TEST - FIRST :])
    cold = np.concatenate([w.of_item(w.count) == 0 for w in windows[TEST - FIRST :]])
    kind = np.where(hidden[ratings.item[tested]], "hidden", np.where(cold, "new", "warm"))
    return Scored(ratings.user[tested], ratings.click[tested], kind, scores)


def auc_of(click: F64, score: F64, user: I64) -> Callable[[F64], float]:
    """Prepare the AUC as a function of weights of the users; ties count half."""
    values, place = np.unique(score, return_inverse=True)

    def auc(weights: F64) -> float:
        weight = weights[user]
        good, bad = (np.bincount(place, weight * side, values.size) for side in (click, 1 - click))
        below = np.cumsum(bad) - bad / 2
        return float((good * below).sum() / max(good.sum() * bad.sum(), 1e-9))

    return auc


def ndcg_of(click: F64, score: F64, user: I64) -> Callable[[F64], float]:
    """Prepare the mean NDCG@10 of users with both kinds of rows, weighted."""
    values, users = [], []
    for u in np.unique(user):
        own = user == u
        gain = click[own][np.argsort(-score[own], kind="stable")]
        if 0 < gain.sum() < gain.size:
            discount = 1 / np.log2(2.0 + np.arange(min(gain.size, 10)))
            best = np.sort(gain)[::-1][:10] @ discount
            values.append(gain[:10] @ discount / best)
            users.append(u)
    value, row = np.array(values), np.array(users, np.int64)
    return lambda weights: float(weights[row] @ value / max(weights[row].sum(), 1e-9))


def resampled(of_seeds: Iterable[Callable[[F64], float]], weights: Iterable[F64]) -> F64:
    """Evaluate the mean over seeds with each vector of weights."""
    of_seeds = list(of_seeds)
    return np.array([np.mean([value(w) for value in of_seeds]) for w in weights])


def rows_of(found: list[Scored]) -> list[list[str]]:
    """Make the table: kind of rows by variant, both metrics with intervals and differences."""
    users = int(max(seed.user.max() for seed in found)) + 1
    present = np.unique(np.concatenate([seed.user for seed in found]))
    rng, weights = np.random.default_rng(0), [np.ones(users)]
    for _ in range(RESAMPLES):
        drawn = rng.choice(present, present.size)
        weights.append(np.bincount(drawn, minlength=users).astype(np.float64))
    lines = []
    for kind in KINDS:
        first: dict[str, F64] = {}
        masks = [seed.kind == kind for seed in found]
        for name in VARIANTS:
            line = [kind, name]
            for metric, prepare in (("AUC", auc_of), ("NDCG@10", ndcg_of)):
                of_seeds = [prepare(seed.click[mask], seed.scores[name][mask], seed.user[mask])
                            for seed, mask in zip(found, masks, strict=True)]  # fmt: skip
                values = resampled(of_seeds, weights)
                line += [interval(values), interval(values - first.setdefault(metric, values))]
            lines.append(line)
    return lines


def interval(values: F64) -> str:
    """Format a value and its 95 % interval; the first value is that of all users."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return f"{values[0]:.4f} [{low:.4f}, {high:.4f}]"


def main(argv: list[str] | None = None) -> int:
    """Run all seeds; print the table and append it to the results."""
    parser = argparse.ArgumentParser("bench.cold_titles", description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args(argv)
    ratings = Ratings.read(args.input)
    sentences = encode_distinct(SentenceEncoder().fit([]), ratings.texts)
    found = [score(ratings, sentences, seed) for seed in range(args.seeds)]
    counts = [
        f"{kind} {np.mean([(seed.kind == kind).sum() for seed in found]):,.0f} rows"
        for kind in KINDS
    ]
    record = measure.origin(sys.argv[1:] if argv is None else argv, "bench.cold_titles")
    head = ("rows", "columns", "AUC", "difference", "NDCG@10", "difference")
    heading = measure.title(record, f"{args.seeds} seeds; {', '.join(counts)}")
    measure.append_table(heading, measure.table(head, rows_of(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
