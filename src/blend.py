"""Blend the rankers: weights searched on out-of-fold scores, per objective; the final lists."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from src import blend_kernel
from src.events import F32, I32, I64, arrays
from src.metrics import Tally
from src.recipe import Recipe

STEPS = 10  # weights are tenths


@dataclass(frozen=True)
class Scored:
    """All candidates of some queries (CSR) with each member's votes for one objective."""

    session: I32  # of each query
    starts: I64
    aid: I32
    votes: list[F32]  # one per ranker

    @classmethod
    def load(cls, files: list[Path], members: list[str]) -> Scored:
        """Read score files; a member is a column of them. Without one, the pool's order votes."""
        table = pl.concat(pl.read_parquet(f, columns=["session", "aid", *members]) for f in files)
        of_row, aid, *scores = arrays(table, "session", "aid", *members)
        session, starts = np.unique(of_row, return_index=True)
        starts = np.append(starts, table.height)
        place = np.arange(aid.size) - np.repeat(starts[:-1], np.diff(starts))
        scores = scores or [-place.astype(np.float32)]
        votes = [blend_kernel.rank_votes(starts, aid, score) for score in scores]
        return cls(session, starts, aid, votes)

    def lists(self, weights: tuple[int, ...], k: int) -> I64:
        """Rows of each query's k best under some weights: (queries, k), -1 at the end."""
        blended = sum(np.float32(w) * v for w, v in zip(weights, self.votes, strict=True))
        return blend_kernel.top_rows(self.starts, self.aid, blended, k)

    def top(self, weights: tuple[int, ...], k: int) -> tuple[I32, I32]:
        """Queries (n,) and their k best items (n, k), -1 at the end."""
        rows = self.lists(weights, k)
        return self.session, np.where(rows >= 0, self.aid[rows], -1).astype(np.int32)


class Search:
    """Finds the weights of one objective."""

    def __init__(self, recipe: Recipe, scored: Scored, truth: pl.DataFrame) -> None:
        self.recipe, self.scored = recipe, scored
        pairs = pl.DataFrame(
            {"session": np.repeat(scored.session, np.diff(scored.starts)), "aid": scored.aid}
        )
        true = truth.select("session", "aid", hit=pl.lit(True))
        self.label = (
            pairs.join(true, on=["session", "aid"], how="left", maintain_order="left")["hit"]
            .fill_null(False)
            .to_numpy()
        )
        cap = recipe.k if recipe.metric == "recall" else 1
        chances = truth.group_by("session").agg(n=pl.len().clip(upper_bound=cap)).sort("session")
        self.session = chances["session"].to_numpy().astype(np.int64)
        self.chances = chances["n"].to_numpy().astype(np.float64)

    def tally(self, weights: tuple[int, ...]) -> Tally:
        """Hits and chances of each query that has a truth."""
        rows = self.scored.lists(weights, self.recipe.k)
        won = blend_kernel.gains(rows, self.label, self.recipe.metric == "mrr")
        hits = np.zeros(self.session.size)
        at = np.searchsorted(self.scored.session, self.session)
        at = np.minimum(at, self.scored.session.size - 1)
        found = self.scored.session[at] == self.session
        hits[found] = won[at[found]]
        return Tally(self.session, hits, self.chances)

    def ceiling(self) -> float:
        """The score of a perfect order of the candidates."""
        query = np.repeat(np.arange(self.scored.session.size), np.diff(self.scored.starts))
        cap = self.recipe.k if self.recipe.metric == "recall" else 1
        found = np.minimum(np.bincount(query, self.label), cap)
        return float(found.sum() / max(self.chances.sum(), 1.0))

    def best(self, tallies: dict[tuple[int, ...], Tally], mask: np.ndarray) -> tuple[int, ...]:
        """The weights with the highest score on some queries; ties go to the most even ones."""
        return min(tallies, key=lambda w: (-tallies[w].score(mask), max(w), w))


def grid(members: int) -> list[tuple[int, ...]]:
    """All ways to share ten tenths among the members."""
    return [w for w in product(range(STEPS + 1), repeat=members) if sum(w) == STEPS]


def cross_fitted(search: Search, fold: I64) -> tuple[Tally, tuple[int, ...]]:
    """Honest tally (each fold under the weights that the others chose), and weights of all."""
    tallies = {w: search.tally(w) for w in grid(len(search.scored.votes))}
    of = fold[search.session]
    hits = np.zeros(search.session.size)
    for f in np.unique(of):
        chosen = search.best(tallies, of != f)
        hits[of == f] = tallies[chosen].hits[of == f]
    everywhere = np.ones(of.size, np.bool_)
    return Tally(search.session, hits, search.chances), search.best(tallies, everywhere)
