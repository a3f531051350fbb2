"""Print the results of a run: scores, comparisons, and the change since the last run."""

from __future__ import annotations

import polars as pl

from src.blend.both_ways import both_scores
from src.blend.comparisons import vs_baselines_path
from src.blend.cv import read_cv
from src.blend.experiments import experiments_path, read_experiments
from src.core.console import show
from src.core.run import Run
from src.data import paths


def show_results(run: Run) -> None:
    """Print the scores of all objectives, then the deltas to baselines."""
    cv, sessions = read_cv(run), pl.scan_parquet(paths.sessions(run, "valid"))
    queries = sessions.select(pl.col("query").sum()).collect().item()
    print(f"\n{cv['metric']} on all {queries:,} queries of valid, out of fold, with 95 % intervals")
    show(pl.DataFrame([_row(name, entry) for name, entry in cv["objectives"].items()]))
    print("\nscore of the run " + "; ".join(both_scores(run)))
    if run.recipe.baselines:
        print(f"\n{cv['metric']} of baselines; delta: the pipeline minus the baseline, paired")
        show(pl.read_csv(vs_baselines_path(run)))


def show_change(run: Run) -> None:
    """Print the last line of experiments.csv: the change since the line before."""
    last = read_experiments(experiments_path(run)).row(-1, named=True)
    if last["delta"] is not None:
        delta = f"{last['delta']:+.4f} [{last['delta_low']:+.4f}, {last['delta_high']:+.4f}]"
        print(f"\nsince the run before: {delta}  {last['change'] or 'code or sample'}")


def _row(name: str, entry: dict) -> dict[str, object]:
    low, high = entry["ci95"]
    row = {"objective": name, "score": entry["score"], "low": low, "high": high}
    row |= {f"fold_{f}": score for f, score in enumerate(entry["folds"])}
    return row | {"oracle_score": entry["oracle_score"]}
