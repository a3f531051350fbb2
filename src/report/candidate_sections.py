"""Make the sections about candidates: single queries, recall at each stage, retrievers."""

from __future__ import annotations

import polars as pl

from src.candidates.recall import UNION
from src.report import browse as browsing
from src.report import plots
from src.report.breakdowns import recall_curves
from src.report.contents import Contents
from src.report.page import Section, figure, grid, table
from src.report.plots import Line

TOP = 15  # retrievers whose unique recall is shown


def browse(contents: Contents) -> Section:
    """Explain the Browse section, which the page's script fills."""
    n = min(browsing.QUERIES, contents.sample.queries.height)
    text = (
        f"{n} queries of valid, drawn by hash: the visible events, the ground truth, and the "
        f"candidates. Candidates are the first {browsing.FIRST} of each objective and all "
        "positives, with the retrievers that proposed them and the scores of the rankers. Ids "
        "are those of the raw files. Times are UTC."
    )
    return Section("browse", "Browse", text, ['<div id="browser"></div>'])


def recall(contents: Contents) -> Section:
    """Show the recall of all lists, of the pool, and of the reranked pool."""
    recipe, names = contents.run.recipe, list(contents.blends)
    if recipe.given:
        return Section("recall", "", "", [])
    cap = recipe.metric.cap
    curves = recall_curves(contents.sample.positives, names, recipe.k, cap)
    numbers = contents.csv("logs/pool/pool.csv")
    at_k = curves.filter(first=recipe.k)
    reranked = {name: at_k[f"{name}_reranked"].item() for name in names}
    row = pl.DataFrame({"pool": f"reranked, first {recipe.k}", **reranked})
    figures = []
    for name in names:
        first, union = curves["first"].to_list(), numbers.filter(pool=UNION)[name].item()
        lines = [
            Line("reranked", first, curves[f"{name}_reranked"].to_list()),
            Line("pool", first, curves[f"{name}_pool"].to_list(), 1),
            Line("all lists", [first[0], first[-1]], [union, union], 2, dashed=True),
        ]
        shown = curves.select("first", f"{name}_reranked", f"{name}_pool")
        figures.append(figure(name, plots.lines(lines, "first candidates", log_x=True), shown))
    text = (
        f"Share of the positives (at most {cap} per query) that are in any list, in the first "
        "candidates of the pool, and in the first candidates after the rankers. The pool is "
        "ordered by reciprocal rank fusion of the lists. The last row and the curves are "
        f"counted on {contents.counted_on}."
    )
    html = [table(pl.concat([numbers, row], how="diagonal")), grid(figures)]
    return Section("recall", "Recall, from lists to the top", text, html)


def retrievers(contents: Contents) -> Section:
    """Show the recall of each retriever, and its unique recall."""
    k, numbers = contents.run.recipe.k, contents.csv("logs/pool/retrievers.csv")
    figures: list[str] = []
    unique_figures: list[str] = []
    for name in () if numbers.is_empty() else contents.blends:
        whole, first, unique = f"{name}_recall", f"{name}_recall_{k}", f"{name}_unique_recall"
        rows = numbers.select("retriever", whole, first, unique)
        rows = rows.sort(whole, "retriever", descending=[True, False])
        series = {"whole list": rows[whole].to_list(), f"first {k}": rows[first].to_list()}
        figures.append(figure(name, plots.bars(rows["retriever"].to_list(), series), rows))
        only = rows.select("retriever", unique).filter(pl.col(unique) > 0)
        if only.height:
            only = only.sort(unique, "retriever", descending=[True, False]).head(TOP)
            svg = plots.bars(only["retriever"].to_list(), {"unique": only[unique].to_list()})
            unique_figures.append(figure(f"{name}: in no other list", svg, only))
    text = (
        "Recall of each retriever alone, on all queries of valid: of its whole list, and of its "
        f"first {k}. Unique recall counts the positives that no other retriever finds."
    )
    html = [grid(figures), grid(unique_figures)] if figures else []
    return Section("retrievers", "Retrievers", text, html)
