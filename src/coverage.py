"""What the candidate lists are worth before any model: recall of each rule, of unions, of pools."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.metrics import Tally, bootstrap, tally
from src.recipe import Recipe

CUTS = (20, 50, 100, 150)


class Coverage:
    """Collects hits block by block, so that no more than a block of lists is in memory."""

    def __init__(self, recipe: Recipe, labels: pl.DataFrame) -> None:
        self.recipe = recipe
        self.labels = labels
        self.hits: list[pl.DataFrame] = []
        self.pool_hits: list[pl.DataFrame] = []
        self.pool_rows = self.queries = 0
        self.rules: set[int] = set()
        self.baselines: dict[tuple[str, int], list[Tally]] = {}

    def add(self, lists: pl.DataFrame, pool: pl.DataFrame, first: int, end: int) -> None:
        """Count one block: LISTS rows, and the pool (session, aid) in order, of first : end."""
        truth = self.labels.filter(pl.col("session").is_between(first, end - 1))
        self.rules |= set(lists["rule"].unique())
        self.hits.append(truth.join(lists, on=["session", "aid"]))
        at = pl.int_range(pl.len()).over("session")
        self.pool_hits.append(
            truth.join(pool.select("session", "aid", at=at), on=["session", "aid"])
        )
        self.pool_rows += pool.height
        self.queries += end - first
        for row in self.recipe.baselines:
            ranked = concatenated(lists, [self._number(rule) for rule in row.rules])
            for o in range(len(self.recipe.objectives)):
                wanted = truth.lazy().filter(pl.col("objective") == o)
                one = tally(ranked.lazy(), wanted, self.recipe.metric, self.recipe.k)
                self.baselines.setdefault((row.name, o), []).append(one)

    def _number(self, rule: str) -> int:
        return [r.name for r in self.recipe.rules].index(rule)

    def rules_table(self) -> pl.DataFrame:
        """One row per rule: recall at k and of its whole list, and of hits no other rule has."""
        hits = pl.concat(self.hits)
        alone = pl.len().over("session", "objective", "aid") == 1
        hits = hits.with_columns(only=alone)
        k = self.recipe.k
        rows = []
        for number in sorted(self.rules):
            mine = hits.filter(pl.col("rule") == number)
            row: dict[str, object] = {"rule": self.recipe.rules[number].name}
            row |= self._recalls(f"@{k}", mine.filter(pl.col("rank") < k))
            row |= self._recalls("list", mine)
            row |= self._recalls("only", mine.filter("only"))
            rows.append(row)
        return pl.DataFrame(rows)

    def pool_table(self) -> pl.DataFrame:
        """Recall of the pool's first candidates, of all of them, and of all lists together."""
        hits = pl.concat(self.pool_hits)
        union = pl.concat(self.hits).unique(["session", "objective", "aid"])
        rows = [
            {"pool": f"first {c}", **self._recalls("", hits.filter(pl.col("at") < c))} for c in CUTS
        ]
        size = self.pool_rows / max(self.queries, 1)
        rows.append({"pool": f"all ({size:.0f} on average)", **self._recalls("", hits)})
        rows.append({"pool": "union of lists", **self._recalls("", union)})
        return pl.DataFrame(rows)

    def baselines_table(self) -> pl.DataFrame:
        """Score of each baseline per objective, and the weighted total with its 95 % interval."""
        weights = [o.weight for o in self.recipe.objectives]
        rows = []
        for baseline in self.recipe.baselines:
            tallies = [_joined(self.baselines[baseline.name, o]) for o in range(len(weights))]
            low, high = bootstrap(tallies, weights, self.recipe.seed)
            row: dict[str, object] = {"baseline": baseline.name}
            scores = [t.score() for t in tallies]
            row |= {o.name: s for o, s in zip(self.recipe.objectives, scores, strict=True)}
            row["total"] = sum(w * s for w, s in zip(weights, scores, strict=True))
            row |= {"low": float(low[-1]), "high": float(high[-1])}
            rows.append(row)
        return pl.DataFrame(rows)

    def baseline_tallies(self) -> pl.DataFrame:
        """Hits and chances of every baseline, objective and query, for paired comparisons."""
        tables = []
        for (name, o), parts in self.baselines.items():
            joined = _joined(parts)
            columns = {"session": joined.session, "hits": joined.hits, "chances": joined.chances}
            named = {"baseline": pl.lit(name), "objective": pl.lit(o, pl.Int8)}
            tables.append(pl.DataFrame(columns).with_columns(**named))
        return pl.concat(tables)

    def _recalls(self, suffix: str, hits: pl.DataFrame) -> dict[str, object]:
        """Capped recall per objective of a table of hits."""
        cap = self.recipe.k if self.recipe.metric == "recall" else 1
        out: dict[str, object] = {}
        for o, objective in enumerate(self.recipe.objectives):
            chances = _capped(self.labels.filter(pl.col("objective") == o), cap)
            found = _capped(hits.filter(pl.col("objective") == o), cap)
            out[f"{objective.name} {suffix}".strip()] = found / max(chances, 1)
        return out


def _capped(rows: pl.DataFrame, cap: int) -> int:
    per_session = rows.group_by("session").agg(n=pl.col("aid").n_unique().clip(upper_bound=cap))
    return int(per_session["n"].sum())


def _joined(tallies: list[Tally]) -> Tally:
    parts = ([getattr(t, name) for t in tallies] for name in ("session", "hits", "chances"))
    return Tally(*(np.concatenate(p) for p in parts))


def concatenated(lists: pl.DataFrame, rules: list[int]) -> pl.DataFrame:
    """Lists of several rules one after the other, first occurrence kept: session, aid, rank."""
    order = pl.DataFrame({"rule": rules, "place": range(len(rules))}).cast({"rule": pl.UInt8})
    key = pl.col("place") * 256 + pl.col("rank")
    return (
        lists.join(order, on="rule")
        .group_by("session", "aid")
        .agg(key=key.min())
        .sort("session", "key", "aid")
        .select("session", "aid", rank=pl.int_range(pl.len()).over("session"))
    )
