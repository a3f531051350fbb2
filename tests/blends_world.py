"""Candidates with scores of rankers, and files of them, for tests of blends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.blend.scored_candidates import ScoredCandidates
from src.data.schemas import POSITIVE


def candidates(rng: np.random.Generator, rankers: int = 2, queries: int = 10) -> ScoredCandidates:
    """Queries of up to 12 candidates, scores full of ties."""
    sizes = rng.integers(1, 13, queries)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    item = np.concatenate([rng.permutation(20)[:n] for n in sizes]).astype(np.int32)
    scores = [rng.integers(0, 4, item.size).astype(np.float32) for _ in range(rankers)]
    session = np.arange(5, 5 + queries, dtype=np.int32)
    return ScoredCandidates(session, offsets, item, scores)


def stored(folder: Path, shards: list[ScoredCandidates], names: list[str]) -> list[Path]:
    """Score files of some shards."""
    files = [folder / f"scores-{n}.parquet" for n in range(len(shards))]
    for shard, file in zip(shards, files, strict=True):
        session = np.repeat(shard.session, np.diff(shard.offsets))
        columns = dict(zip(names, shard.scores, strict=True))
        pl.DataFrame({"session": session, "item": shard.item} | columns).write_parquet(file)
    return files


def halves(c: ScoredCandidates, cut: int) -> list[ScoredCandidates]:
    """The same queries in two shards."""
    at = c.offsets[cut]
    scores = [s[:at] for s in c.scores], [s[at:] for s in c.scores]
    return [
        ScoredCandidates(c.session[:cut], c.offsets[: cut + 1], c.item[:at], scores[0]),
        ScoredCandidates(c.session[cut:], c.offsets[cut:] - at, c.item[at:], scores[1]),
    ]


def noisy(
    rng: np.random.Generator, n: int, noise: list[float]
) -> tuple[ScoredCandidates, pl.DataFrame]:
    """Queries with 6 candidates, one of them positive; each ranker sees it, with noise."""
    true = rng.integers(0, 6, n)
    seen = np.where(np.arange(6) == true[:, None], 1.0, 0.0).ravel()
    scores = [(seen + rng.normal(0, s, seen.size)).astype(np.float32) for s in noise]
    offsets, item = np.arange(0, 6 * n + 1, 6), np.tile(np.arange(6, dtype=np.int32), n)
    truth = pl.DataFrame({"session": np.arange(n), "item": true}).cast(pl.Int32)
    truth = truth.with_columns(POSITIVE)
    return ScoredCandidates(np.arange(n, dtype=np.int32), offsets, item, scores), truth
