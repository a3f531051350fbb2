"""report.html of a tiny run: its sections against the files of the run, and when it is renewed.

pytest tests/report/test_report_page.py
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from planted import run_in
from tiny import RECIPE

from src.core import steplog
from src.data import paths
from src.data.splits import all_splits
from src.report import page, partial_effects, plots, report
from src.report import training_sections as training
from src.report.contents import Contents, TrainedModel

pytestmark = pytest.mark.slow

SECTIONS = ("score", "baselines", "browse", "recall", "retrievers", "epochs", "curves", "features",
            "effects", "blends", "breakdowns", "experiments", "steps", "counts")  # fmt: skip
IN_EPOCHS = ("mf", "net")  # embeddings of the tiny recipe


def test_a_partial_effect_is_the_mean_prediction(contents: Contents) -> None:
    """At a value of the grid that all rows get, predicted by hand."""
    row, run = RECIPE.rankers[0], contents.run
    name = training.importance(run, TrainedModel(row, "clicks"), [0])["feature"][0]
    effect = partial_effects.partial_effects(run, row, "clicks", [name])[name]
    assert 1 < effect.height <= partial_effects.GRID and effect["mean_score"].n_unique() > 1
    model = row.load(row.model_file(run, "clicks", 0), run)
    frame = partial_effects.held_out_rows(run, "clicks")
    fixed = frame.with_columns(pl.lit(effect["value"][0]).cast(pl.Float32).alias(name))
    by_hand = model.margins(fixed.to_numpy(order="c").astype(np.float32), frame.columns).mean()
    assert effect["mean_score"][0] == pytest.approx(by_hand, abs=1e-5)


def test_missing_values_have_no_place_on_the_grid(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, run = RECIPE.rankers[0], contents.run
    frame = partial_effects.held_out_rows(run, "clicks")
    name = training.importance(run, TrainedModel(row, "clicks"), [0])["feature"][0]
    holes = pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col(name)).otherwise(float("nan"))
    frame = frame.with_columns(holes.alias(name))
    monkeypatch.setattr(partial_effects, "held_out_rows", lambda run, objective: frame)
    effect = partial_effects.partial_effects(run, row, "clicks", [name])[name]
    assert effect.height > 1 and effect["value"].is_finite().all()


def test_numbers_of_the_logs_are_on_the_page(contents: Contents) -> None:
    text = (contents.run.output / "report.html").read_text()
    assert f"{page.show(contents.cv['score'])} <small>" in text
    for name in ("vs_baselines.csv", "pool/retrievers.csv", "pool/pool.csv", "rankers.csv"):
        with open(contents.run.output / "logs" / name) as file:
            cells = [cell for row in list(csv.reader(file))[1:] for cell in row if cell]
        for cell in cells:
            shown = page.show(float(cell)) if re.fullmatch(r"-?\d+\.\d+", cell) else cell
            assert f">{page.escape(shown)}</td>" in text, (name, cell)
    for section in SECTIONS:
        assert f'<section id="{section}">' in text
    assert 'id="ablation"' not in text


def test_every_epoch_is_drawn(contents: Contents) -> None:
    run, drawn = contents.run, []
    lines = plots.lines
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "lines", lambda ls, *at: drawn.append((at, ls)) or lines(ls, *at))
        section = training.epochs(contents)
    assert {*IN_EPOCHS} < {row.name for row in RECIPE.embeddings}
    assert len(drawn) == 2 * len(IN_EPOCHS) > 0
    for n, name in enumerate(IN_EPOCHS):
        for k, column in enumerate(("loss", "recall_20")):
            at, found = drawn[2 * n + k]
            assert at == ("epoch", column) and [line.name for line in found] == all_splits(run)
            for line in found:
                with open(paths.embedding_log(run, line.name, name)) as text:
                    rows = list(csv.DictReader(text))
                assert line.y == [float(r[column]) for r in rows] and len(line.x) == len(rows)
                assert all(page.show(y) in section.html[0] for y in line.y)


def test_it_is_one_file_that_loads_nothing(contents: Contents) -> None:
    text = (contents.run.output / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text) and "@import" not in text
    assert "default-src 'none'" in text and "/tmp/" not in text
    assert len(text) < 3_000_000


def test_it_is_made_again_only_for_a_reason(copy: Path) -> None:
    run = run_in(copy, RECIPE, "7_blend.py")
    assert not report.write_report(run)
    (copy / "logs" / "steps.json").write_text("{}")
    assert not report.write_report(run)
    curve = copy / "logs" / RECIPE.rankers[0].name / "orders" / "fold_3" / "curve.csv"
    curve.write_text(curve.read_text().replace("0.9", "0.8"))
    assert report.write_report(run) and not report.write_report(run)
    epochs = copy / "logs" / "embeddings" / "valid" / "mf.csv"
    epochs.write_text(epochs.read_text().replace("0.", "1."))
    assert report.write_report(run) and not report.write_report(run)


def test_ablation_and_experiments_are_shown_and_escaped(copy: Path) -> None:
    bad = "<script>alert(1)</script>&"
    rows = [[bad, 0.5, 0.02, 0.0, 0.04], ["net", 0.51, 0.01, -0.01, 0.03]]
    table = pl.DataFrame(rows, ["dropped", "score", "loss", "low", "high"], orient="row")
    table.write_csv(copy / "logs" / "ablation.csv")
    pl.DataFrame({"note": [bad], "score": [0.25]}).write_csv(copy / "experiments.csv")
    assert report.write_report(run_in(copy, RECIPE, "7_blend.py"))
    text = (copy / "report.html").read_text()
    assert 'id="ablation"' in text and 'id="experiments"' in text
    assert (
        "alert(1)</script>" not in text
        and text.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") >= 3
    )


def test_ids_of_plots_do_not_meet(contents: Contents) -> None:
    text = (contents.run.output / "report.html").read_text()
    plots_of_page = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots_of_page) > 20
    for svg in plots_of_page:
        used = set(re.findall(r'(?:url\(|href=")#(\w+)', svg))
        assert used <= set(re.findall(r'id="(\w+)"', svg)), "a plot refers to another one"


def test_every_step_is_in_the_log(first: Path) -> None:
    steps = steplog.read(first)
    assert sorted(steps) == tiny.STEPS
    assert steps["1_preparation"]["read train"]["summary"].keys() == {"sessions", "events"}
    for lines in steps.values():
        for line in lines.values():
            assert line["seconds"] >= 0 and line["peak_gib"] > 0
