"""Measure semantic ids: how many items share one, how even and how fine the codes are."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import F32, F64, I64
from src.data.sessions import Sessions
from src.generation.ids import Ids, same_codes

SAMPLE = 5_000  # items, at most, whose clusters are compared, as the silhouette needs all pairs


def level_table(ids: Ids, vectors: F32, sessions: Sessions, nested: bool) -> pl.DataFrame:
    """Tabulate the levels: use of the codes, what they leave of the vectors, and prefixes.

    entropy: of the codes, in bits, and of codes used evenly. left: share of the variance of the
    vectors that is not explained. different: prefixes up to the level, as a share of the items.
    next: share of consecutive events, with two items, that share a prefix; chance: of all pairs of
    an event and another.
    """
    items, rows = ids.items, []
    codes, rest = ids.codes[items], vectors[items].astype(np.float64)
    rest -= rest.mean(axis=0, keepdims=True) if len(rest) else 0.0
    whole = float((rest**2).sum())
    for level, size in enumerate(ids.sizes):
        last = level == len(ids.sizes) - 1
        prefixes = same_codes(codes[:, : level + 1])
        rest -= _means(rest, prefixes if nested else same_codes(codes[:, [level]]))
        share = np.bincount(codes[:, level], minlength=size) / max(len(codes), 1)
        follows, chance = shared_prefixes(ids, sessions, level + 1)
        rows.append({
            "level": "last" if last else str(level + 1), "codes": size,
            "used": int((share > 0).sum()), "entropy": entropy(share), "of": float(np.log2(size)),
            "left": None if last or not whole else float((rest**2).sum()) / whole,
            "different": len(prefixes) / max(len(items), 1), "next": follows, "chance": chance,
        })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"left": pl.Float64})


def _means(rest: F64, groups: list[I64]) -> F64:
    """Return the mean of each row's group."""
    means = np.zeros_like(rest)
    for rows in groups:
        if rows.size:
            means[rows] = rest[rows].mean(axis=0)
    return means


def entropy(share: F64) -> float:
    """Return the entropy of shares that add up to 1, in bits."""
    used = share[share > 0]
    return float(-(used * np.log2(used)).sum())


def shared_prefixes(ids: Ids, sessions: Sessions, length: int) -> tuple[float, float]:
    """Return how often the next event of a session, and how often any event, shares a prefix.

    Pairs of the same item, and of items without an id, do not count.
    """
    item, first = sessions.item, sessions.offsets[:-1]
    follows = np.ones(item.size, np.bool_)
    follows[first[first < item.size]] = False
    second = np.flatnonzero(follows)
    pairs = np.column_stack([item[second - 1], item[second]])
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (ids.codes[pairs, 0] >= 0).all(axis=1)]
    same = (ids.codes[pairs[:, 0], :length] == ids.codes[pairs[:, 1], :length]).all(axis=1)
    count = np.bincount(item, minlength=len(ids.codes)).astype(np.float64)[ids.items]
    total = count.sum()
    groups = [count[rows] for rows in same_codes(ids.codes[ids.items, :length])]
    alike = sum(float(of.sum() ** 2 - (of**2).sum()) for of in groups)
    others = float(total**2 - (count**2).sum())
    return float(same.mean()) if len(pairs) else 0.0, alike / others if others else 0.0


def cluster_scores(ids: Ids, vectors: F32, seed: int) -> dict[str, float]:
    """Score the clusters of the first codes, on a sample of items: three scores of scikit-learn.

    The sample has the same share of every code. It is empty where there are too few clusters.
    """
    from sklearn.metrics import (
        calinski_harabasz_score,
        davies_bouldin_score,
        silhouette_score,
    )

    rng, items = np.random.default_rng(seed), ids.items
    groups = [rng.permutation(items[rows]) for rows in same_codes(ids.codes[items, :1])]
    share = min(1.0, SAMPLE / max(items.size, 1))
    sample = np.concatenate([of[: int(np.ceil(share * of.size))] for of in groups])
    code = ids.codes[sample, 0]
    if not 2 <= np.unique(code).size < sample.size:
        return {}
    x = np.asarray(vectors[sample])
    return {
        "silhouette": float(silhouette_score(x, code)),
        "Calinski-Harabasz": float(calinski_harabasz_score(x, code)),
        "Davies-Bouldin": float(davies_bouldin_score(x, code)),
    }
