"""What report.html counts anew: where the true items of sampled queries stand, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.blend.search import STEPS, Option, Scored
from src.candidates.pool_kernel import ABSENT
from src.core.arrays import F64, arrays, hash_unit
from src.core.run import Run
from src.data.recipe import Recipe
from src.data.shards import part_files
from src.data.units import DAY, HOUR
from src.features.table import Features
from src.rankers import xgb as ranker
from src.rankers.rows import Ranker, XGBoostRanker, member
from src.rankers.score import model_path

QUERIES = 30_000  # whose candidates are looked at, about: drawn by a hash of their raw id
BROWSED, FIRST, HISTORY = 100, 30, 50  # queries to browse; their candidates and events, at most
FILES, ROWS, GRID = 5, 1000, 12  # partial effects: files and rows looked at, values tried
FIRSTS = (1, 2, 3, 5, 10, 15, 20, 30, 50, 75, 100, 150)

Bins = tuple[list[float], list[str]]
"""Edges and the names between them, one more: an edge belongs to the bin on its right."""

LENGTHS: Bins = ([2, 3, 6, 11, 21], ["1", "2", "3-5", "6-10", "11-20", "21+"])
COUNTS: Bins = ([1, 10, 30, 100, 300, 1000], ["0", "<10", "<30", "<100", "<300", "<1k", "1k+"])
AGES: Bins = ([0, HOUR, DAY, 3 * DAY, 7 * DAY], ["not yet", "<1 h", "<1 d", "<3 d", "<7 d", "7 d+"])

BREAKDOWNS = (
    ("length", "visible events", LENGTHS),
    ("count", "events of the item", COUNTS),
    ("age", "age of the item", AGES),
)


@dataclass(frozen=True)
class Blend:
    """How step 7 orders the final list of one objective."""

    rankers: tuple[Ranker, ...]  # those that have learned it; none where it was not learnable
    best: XGBoostRanker | None  # of the trees among them, by its own score
    option: Option
    stack: F64 | None

    @classmethod
    def of(cls, recipe: Recipe, name: str, found: dict[str, Any]) -> Blend:
        """From an objective's part of cv.json."""
        alone = {row.name: found["compared"].get(member(row, name)) for row in recipe.rankers}
        rankers = tuple(row for row in recipe.rankers if alone[row.name] is not None)
        trees = [row for row in rankers if isinstance(row, XGBoostRanker)]
        best = max(trees, key=lambda row: float(alone[row.name]), default=None)
        tenths = tuple(round(STEPS * weight) for weight in found["blend"].values())
        option = Option(found["blend_space"], tenths if rankers else (STEPS,))
        stack = None if found["stack"] is None else np.array(found["stack"])
        return cls(rankers, best, option, stack)


Blends = dict[str, Blend]
"""Of each objective."""


@dataclass(frozen=True)
class Sample:
    """Some queries of valid with all their candidates."""

    queries: pl.DataFrame  # session, raw, unit (what drew it)
    of: int  # queries there are
    rows: pl.DataFrame  # session, item, place in the pool, scores, rank_<objective>
    truth: pl.DataFrame  # session, objective, item, place, rank (null: not a candidate), facts
    events: pl.DataFrame  # what the queries show

    @classmethod
    def load(cls, run: Run, blends: Blends) -> Sample:
        """File by file: no more than one, and the sample, is in memory."""
        place = run.output / "valid"
        queries, of = draw(run)
        known = queries["session"].to_list()
        scored = dict.fromkeys(m for name in blends for m in members(blends, name))
        columns = ["session", "item", *scored]
        files = part_files(run, "valid", "scores")
        rows = pl.concat(_sessions(pl.scan_parquet(f).select(columns), known) for f in files)
        rows = ranked(rows, blends)
        events = pl.scan_parquet(place / "events.parquet")
        events_shown = _sessions(events.select("session", "item", "ts", "type"), known)
        truth = _sessions(pl.scan_parquet(place / "labels.parquet"), known)
        items = events.group_by("item").agg(count=pl.len(), born=pl.col("ts").min())
        shown = events_shown.group_by("session").agg(length=pl.len(), now=pl.col("ts").max())
        truth = (
            placed(truth, rows, blends)
            .join(items.collect(engine="streaming"), on="item", how="left")
            .join(shown, on="session", how="left")
            .with_columns(pl.col("count").fill_null(0), age=pl.col("now") - pl.col("born"))
        )
        return cls(queries, of, rows, truth, events_shown)


def members(blends: Blends, objective: str) -> list[str]:
    """The score columns of an objective."""
    return [member(row, objective) for row in blends[objective].rankers]


def draw(run: Run) -> tuple[pl.DataFrame, int]:
    """The sampled queries in order, and how many there are to draw from."""
    unit = hash_unit(pl.col("raw"), run.recipe.seed + 5)
    table = (
        pl.scan_parquet(run.output / "valid" / "sessions.parquet")
        .with_row_index("dense")
        .filter("query")
        .select(session=pl.col("dense").cast(pl.Int32), raw="session")
        .with_columns(unit=unit)
        .collect()
    )
    return table.filter(pl.col("unit") < QUERIES / max(table.height, 1)), table.height


def _sessions(table: pl.LazyFrame, known: list[int]) -> pl.DataFrame:
    return table.filter(pl.col("session").is_in(known)).collect()


def ranked(rows: pl.DataFrame, blends: Blends) -> pl.DataFrame:
    """Candidates with their place in the pool, and their rank in each objective's final order."""
    session, item = arrays(rows, "session", "item")
    queries, starts = np.unique(session, return_index=True)
    starts = np.append(starts, session.size)
    place = (np.arange(session.size) - np.repeat(starts[:-1], np.diff(starts))).astype(np.int16)
    columns = {"place": place}
    for name, blend in blends.items():
        rank = place
        if blend.rankers:
            scored = Scored(queries, starts, item, arrays(rows, *members(blends, name)))
            votes = scored.blended(blend.option, blend.stack)
            # as its top lists have them: ties by item
            rank = np.empty_like(place)
            rank[np.lexsort((item, -votes, session))] = place
        columns[f"rank_{name}"] = rank
    return rows.with_columns(pl.Series(name, values) for name, values in columns.items())


def placed(labels: pl.DataFrame, rows: pl.DataFrame, blends: Blends) -> pl.DataFrame:
    """Labels with the place in the pool, and the rank under their own objective."""
    joined = labels.join(rows, on=["session", "item"], how="left", maintain_order="left")
    own = [pl.when(pl.col("objective") == o).then(f"rank_{name}") for o, name in enumerate(blends)]
    return joined.select("session", "objective", "item", "place", rank=pl.coalesce(own))


def breakdown(truth: pl.DataFrame, column: str, bins: Bins, k: int) -> pl.DataFrame:
    """Share of true items in the pool and among the first k, by a fact of theirs."""
    edges, names = bins
    values = truth[column].fill_null(-1).to_numpy()
    bin_of = pl.Series("bin", np.searchsorted(edges, values, side="right"))
    table = (
        truth.with_columns(bin_of)
        .group_by("objective", "bin")
        .agg(
            pl.len().alias("true items"),
            pl.col("place").is_not_null().mean().alias("in the pool"),
            (pl.col("rank") < k).fill_null(False).mean().alias(f"among the first {k}"),
        )
        .sort("objective", "bin")
    )
    return table.with_columns(pl.Series(column, [names[b] for b in table["bin"]])).drop("bin")


def recalls(truth: pl.DataFrame, objectives: list[str], k: int, cap: int) -> pl.DataFrame:
    """Capped recall of the first n candidates, k among them: "<objective> pool", "... reranked"."""
    columns: dict[str, list[float]] = {}
    firsts = sorted({*FIRSTS, k})
    for o, name in enumerate(objectives):
        mine = truth.filter(pl.col("objective") == o)
        chances = _capped(mine, cap)
        for column, order in (("place", "pool"), ("rank", "reranked")):
            found = [_capped(mine.filter(pl.col(column) < n), cap) for n in firsts]
            columns[f"{name} {order}"] = [n / max(chances, 1) for n in found]
    return pl.DataFrame({"first": firsts, **columns})


def _capped(truth: pl.DataFrame, cap: int) -> int:
    """Sum over queries of their rows, at most `cap` each."""
    per_query = truth.group_by("session").agg(n=pl.len().clip(upper_bound=cap))
    return int(per_query["n"].sum())


def score_shares(
    sample: Sample, objective: int, column: str, bins: int = 40
) -> tuple[list[float], dict[str, list[float]]]:
    """Bin edges, and the share of true and of other candidates with such a score."""
    true = sample.truth.filter(pl.col("objective") == objective).select("session", "item", hit=True)
    rows = sample.rows.select("session", "item", column)
    hit = rows.join(true, on=["session", "item"], how="left", maintain_order="left")["hit"]
    mask, score = hit.fill_null(False).to_numpy(), rows[column].to_numpy()
    low, high = np.quantile(score, (0.002, 0.998))
    low, high = min(low, score[mask].min(initial=low)), max(high, score[mask].max(initial=high))
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
    shares = {
        name: (np.histogram(score[m], edges)[0] / max(m.sum(), 1)).tolist()
        for name, m in (("true", mask), ("not true", ~mask))
    }
    return edges.tolist(), shares


def held_out(run: Run, objective: str) -> pl.DataFrame:
    """Some training rows of fold 0, features only: from a few files, spread over all."""
    files = part_files(run, "valid", "train")
    wanted = (pl.col("fold") == 0) & pl.col(f"label_{objective}").is_not_null()
    chosen = [files[n * len(files) // FILES] for n in range(FILES)] if len(files) > FILES else files
    pieces = []
    for file in chosen:
        rows = pl.scan_parquet(file).filter(wanted).select(Features(run.recipe).names).collect()
        step = max(1, rows.height * len(chosen) // ROWS)
        pieces.append(rows.gather_every(step))
    return pl.concat(pieces)


def partial_effects(
    run: Run, row: XGBoostRanker, objective: str, wanted: list[str]
) -> dict[str, pl.DataFrame]:
    """Mean score (log-odds, or of the ranking) of rows whose feature is set to one value.

    Friedman's partial dependence (2001), by the model of fold 0, on rows it has not learned from.
    """
    model = ranker.load(model_path(run, row, objective, 0), run.engine.threads)
    frame = held_out(run, objective)
    X = frame.to_numpy(order="c").astype(np.float32)
    found = {}
    for name in wanted:
        column = frame.columns.index(name)
        shares = np.linspace(0.02, 0.98, GRID)
        values = np.unique(np.quantile(X[:, column], shares, method="nearest"))
        means = []
        for value in values:
            changed = X.copy()
            changed[:, column] = value
            means.append(float(ranker.predict([model], changed, frame.columns).mean()))
        found[name] = pl.DataFrame({name: values, "mean score": means})
    return found


def browse(run: Run, sample: Sample, blends: Blends) -> dict[str, object]:
    """Some queries with all one may want to see of them, for the page's script."""
    recipe = run.recipe
    chosen = sample.queries.bottom_k(BROWSED, by="unit").sort("raw")
    sessions = chosen["session"].to_list()
    # as text: a number of a script is exact up to 2^53 only
    raw_ids = pl.read_parquet(run.output / "items.parquet")["item_id"].cast(pl.String)
    rules = [f"rank_{rule.name}" for rule in recipe.rules]
    files = part_files(run, "valid", "pool")
    pool = pl.concat(
        _sessions(pl.scan_parquet(f).select("session", "item", *rules), sessions) for f in files
    ).rename({name: f"rule_{n}" for n, name in enumerate(rules)})
    rows = sample.rows.filter(pl.col("session").is_in(sessions))
    rows = rows.join(pool, on=["session", "item"], maintain_order="left")
    queries = []
    for session, raw in chosen.select("session", "raw").iter_rows():
        truth = sample.truth.filter(pl.col("session") == session)
        events = sample.events.filter(pl.col("session") == session).select("item", "ts", "type")
        history = events.tail(HISTORY).iter_rows()
        queries.append({
            "id": str(raw), "events": events.height,
            "history": [[raw_ids[item], ts, type_] for item, ts, type_ in history],
            "true": [[raw_ids[item], o, place, rank] for o, item, place, rank in
                     truth.select("objective", "item", "place", "rank").iter_rows()],
            **_candidates(rows.filter(pl.col("session") == session), truth, blends, raw_ids),
        })  # fmt: skip
    return {
        "types": recipe.types, "objectives": list(blends), "k": recipe.k, "first": FIRST,
        "rules": [rule.name for rule in recipe.rules],
        "rankers": [[row.name for row in blend.rankers] for blend in blends.values()],
        "queries": queries,
    }  # fmt: skip


def _candidates(
    rows: pl.DataFrame, truth: pl.DataFrame, blends: Blends, raw_ids: pl.Series
) -> dict[str, object]:
    """The best of one query under each objective, and all that came true.

    A row: item, place in the pool, rule and rank of each list it is in, per objective the rank and
    the rankers' scores, and for which objectives it is true.
    """
    true: dict[int, list[int]] = {}
    for o, item in truth.select("objective", "item").iter_rows():
        true.setdefault(item, []).append(o)
    ranks = [f"rank_{name}" for name in blends]
    shown = rows.filter((pl.min_horizontal(ranks) < FIRST) | pl.col("item").is_in(list(true)))
    lists = [name for name in rows.columns if name.startswith("rule_")]
    out = []
    for row in shown.iter_rows(named=True):
        named = [[n, row[rule]] for n, rule in enumerate(lists) if row[rule] != ABSENT]
        scores = [[round(row[m], 3) for m in members(blends, name)] for name in blends]
        out.append([
            raw_ids[row["item"]], row["place"], sorted(named, key=lambda x: x[1]),
            [row[rank] for rank in ranks], scores, true.get(row["item"], []),
        ])  # fmt: skip
    return {"of": rows.height, "rows": out}
