"""The sections of report.html, each from the logs of a run or from its sampled queries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core import steplog
from src.core.run import MADE_BY, Run
from src.embeddings.train import log_path
from src.rankers.rows import Ranker, XGBoostRanker, member, taught
from src.rankers.score import log_folder
from src.report import data as report_data
from src.report import plots
from src.report.data import Blends, Sample
from src.report.page import Section, figure, folded, grid, show, table
from src.report.plots import Line

TOP, EFFECTS = 15, 4  # features whose gain is shown, and whose partial effect
POINTS, ROUNDS = 60, 15  # of a learning curve: drawn, and in its table


@dataclass(frozen=True)
class Report:
    """What the sections are made from."""

    run: Run
    cv: dict[str, Any]
    blends: Blends
    sample: Sample
    steps: steplog.Steps

    @property
    def counted(self) -> str:
        """On how many queries, for the text of a section."""
        n, of = self.sample.queries.height, self.sample.of
        some = f"{n:,} of the {of:,} queries of valid, drawn by hash"
        return some if n < of else f"all {of:,} queries of valid"

    def csv(self, name: str) -> pl.DataFrame:
        """A table of the run; empty where it is not there."""
        path = self.run.output / name
        return pl.read_csv(path) if path.exists() else pl.DataFrame()


def learned(blends: Blends) -> list[tuple[Ranker, str]]:
    """Rankers and what they have learned: an objective, or all of them."""
    pairs = ((row, taught(row, name)) for name, blend in blends.items() for row in blend.rankers)
    return list(dict.fromkeys(pairs))


def score(report: Report) -> Section:
    """The total and every objective, with intervals and folds."""
    cv, rows = report.cv, []
    for o in report.run.recipe.objectives:
        found = cv["objectives"][o.name]
        row = {"objective": o.name, "weight": o.weight, "score": found["score"]}
        row |= dict(zip(("low", "high"), found["ci95"], strict=True))
        row |= {f"fold {f}": value for f, value in enumerate(found["folds"])}
        rows.append(row | {"perfect order of the pool": found["pool_recall"]})
    total = {"objective": "total", "score": cv["score"], "low": cv["ci95"][0]}
    rows.append(total | {"high": cv["ci95"][1]})
    numbers = pl.DataFrame(rows, infer_schema_length=None)
    known = [row for row in rows if row["score"] is not None]
    svg = plots.intervals(
        [row["objective"] for row in known], [row["score"] for row in known],
        [(row["low"], row["high"]) for row in known],
        [[row[name] for name in row if name.startswith("fold ")] for row in known],
    )  # fmt: skip
    low, high = map(show, cv["ci95"])
    big = f'<p class="big">{show(cv["score"])} <small>[{low}, {high}]</small></p>'
    told = (
        f"{cv['metric']} on all {report.sample.of:,} queries of valid, out of fold, with 95 % "
        "intervals (bootstrap over sessions). The short marks are the folds."
    )
    return Section("score", "Score", told, [big, figure("score", svg, numbers)])


def gains(report: Report) -> Section:
    """The pipeline against every baseline."""
    told = "Lists without a model, and what the pipeline gains over each: paired, 95 % intervals."
    numbers, pieces = report.csv("logs/gains.csv"), []
    if not numbers.is_empty():
        rows = numbers.filter(pl.col("gain").is_not_null())
        ends = list(rows.select("gain low", "gain high").iter_rows())
        names = [
            f"{name}: {gain:+.3f}" for name, gain in rows.select("baseline", "gain").iter_rows()
        ]
        svg = plots.intervals(names, rows["gain"].to_list(), ends, zero=True)
        pieces = [figure("gain over a list", svg, numbers)]
    return Section("gains", "Against lists without a model", told, pieces)


def browse(report: Report) -> Section:
    """A place for the page's script to show single queries in."""
    n = min(report_data.BROWSED, report.sample.queries.height)
    told = (
        f"{n} queries of valid, drawn by hash: what the session shows, which rules proposed which "
        "item at which rank, what the rankers said of it, and what really happened. Of the "
        f"candidates, the first {report_data.FIRST} of each objective and all that came true. Ids "
        "are those of the raw files; times are UTC."
    )
    return Section("browse", "Browse", told, ['<div id="browser"></div>'])


def funnel(report: Report) -> Section:
    """Recall of all lists, of the pool, and of the reranked pool."""
    recipe = report.run.recipe
    cap = recipe.k if recipe.metric == "recall" else 1
    curve = report_data.recalls(report.sample.truth, list(report.blends), recipe.k, cap)
    numbers = report.csv("logs/pool/pool.csv")
    at_k = {name: curve.filter(first=recipe.k)[f"{name} reranked"].item() for name in report.blends}
    last = pl.DataFrame({"pool": f"reranked, first {recipe.k}", **at_k})
    figures = []
    for name in report.blends:
        x, union = curve["first"].to_list(), numbers.filter(pool="union of lists")[name].item()
        lines = [
            Line("reranked", x, curve[f"{name} reranked"].to_list()),
            Line("pool", x, curve[f"{name} pool"].to_list(), 1),
            Line("all lists", [x[0], x[-1]], [union, union], 2, dashed=True),
        ]
        mine = curve.select("first", f"{name} reranked", f"{name} pool")
        figures.append(figure(name, plots.lines(lines, "first candidates", log_x=True), mine))
    told = (
        "Which share of the true items (at most "
        f"{cap} a query) is in any list; in the pool, whose order is the rules' votes; and at the "
        f"top after the rankers. Last row and curves: on {report.counted}."
    )
    pieces = [table(pl.concat([numbers, last], how="diagonal")), grid(figures)]
    return Section("funnel", "Recall, from lists to the top", told, pieces)


def rules(report: Report) -> Section:
    """Each candidate rule alone, and what only it has."""
    k, numbers = report.run.recipe.k, report.csv("logs/pool/rules.csv")
    figures: list[str] = []
    alone_figures: list[str] = []
    kinds = {"whole list": "list", f"first {k}": f"@{k}"}
    for name in report.blends:
        columns = {label: f"{name} {kind}" for label, kind in kinds.items()}
        rows = numbers.select("rule", **columns, **{"only in it": f"{name} only"})
        rows = rows.sort("whole list", "rule", descending=[True, False])
        svg = plots.bars(rows["rule"].to_list(), {label: rows[label].to_list() for label in kinds})
        figures.append(figure(name, svg, rows))
        alone = rows.select("rule", "only in it").filter(pl.col("only in it") > 0)
        if alone.height:
            alone = alone.sort("only in it", "rule", descending=[True, False]).head(TOP)
            svg = plots.bars(alone["rule"].to_list(), {"only": alone["only in it"].to_list()})
            alone_figures.append(figure(f"{name}: in no other list", svg, alone))
    told = (
        "Recall of every rule's list by itself, on all queries of valid: of the whole list, of its "
        f"first {k}; and what would be lost without the rule: true items that no other one has."
    )
    return Section("rules", "Candidate rules", told, [grid(figures), grid(alone_figures)])


def epochs(report: Report) -> Section:
    """What step 4 has learned, epoch by epoch."""
    run, figures = report.run, []
    for row in run.recipe.embeddings:
        files = {split: log_path(run, split, row) for split in run.splits()}
        logs = {split: pl.read_csv(file) for split, file in files.items() if file.exists()}
        for column in ("loss", "recall@20") if logs else ():
            lines = [
                Line(split, log["epoch"].to_list(), log[column].to_list(), n % len(plots.SERIES))
                for n, (split, log) in enumerate(logs.items())
            ]
            svg = plots.lines(lines, "epoch", column)
            shown = [log.select(pl.lit(split).alias("split"), "epoch", column)
                     for split, log in logs.items()]  # fmt: skip
            figures.append(figure(f"{row.name}, {column}", svg, pl.concat(shown)))
    told = (
        "Loss on what is learned from, and recall@20 on held-out sessions, of the rows of step 4 "
        "that learn in epochs. The epoch with the best recall is kept."
    )
    return Section("epochs", "Learned vectors", told, [grid(figures)] if figures else [])


def curves(report: Report) -> Section:
    """The metric that stops training, by round."""
    figures = []
    for row, name in learned(report.blends):
        lines, facts, numbers = [], [], []
        for fold in range(report.run.recipe.folds):
            folder = log_folder(report.run, row, name, fold)
            curve = pl.read_csv(folder / "curve.csv")
            facts.append({"fold": fold, **json.loads((folder / "fold.json").read_text())})
            few = curve.gather_every(-(-curve.height // POINTS))
            x, colour = few["round"].to_list(), fold % len(plots.SERIES)
            metric = curve.columns[-1].removeprefix("valid_")  # the one that stops
            if f"train_{metric}" in few.columns:
                lines.append(Line("", x, few[f"train_{metric}"].to_list(), colour, dashed=True))
            lines.append(Line(f"fold {fold}", x, few[f"valid_{metric}"].to_list(), colour))
            few = curve.gather_every(-(-curve.height // ROUNDS))
            numbers.append(few.select(pl.lit(fold).alias("fold"), pl.all()))
        svg = plots.lines(lines, "round", metric)
        shown = figure(f"{row.name}, {name}", svg, pl.concat(numbers))
        figures.append(f"<div>{shown}{folded('folds', pl.DataFrame(facts))}</div>")
    told = (
        "By round: solid on the fold that the model has not seen, where its best round is kept; "
        "dashed on the rows that it learns from. Each objective has rows of its own."
    )
    return Section("curves", "Learning curves", told, [grid(figures)] if figures else [])


def importance(report: Report, row: XGBoostRanker, name: str, folds: Sequence[int]) -> pl.DataFrame:
    """Share of a model's gain by feature: mean over some folds."""
    places = [log_folder(report.run, row, name, f) for f in folds]
    tables = [pl.read_csv(place / "importance.csv") for place in places]  # its own columns each
    shares = [t.with_columns(pl.col("gain") / pl.max_horizontal(pl.col("gain").sum(), 1e-9))
              for t in tables]  # fmt: skip
    sums = pl.concat(shares).group_by("feature").agg(pl.col("gain", "cover", "splits").sum())
    mean = sums.with_columns(pl.col("gain", "cover", "splits") / len(folds))
    return mean.sort("gain", "feature", descending=[True, False]).rename({"gain": "gain share"})


def features(report: Report) -> Section:
    """What the trees split on."""
    figures = []
    for row, name in learned(report.blends):
        if not isinstance(row, XGBoostRanker):
            continue
        best = importance(report, row, name, range(report.run.recipe.folds)).head(TOP)
        svg = plots.bars(best["feature"].to_list(), {"gain": best["gain share"].to_list()})
        figures.append(figure(f"{row.name}, {name}", svg, best))
    told = "Share of all gain by feature, mean over the folds (importance.csv has all of them)."
    return Section("features", "Most important features", told, [grid(figures)] if figures else [])


def effects(report: Report) -> Section:
    """How the score of a model follows what it splits on most: another fold's has other columns."""
    figures = []
    for name, blend in report.blends.items():
        row = blend.best
        if row is None:
            continue
        best = importance(report, row, name, [0])["feature"].head(EFFECTS).to_list()
        found = report_data.partial_effects(report.run, row, name, best)
        for feature, numbers in found.items():
            line = Line("", numbers[feature].to_list(), numbers["mean score"].to_list())
            svg = plots.lines([line], feature, "mean score")
            figures.append(figure(f"{name}: {feature}", svg, numbers))
    told = (
        "Partial dependence: the mean score (log-odds, or of the ranking) when all rows get one "
        "value of a feature. By the best single ranker's model of fold 0, on about "
        f"{report_data.ROWS:,} rows of that fold. A rule's rank of 255: not in its list."
    )
    return Section("effects", "Partial effects", told, [grid(figures)] if figures else [])


def scores(report: Report) -> Section:
    """Blend weights, and how far scores tell true items from others."""
    rows, compared = [], []
    for name, found in report.cv["objectives"].items():
        rows.append({"objective": name, "space": found["blend_space"], **found["blend"]})
        for blend, score in found["compared"].items():
            compared.append({"objective": name, "blend": blend, "score": score})
    weights = pl.DataFrame(rows, infer_schema_length=None)
    figures = []
    for o, (name, blend) in enumerate(report.blends.items()):
        row = blend.best
        if row is None:
            continue
        edges, shares = report_data.score_shares(report.sample, o, member(row, name))
        svg = plots.histogram(edges, shares, "score")
        numbers = pl.DataFrame({"from": edges[:-1], **shares})
        figures.append(figure(f"{row.name}, {name}", svg, numbers))
    told = (
        "How the rankers are mixed (src/blend/search.py has the spaces; an objective that none learned "
        "keeps the pool's order), each ranker alone and the best of each space, in hindsight; and "
        "the best ranker's out-of-fold scores of candidates that came true and of the others, as "
        "shares of each. "
        f"On {report.counted}."
    )
    return Section(
        "scores",
        "Blend and scores",
        told,
        [table(weights), folded("compared", pl.DataFrame(compared)), grid(figures)],
    )


def breakdowns(report: Report) -> Section:
    """For whom, and for what, it works."""
    k, pieces = report.run.recipe.k, []
    for column, title, bins in report_data.BREAKDOWNS:
        numbers, figures = report_data.breakdown(report.sample.truth, column, bins, k), []
        for o, name in enumerate(report.blends):
            mine = numbers.filter(objective=o).drop("objective")
            kinds = ("in the pool", f"among the first {k}")
            series = {kind: mine[kind].to_list() for kind in kinds}
            if mine.height:
                svg = plots.columns(mine[column].to_list(), series)
                figures.append(figure(f"{title}, {name}", svg, mine))
        pieces.append(grid(figures))
    told = (
        "Share of the true items found: by visible events of the session; by events of the item in "
        "all that valid shows; by seconds since the item's first such event (not yet: first "
        "seen later than the query, or never). Under the final weights, not capped per query. "
        f"On {report.counted}."
    )
    return Section("breakdowns", "For whom it works", told, pieces)


def ablation(report: Report) -> Section:
    """What is lost without a part, where that was tried."""
    told = "Score lost when a part is left out, all else alike, with 95 % intervals."
    numbers, pieces = report.csv("logs/ablation.csv"), []
    if not numbers.is_empty():
        rows = numbers.drop_nulls(["loss", "low", "high"])
        ends = list(rows.select("low", "high").iter_rows())
        svg = plots.intervals(rows["dropped"].to_list(), rows["loss"].to_list(), ends, zero=True)
        pieces = [figure("lost without", svg, numbers)]
    return Section("ablation", "Ablation", told, pieces)


def experiments(report: Report) -> Section:
    """One line a run, where they are kept."""
    rows = report.csv("experiments.csv")
    told = "The runs in this output folder so far."
    return Section("experiments", "Experiments", told, [] if rows.is_empty() else [table(rows)])


def steps(report: Report) -> Section:
    """Seconds and memory of each script, and of each line it printed; disk by folder."""
    totals, lines = [], []
    for script, found in sorted(report.steps.items()):
        seconds = sum(step["seconds"] for step in found.values())
        peak = max(step["peak_gib"] for step in found.values())
        totals.append({"script": script, "seconds": seconds, "peak GiB": peak})
        for name, step in found.items():
            facts = ", ".join(f"{key} {show(value)}" for key, value in step["facts"].items())
            row = {"script": script, "step": name, "seconds": step["seconds"]}
            lines.append(row | {"peak GiB": step["peak_gib"], "facts": facts})
    told = (
        "Of each script, and of each line it printed, when it last made something (the peak: of "
        "its process so far); and what lies in the output folder."
    )
    pieces = [folded("disk", disk(report.run))]
    if totals:
        numbers = pl.DataFrame(totals)
        seconds = {"seconds": numbers["seconds"].to_list()}
        svg = plots.bars(numbers["script"].to_list(), seconds, "seconds")
        pieces = [figure("seconds", svg, numbers), folded("lines", pl.DataFrame(lines)), *pieces]
    return Section("steps", "Seconds, memory, disk", told, pieces)


def disk(run: Run) -> pl.DataFrame:
    """Size of every kind of folder, all splits together."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for file in run.output.rglob("*"):
        if file.is_file():
            folders = file.relative_to(run.output).parts[:-1]
            kind = next((f for f in folders if f in MADE_BY), "/".join(folders[:1]))
            sizes[kind, MADE_BY.get(kind, "")] += file.stat().st_size
    rows = [{"folder": kind, "made by": script, "GiB": size / 2**30}
            for (kind, script), size in sorted(sizes.items())]  # fmt: skip
    return pl.DataFrame(rows)


def facts(report: Report) -> Section:
    """What the data are, and what the recipe expects them to be."""
    made = report.steps.get("1_preparation", {})
    rows = [{"table": name, "fact": key, "found": show(value)}
            for name, step in made.items() for key, value in step["facts"].items()]  # fmt: skip
    wanted = []
    for stem, expect in report.run.recipe.expect:
        found = made.get(f"read {stem}", {"facts": {}})["facts"]
        for fact in ("sessions", "events", "items"):
            row = {"file": stem, "fact": fact, "expected": getattr(expect, fact)}
            wanted.append(row | {"found": found.get(fact)})
    told = "What step 1 counted. " + (
        "Against what the recipe expects (step 1 refuses a file that differs, its items included):"
        if wanted else "The recipe expects no particular download."
    )  # fmt: skip
    pieces = [table(pl.DataFrame(wanted))] if wanted else []
    pieces += [folded("counted by step 1", pl.DataFrame(rows))] if rows else []
    return Section("facts", "Data", told, pieces)


ALL = (score, gains, browse, funnel, rules, epochs, curves, features, effects, scores, breakdowns,
       ablation, experiments, steps, facts)  # fmt: skip
