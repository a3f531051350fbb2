"""Make the section about probabilities: by predictor, scene and coldness; a calibration curve."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.blend.cv import BLEND, probabilities_path
from src.data.coldness import FEW
from src.evaluation.tables import ALL, LEAST, TABLES, table_path
from src.metrics.probability import BINS
from src.report import plots
from src.report.contents import Contents
from src.report.page import Section, details, figure, grid, table
from src.report.plots import Line


def probabilities(contents: Contents) -> Section:
    """Show the tables of probabilities, and how often each bin of them came true."""
    run, html = contents.run, []
    if run.recipe.slices:
        predictors, scenes, coldness = (pl.read_csv(table_path(run, name)) for name in TABLES)
        html = [table(predictors), grid(curve(contents, name) for name in contents.blends)]
        if not scenes.is_empty():
            html.append(details("by scene", scenes))
        if not coldness.is_empty():
            html += [
                table(coldness.filter(scene=ALL).drop("scene")),
                details("by coldness and scene", coldness.filter(pl.col("scene") != ALL)),
            ]
    text = (
        "Calibrated probabilities of all judged candidates of valid, out of fold: of the blend, of "
        "each ranker alone, and of rates without a model. Entropy: log loss over that of the rate "
        "of the scene. AUC of all rows with its 95 % interval by bootstrap over users; as a mean "
        "over scenes, and over lists. Ratio: sum of the probabilities over the positives. ECE: "
        f"mean gap of {BINS} bins. Coldness: rows of the user and of the item before the moment, "
        f"none, fewer than {FEW}, or more. A cell with fewer than {LEAST} rows of either class has "
        "counts only."
    )
    return Section("probabilities", "Probabilities", text, html)


def curve(contents: Contents, objective: str) -> str:
    """Draw the share of positives by bins of equally many rows of the blend's probabilities."""
    number = contents.run.recipe.objective_names.index(objective)
    rows = pl.scan_parquet(probabilities_path(contents.run))
    blend = rows.filter(objective=number, predictor=BLEND).collect()
    blend = blend.sort("probability", "session", "item").with_row_index("row")
    bins = blend.group_by((pl.col("row") * BINS // max(blend.height, 1)).alias("bin")).agg(
        pl.len().alias("rows"), mean_probability=pl.col("probability").mean(),
        share_of_positives=(pl.col("grade") > 0).mean(),
    ).sort("bin").drop("bin")  # fmt: skip
    mean, share = (bins[name].to_list() for name in ("mean_probability", "share_of_positives"))
    ends = [0.0, float(np.max([*mean, *share, 0.01]))]
    lines = [Line(objective, mean, share), Line("", ends, ends, 2, dashed=True)]
    return figure(objective, plots.lines(lines, "mean probability", "share of positives"), bins)
