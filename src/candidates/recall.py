"""What the candidate lists are worth before any model: recall of each rule, of unions, of pools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.candidates import recall_kernel as kernel
from src.candidates.pool_kernel import ABSENT
from src.candidates.rows import Baseline
from src.core.arrays import I32, I64, arrays
from src.data.recipe import Recipe
from src.data.schemas import LABELS
from src.metrics.scores import QueryScores, bootstrap, score_ranks

CUTS = (20, 50, 100, 150)


class CandidateRecall:
    """Collects where the true items stand, block by block: no more than a block is in memory."""

    def __init__(self, recipe: Recipe, labels: pl.DataFrame) -> None:
        self.recipe = recipe
        self.labels = labels
        self.session, self.objective, self.item = arrays(labels, *LABELS.names())
        self.found: list[LabelRanks] = []
        self.pool_rows = self.queries = 0
        self.rules: set[int] = set()

    def add(self, lists: pl.DataFrame, pool: tuple[I64, I32], first: int, end: int) -> None:
        """Count one block, first : end: LISTS rows, and its candidates in order (offsets, item)."""
        low, high = np.searchsorted(self.session, (first, end))
        query, truth = self.session[low:high] - first, self.item[low:high]
        session, rule, rank, item = arrays(lists, "session", "rule", "rank", "item")
        offsets = np.searchsorted(session, np.arange(first, end + 1))
        n_rules, baselines = len(self.recipe.rules), self.recipe.baselines
        ranks = kernel.ranks_in_lists(query, truth, offsets, rule, rank, item, n_rules)
        place = kernel.places(query, truth, *pool)
        firsts = [self._baseline(row, query, truth, offsets, rule, item) for row in baselines]
        self.found.append(LabelRanks(slice(low, high), ranks, place, firsts))
        self.rules |= set(np.unique(rule).tolist())
        self.pool_rows += pool[1].size
        self.queries += end - first

    def _baseline(
        self, row: Baseline, query: I32, truth: I32, offsets: I64, rule: NDArray, item: I32
    ) -> I32:
        """Place of each truth among the first k of a baseline, or -1."""
        names = [r.name for r in self.recipe.rules]
        wanted = np.array([names.index(name) for name in row.rules])
        k = self.recipe.k
        first_k = kernel.concatenated(offsets, rule, item, wanted, k)
        return kernel.places(query, truth, np.arange(offsets.size) * k, first_k.ravel())

    def rules_table(self) -> pl.DataFrame:
        """One row per rule: recall at k and of its whole list, and of hits no other rule has."""
        ranks = self.joined("ranks")
        alone = (ranks != ABSENT).sum(axis=1) == 1
        rows = []
        for number in sorted(self.rules):
            listed = ranks[:, number] != ABSENT
            row: dict[str, object] = {"rule": self.recipe.rules[number].name}
            row |= self._recalls(f"@{self.recipe.k}", ranks[:, number] < self.recipe.k)
            row |= self._recalls("list", listed)
            row |= self._recalls("only", listed & alone)
            rows.append(row)
        return pl.DataFrame(rows)

    def pool_table(self) -> pl.DataFrame:
        """Recall of the pool's first candidates, of all of them, and of all lists together."""
        place = self.joined("place")
        rows = [
            {"pool": f"first {c}", **self._recalls("", (place >= 0) & (place < c))} for c in CUTS
        ]
        size = self.pool_rows / max(self.queries, 1)
        rows.append({"pool": f"all ({size:.0f} on average)", **self._recalls("", place >= 0)})
        union = (self.joined("ranks") != ABSENT).any(axis=1)
        rows.append({"pool": "union of lists", **self._recalls("", union)})
        return pl.DataFrame(rows)

    def baselines_table(self) -> pl.DataFrame:
        """Score of each baseline per objective, and the weighted total with its 95 % interval."""
        weights = [o.weight for o in self.recipe.objectives]
        rows = []
        for baseline in self.recipe.baselines:
            tallies = self._tallies(baseline)
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
        for baseline in self.recipe.baselines:
            for o, tally in enumerate(self._tallies(baseline)):
                columns = {"session": tally.session, "hits": tally.hits, "chances": tally.chances}
                named = {"baseline": pl.lit(baseline.name), "objective": pl.lit(o, pl.Int8)}
                tables.append(pl.DataFrame(columns).with_columns(**named))
        return pl.concat(tables)

    def _tallies(self, baseline: Baseline) -> list[QueryScores]:
        """One per objective, over the labels of all blocks so far."""
        number, recipe = self.recipe.baselines.index(baseline), self.recipe
        place = np.concatenate([f.baselines[number] for f in self.found])
        covered = np.concatenate([np.arange(f.rows.start, f.rows.stop) for f in self.found])
        tallies = []
        for o in range(len(recipe.objectives)):
            mine = self.objective[covered] == o
            at = covered[mine]
            tallies.append(score_ranks(self.session[at], place[mine], recipe.metric, recipe.k))
        return tallies

    def joined(self, name: str) -> NDArray:
        """An attribute of Found over all labels; absent where no block has covered them."""
        first = getattr(self.found[0], name)
        absent = ABSENT if name == "ranks" else -1
        out = np.full((len(self.labels), *first.shape[1:]), absent, first.dtype)
        for found in self.found:
            out[found.rows] = getattr(found, name)
        return out

    def _recalls(self, suffix: str, hit: NDArray) -> dict[str, object]:
        """Capped recall per objective, where `hit` marks the labels found."""
        cap = self.recipe.k if self.recipe.metric == "recall" else 1
        out: dict[str, object] = {}
        for o, objective in enumerate(self.recipe.objectives):
            mine = self.objective == o
            chances = _capped(self.session[mine], cap)
            found = _capped(self.session[mine & hit], cap)
            out[f"{objective.name} {suffix}".strip()] = found / max(chances, 1)
        return out


@dataclass(frozen=True)
class LabelRanks:
    """Where the labels of a block stand."""

    rows: slice  # of the labels
    ranks: NDArray[np.uint8]  # (labels, rules), ABSENT where a list does not have them
    place: I32  # in the pool, or -1
    baselines: list[I32]  # among the first k of each, or -1


def _capped(session: I32, cap: int) -> int:
    """Sum over sessions of their rows, at most `cap` each."""
    return int(np.minimum(np.unique(session, return_counts=True)[1], cap).sum())
