"""Make the sections about scores: baselines, blends, breakdowns, ablation, former runs."""

from __future__ import annotations

import polars as pl

from src.blend.both_ways import both_scores
from src.blend.experiments import experiments_path, read_experiments
from src.core.parquet import count_rows
from src.data import paths
from src.metrics.named import metric_named
from src.report import plots
from src.report.breakdowns import BREAKDOWNS, break_down, score_histogram
from src.report.contents import Contents, best_features_only
from src.report.page import Section, details, figure, grid, show, table

CONVENTIONS = {
    "coverage": "share of all items that are in a list; the blend is that of all folds",
    "novelty": "mean over the listed items of -log2 of their share of the events, in bits",
}
"""Of the measures of `catalogue` in cv.json."""


def score(contents: Contents) -> Section:
    """Show the score in total and by objective, with intervals and folds."""
    cv, rows = contents.cv, []
    for o in contents.run.recipe.objectives:
        entry = cv["objectives"][o.name]
        row = {"objective": o.name, "weight": o.weight, "score": entry["score"]}
        row |= dict(zip(("low", "high"), entry["ci95"], strict=True))
        row |= {f"fold_{f}": value for f, value in enumerate(entry["folds"])}
        rows.append(row | {"oracle_score": entry["oracle_score"]})
    total = {"objective": "total", "score": cv["score"], "low": cv["ci95"][0]}
    rows.append(total | {"high": cv["ci95"][1]})
    numbers = pl.DataFrame(rows, infer_schema_length=None)
    scored = [row for row in rows if row["score"] is not None]
    svg = plots.intervals(
        [row["objective"] for row in scored], [row["score"] for row in scored],
        [(row["low"], row["high"]) for row in scored],
        [[row[name] for name in row if name.startswith("fold_")] for row in scored],
    )  # fmt: skip
    low, high = map(show, cv["ci95"])
    big = f'<p class="big">{show(cv["score"])} <small>[{low}, {high}]</small></p>'
    text = (
        f"{cv['metric']} on all {contents.sample.n_queries:,} queries of valid, out of fold: "
        f"{cv['convention']}. Intervals are 95 %, by bootstrap over sessions. The short marks are "
        "the folds. The oracle score is that of a perfect order of the pool."
    )
    both = f"<p>{'; '.join(both_scores(contents.run))}.</p>"
    html = [
        big,
        both,
        figure("score", svg, numbers),
        details("other metrics", other_metrics(contents)),
    ]
    return Section("score", "Score", text, html)


def other_metrics(contents: Contents) -> pl.DataFrame:
    """Tabulate the other metrics of cv.json, with their conventions."""
    cv, rows = contents.cv, []
    for name, total in cv["also"].items():
        row = {"metric": name} | {o: e["also"].get(name) for o, e in cv["objectives"].items()}
        row |= {"total": total} if len(cv["objectives"]) > 1 else {}
        rows.append(row | {"convention": metric_named(name).convention})
    first = next(iter(cv["objectives"].values()))
    for name in first["catalogue"]:
        row = {"metric": name} | {o: e["catalogue"][name] for o, e in cv["objectives"].items()}
        rows.append(row | {"convention": CONVENTIONS[name.partition("@")[0]]})
    return pl.DataFrame(rows)


def baselines(contents: Contents) -> Section:
    """Show the delta of the pipeline over every baseline."""
    text = (
        "Baselines are lists without a model. The delta is the score of the pipeline minus the "
        "score of the baseline: paired, with 95 % intervals."
    )
    numbers, html = contents.csv("logs/vs_baselines.csv"), []
    if contents.run.recipe.baselines:
        rows = numbers.filter(pl.col("delta").is_not_null())
        ends = list(rows.select("delta_low", "delta_high").iter_rows())
        names = [
            f"{name}: {delta:+.3f}" for name, delta in rows.select("baseline", "delta").iter_rows()
        ]
        svg = plots.intervals(names, rows["delta"].to_list(), ends, zero=True)
        html = [figure("delta over a baseline", svg, numbers)]
    return Section("baselines", "Against baselines", text, html)


def blends(contents: Contents) -> Section:
    """Show the chosen blends, the alternatives, and histograms of scores."""
    rows, alternatives = [], []
    for name, entry in contents.cv["objectives"].items():
        rows.append({"objective": name, "transform": entry["transform"], **entry["weights"]})
        for blend, value in entry["alternatives"].items():
            alternatives.append({"objective": name, "blend": blend, "score": value})
    weights = pl.DataFrame(rows, infer_schema_length=None)
    figures = []
    for o, (name, final) in enumerate(contents.blends.items()):
        row = best_features_only(contents.cv, final)
        if row is None:
            continue
        edges, shares = score_histogram(contents.sample, o, row.score_column(name))
        svg = plots.histogram(edges, shares, "score")
        numbers = pl.DataFrame({"from": edges[:-1], **shares})
        figures.append(figure(f"{row.name}, {name}", svg, numbers))
    text = (
        "The transform of the scores and the weight of each ranker. An objective that no ranker "
        "is trained for keeps the order of the pool. Rankers: the out-of-fold score of each one. "
        "Alternatives: each ranker alone, and the best blend of each transform in hindsight, on at "
        "most 200,000 queries. "
        "The plots show the out-of-fold scores of the best ranker of trees, for the positives and "
        "for the other candidates. "
        f"Counted on {contents.counted_on}."
    )
    tables = [
        table(weights),
        details("rankers", contents.csv("logs/rankers.csv")),
        details("alternatives", pl.DataFrame(alternatives)),
    ]
    return Section("blends", "Blends and scores", text, [*tables, grid(figures)])


def breakdowns(contents: Contents) -> Section:
    """Show the share of positives that are found, by session and by item."""
    k, html = contents.run.recipe.k, []
    has_events = count_rows(paths.events(contents.run, "valid")) > 0
    for by in BREAKDOWNS if has_events else ():
        numbers, figures = break_down(contents.sample.positives, by, k), []
        for o, name in enumerate(contents.blends):
            rows = numbers.filter(objective=o).drop("objective")
            series = {
                "in the pool": rows["in_pool"].to_list(),
                f"in the first {k}": rows[f"in_first_{k}"].to_list(),
            }
            if rows.height:
                svg = plots.columns(rows[by.column].to_list(), series)
                figures.append(figure(f"{by.title}, {name}", svg, rows))
        html.append(grid(figures))
    text = (
        f"Share of the positives that are in the pool and in the first {k} of the final list: by "
        "visible events of the session, by visible events of the item in valid, and by time from "
        "the first of these events to the query ('not yet': the first event comes after the "
        "query, or never). Every positive counts, without a cap per query. "
        f"Counted on {contents.counted_on}."
    )
    return Section("breakdowns", "For whom it works", text, html)


def ablation(contents: Contents) -> Section:
    """Show the loss without each group of features or retrievers, after an ablation."""
    text = "Score lost without a group of features or retrievers, with 95 % intervals."
    numbers, html = contents.csv("logs/ablation.csv"), []
    if not numbers.is_empty():
        rows = numbers.drop_nulls(["loss", "low", "high"])
        ends = list(rows.select("low", "high").iter_rows())
        svg = plots.intervals(rows["dropped"].to_list(), rows["loss"].to_list(), ends, zero=True)
        html = [figure("loss without", svg, numbers)]
    return Section("ablation", "Ablation", text, html)


def experiments(contents: Contents) -> Section:
    """Show all lines of experiments.csv."""
    path = experiments_path(contents.run)
    text = "The runs in this output folder. The delta compares a run with the run before it."
    html = [table(read_experiments(path))] if path.exists() else []
    return Section("experiments", "Experiments", text, html)
