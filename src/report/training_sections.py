"""Make the sections about training: epochs of embeddings, learning curves, features."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl

from src.candidates.pool_kernel import ABSENT
from src.core.run import Run
from src.data import paths
from src.data.splits import all_splits
from src.report import partial_effects, plots
from src.report.contents import Contents, TrainedModel, best_features_only, trained_models
from src.report.page import Section, details, figure, grid
from src.report.plots import Line

TOP = 15  # features whose gain is shown
EFFECTS = 4  # features whose partial effect is shown
POINTS = 60  # of a learning curve that are drawn, at most
ROUNDS = 15  # of a learning curve that its table shows, at most


def epochs(contents: Contents) -> Section:
    """Show loss and recall by epoch, for embeddings with a log of epochs."""
    run, figures = contents.run, []
    for row in run.recipe.embeddings:
        files = {split: paths.embedding_log(run, split, row.name) for split in all_splits(run)}
        # a log of no epochs is an empty file
        logs = {split: pl.read_csv(file) for split, file in files.items()
                if file.exists() and file.read_text().strip()}  # fmt: skip
        for column in ("loss", "recall_20") if logs else ():
            lines = [
                Line(split, log["epoch"].to_list(), log[column].to_list(), n % len(plots.SERIES))
                for n, (split, log) in enumerate(logs.items())
            ]
            svg = plots.lines(lines, "epoch", column)
            shown = [log.select(pl.lit(split).alias("split"), "epoch", column)
                     for split, log in logs.items()]  # fmt: skip
            figures.append(figure(f"{row.name}, {column}", svg, pl.concat(shown)))
    text = (
        "Training loss, and recall@20 on held-out sessions, of the embeddings that are trained in "
        "epochs. The epoch with the best recall is kept."
    )
    return Section("epochs", "Embeddings", text, [grid(figures)] if figures else [])


def curves(contents: Contents) -> Section:
    """Show the metric of early stopping by round, for every model."""
    figures = []
    for model in trained_models(contents.blends):
        lines, summaries, numbers = [], [], []
        for fold in range(contents.run.recipe.folds):
            folder = paths.model_logs(contents.run, model.ranker.name, model.target, fold)
            curve = pl.read_csv(folder / "curve.csv")
            summaries.append({"fold": fold, **json.loads((folder / "fold.json").read_text())})
            few = curve.gather_every(-(-curve.height // POINTS))
            x, colour = few["round"].to_list(), fold % len(plots.SERIES)
            metric = curve.columns[-1].removeprefix("valid_")  # the last one stops training
            if f"train_{metric}" in few.columns:
                lines.append(Line("", x, few[f"train_{metric}"].to_list(), colour, dashed=True))
            lines.append(Line(f"fold {fold}", x, few[f"valid_{metric}"].to_list(), colour))
            few = curve.gather_every(-(-curve.height // ROUNDS))
            numbers.append(few.select(pl.lit(fold).alias("fold"), pl.all()))
        svg = plots.lines(lines, "round", metric)
        shown = figure(f"{model.ranker.name}, {model.target}", svg, pl.concat(numbers))
        figures.append(f"<div>{shown}{details('folds', pl.DataFrame(summaries))}</div>")
    text = (
        "The metric of early stopping by round. Solid lines: the held-out fold; its best round is "
        "kept. Dashed lines: the training rows. Each objective has training rows of its own."
    )
    return Section("curves", "Learning curves", text, [grid(figures)] if figures else [])


def importance(run: Run, model: TrainedModel, folds: Sequence[int]) -> pl.DataFrame:
    """Compute the mean share of gain by feature, and how many of the folds split by it."""
    folders = [paths.model_logs(run, model.ranker.name, model.target, fold) for fold in folds]
    tables = [pl.read_csv(folder / "importance.csv") for folder in folders]
    shares = [t.with_columns(pl.col("gain") / pl.max_horizontal(pl.col("gain").sum(), 1e-9))
              for t in tables]  # fmt: skip
    of_feature = pl.concat(shares).group_by("feature")
    used = (pl.col("splits") > 0).sum().alias("folds")
    sums = of_feature.agg(pl.col("gain", "cover", "splits").sum(), used)
    mean = sums.with_columns(pl.col("gain", "cover", "splits") / len(folds))
    return mean.sort("gain", "feature", descending=[True, False]).rename({"gain": "gain_share"})


def mean_drop(run: Run, model: TrainedModel) -> pl.DataFrame:
    """Compute by feature how much shuffling it costs, as a mean over all folds."""
    folds = range(run.recipe.folds)
    folders = [paths.model_logs(run, model.ranker.name, model.target, fold) for fold in folds]
    tables = [pl.read_csv(folder / "importance.csv") for folder in folders]
    mean = pl.concat(tables).group_by("feature").agg(pl.col("drop").sum() / run.recipe.folds)
    return mean.sort("drop", "feature", descending=[True, False])


def features(contents: Contents) -> Section:
    """Show the features with the largest gain, or whose shuffling costs most."""
    run, figures, folds = contents.run, [], contents.run.recipe.folds
    for model in trained_models(contents.blends):
        name = f"{model.ranker.name}, {model.target}"
        if model.ranker.features_only:
            table, column = importance(run, model, range(folds)), "gain_share"
            stable = table.filter(folds=folds)
            name += (
                f": {stable.height} of {table.height} features split in all folds, with "
                f"{stable['gain_share'].sum():.0%} of the gain"
            )
        else:
            table, column = mean_drop(run, model), "drop"
        best = table.head(TOP)
        svg = plots.bars(best["feature"].to_list(), {column: best[column].to_list()})
        figures.append(figure(name, svg, best))
    text = (
        "Of trees, the share of the total gain by feature. Of nets, how much the metric of early "
        "stopping falls on some held-out queries when the feature is shuffled. Means over the "
        "folds; importance.csv has all."
    )
    return Section("features", "Most important features", text, [grid(figures)] if figures else [])


def effects(contents: Contents) -> Section:
    """Show the mean score by value of the most important features."""
    run, figures = contents.run, []
    for name, final in contents.blends.items():
        row = best_features_only(contents.cv, final)
        if row is None:
            continue
        # importance in fold 0 alone: models of other folds may have other features
        ranked = importance(run, TrainedModel(row, row.target(name)), [0])
        best = ranked["feature"].head(EFFECTS).to_list()
        for feature, numbers in partial_effects.partial_effects(run, row, name, best).items():
            line = Line("", numbers["value"].to_list(), numbers["mean_score"].to_list())
            svg = plots.lines([line], feature, "mean score")
            figures.append(figure(f"{name}: {feature}", svg, numbers))
    text = (
        "Partial dependence: the mean score (log-odds or ranking score) when all rows get one "
        "value of a feature. The model is that of fold 0 of the best single ranker of trees, on "
        f"about {partial_effects.ROWS:,} rows of that fold. A retriever's rank of {ABSENT:,} means "
        "that the item is not in its list."
    )
    return Section("effects", "Partial effects", text, [grid(figures)] if figures else [])
