"""report.html of a tiny run: its numbers against the files of the run, and it in a real browser.

pytest tests/test_report.py     (the browser tests skip where there is no Chromium)
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from tiny import RECIPE
from worlds import ROOT, TYPES

from src.blend.search import Option, Search, final_lists
from src.core import steplog
from src.core.budget import Budget
from src.core.engine import resolve
from src.core.run import Run
from src.data.folds import folds
from src.data.shards import part_files
from src.embeddings.rows import Word2VecEmbedding
from src.rankers.rows import member
from src.report import data as report_data
from src.report import page, plots, report, sections
from src.report.data import Blend, Sample
from src.report.sections import Report

pytestmark = pytest.mark.slow

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"
)


def run_in(out: Path) -> Run:
    budget = Budget(2**33, out)
    return Run(RECIPE, out, out, resolve("cpu"), budget, 1.0, ROOT / "7_blend.py")


def data_of(out: Path) -> dict[str, Any]:
    """What the page's script reads."""
    text = (out / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def whole(first: Path) -> Report:
    run = run_in(first)
    blends = report.blends_of(run)
    cv = json.loads((first / "cv.json").read_text())
    return Report(run, cv, blends, Sample.load(run, blends), steplog.read(first))


def test_a_browsed_query_ranks_as_step_7_does(whole: Report) -> None:
    item_ids = (
        pl.read_parquet(whole.run.output / "items.parquet")["item_id"].cast(pl.String).to_list()
    )
    raw = pl.read_parquet(whole.run.output / "valid" / "sessions.parquet")["session"].to_list()
    queries = {q["id"]: q for q in data_of(whole.run.output)["queries"]}
    assert len(queries) == report_data.BROWSED
    files = part_files(whole.run, "valid", "scores")
    for o, (name, blend) in enumerate(whole.blends.items()):
        members = [member(row, name) for row in RECIPE.rankers]
        sessions, lists = final_lists(files, members, blend.option, blend.stack, RECIPE.k)
        checked = 0
        for session, items in zip(sessions, lists, strict=True):
            if query := queries.get(str(raw[session])):
                ranked = sorted(query["rows"], key=lambda row: row[3][o])[: RECIPE.k]
                assert [row[0] for row in ranked] == [item_ids[i] for i in items if i >= 0]
                assert [row[3][o] for row in ranked] == list(range(len(ranked)))
                checked += 1
        assert checked == len(queries)


STACK = np.array([0.5, 0.1, 0.2, 3.0, 30.0, 10.0])


@pytest.mark.parametrize(
    ("option", "stack"),
    [
        (Option("rank", (5, 3, 2)), None),
        (Option("softmax", (0, 8, 2)), None),
        (Option("stack", ()), STACK),
    ],
)
def test_ranks_are_those_of_every_blend(
    whole: Report, option: Option, stack: np.ndarray | None
) -> None:
    files = part_files(whole.run, "valid", "scores")
    members = [member(row, "carts") for row in RECIPE.rankers]
    sessions, lists = final_lists(files, members, option, stack, RECIPE.k)
    blend = Blend(RECIPE.rankers, RECIPE.rankers[0], option, stack)
    rows = report_data.ranked(pl.concat(map(pl.read_parquet, files)), {"carts": blend})
    first = rows.filter(pl.col("rank_carts") < RECIPE.k).sort("session", "rank_carts")
    for session, items in zip(sessions, lists, strict=True):
        mine = first.filter(session=session)["item"].to_list()
        assert mine == [item for item in items if item >= 0]


def test_hits_are_marked_and_misses_named(whole: Report) -> None:
    place = whole.run.output / "valid"
    item_ids = (
        pl.read_parquet(whole.run.output / "items.parquet")["item_id"].cast(pl.String).to_list()
    )
    raw = pl.read_parquet(place / "sessions.parquet")["session"].to_list()
    wanted: dict[str, set[tuple[str, int]]] = {}
    for session, o, item in pl.read_parquet(place / "labels.parquet").iter_rows():
        wanted.setdefault(str(raw[session]), set()).add((item_ids[item], o))
    found = data_of(whole.run.output)["queries"]
    kinds = set()
    for query in found:
        assert {(item, o) for item, o, _, _ in query["true"]} == wanted[query["id"]]
        rows = {row[0]: row for row in query["rows"]}
        marked = {(item, o) for item, row in rows.items() for o in row[5]}
        for item, o, at, rank in query["true"]:
            assert (rank is None) == (at is None) == ((item, o) not in marked)
            if rank is not None:
                assert (rows[item][1], rows[item][3][o]) == (at, rank)
            kinds.add(None if rank is None else rank < RECIPE.k)
        assert len(marked) == sum(rank is not None for *_, rank in query["true"])
    assert kinds == {None, True, False}, "the sample has hits, misses, and items never proposed"


def test_a_candidate_names_the_rules_that_proposed_it(whole: Report) -> None:
    place = whole.run.output / "valid"
    lists = pl.concat(
        pl.read_parquet(place / f / "part-0000.parquet") for f in ("lists", "more_lists")
    )
    item_ids = (
        pl.read_parquet(whole.run.output / "items.parquet")["item_id"].cast(pl.String).to_list()
    )
    raw = pl.read_parquet(place / "sessions.parquet")["session"].to_list()
    wanted: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for session, rule, rank, item in lists.select("session", "rule", "rank", "item").iter_rows():
        wanted.setdefault((str(raw[session]), item_ids[item]), set()).add((rule, rank))
    data = data_of(whole.run.output)
    assert data["rules"] == [rule.name for rule in RECIPE.rules]
    for query in data["queries"]:
        for item, _, rules, *_ in query["rows"]:
            assert {tuple(pair) for pair in rules} == wanted[query["id"], item]


def test_the_history_is_what_the_session_shows(whole: Report) -> None:
    events = pl.read_parquet(whole.run.output / "valid" / "events.parquet")
    raw = pl.read_parquet(whole.run.output / "valid" / "sessions.parquet")["session"].to_list()
    sizes = {str(raw[s]): n for s, n in events.group_by("session").len().iter_rows()}
    for query in data_of(whole.run.output)["queries"]:
        assert len(query["history"]) == min(sizes[query["id"]], report_data.HISTORY)


def test_recall_after_reranking_is_the_score_of_the_final_order(whole: Report) -> None:
    curve = report_data.recalls(whole.sample.truth, list(TYPES), RECIPE.k, RECIPE.k)
    pool = pl.read_csv(whole.run.output / "logs" / "pool" / "pool.csv")
    labels = pl.read_parquet(whole.run.output / "valid" / "labels.parquet")
    files, fold = part_files(whole.run, "valid", "scores"), folds(whole.run, "valid")
    for o, (name, blend) in enumerate(whole.blends.items()):
        members = [member(row, name) for row in RECIPE.rankers]
        truth = labels.filter(objective=o)
        if blend.stack is None:  # a stacked score is out of fold, the final order is not
            score = Search(RECIPE, files, members, truth, fold).tally(blend.option).score()
            found = curve.filter(first=RECIPE.k)[f"{name} reranked"].item()
            assert found == pytest.approx(score)
        for cut in (20, 50, 100, 150):
            kept = pool.filter(pool=f"first {cut}")[name].item()
            assert curve.filter(first=cut)[f"{name} pool"].item() == pytest.approx(kept, abs=1e-6)


def test_breakdowns_count_every_true_item_once(whole: Report) -> None:
    truth, k = whole.sample.truth, RECIPE.k
    labels = pl.read_parquet(whole.run.output / "valid" / "labels.parquet")
    assert truth.height == labels.height
    assert whole.sample.queries.height == whole.sample.of == 217
    for column, _, bins in report_data.BREAKDOWNS:
        table = report_data.breakdown(truth, column, bins, k)
        assert table["true items"].sum() == truth.height
        hits = (table["true items"] * table[f"among the first {k}"]).sum()
        assert hits == pytest.approx((truth["rank"] < k).sum())


@pytest.mark.parametrize(
    ("value", "bin_"),
    [
        (None, "not yet"),
        (-1, "not yet"),
        (0, "<1 h"),
        (3599, "<1 h"),
        (3600, "<1 d"),
        (7 * 86400, "7 d+"),
    ],
)
def test_bins(value: int | None, bin_: str) -> None:
    columns = {"objective": [0], "place": [3], "rank": [2], "age": [value]}
    truth = pl.DataFrame(columns, schema_overrides={"age": pl.Int32})
    assert report_data.breakdown(truth, "age", report_data.AGES, 5)["age"].to_list() == [bin_]


def test_a_partial_effect_is_the_mean_prediction(whole: Report) -> None:
    """At a grid value, all rows having it: predicted by hand, row by row."""
    from src.rankers import xgb as ranker
    from src.rankers.score import model_path

    row, run = RECIPE.rankers[0], whole.run
    name = sections.importance(whole, row, "clicks", [0])["feature"][0]
    found = report_data.partial_effects(run, row, "clicks", [name])[name]
    assert 1 < found.height <= report_data.GRID and found["mean score"].n_unique() > 1
    model = ranker.load(model_path(run, row, "clicks", 0), 1)
    frame = report_data.held_out(run, "clicks")
    fixed = frame.with_columns(pl.lit(found[name][0]).cast(pl.Float32).alias(name))
    by_hand = ranker.predict([model], fixed.to_numpy(order="c"), frame.columns).mean()
    assert found["mean score"][0] == pytest.approx(by_hand, abs=1e-5)


def test_numbers_of_the_logs_are_on_the_page(whole: Report) -> None:
    text = (whole.run.output / "report.html").read_text()
    assert f"{page.show(whole.cv['score'])} <small>" in text
    for name in ("gains.csv", "pool/rules.csv", "pool/pool.csv"):
        with open(whole.run.output / "logs" / name) as file:
            cells = [cell for row in list(csv.reader(file))[1:] for cell in row if cell]
        for cell in cells:
            shown = page.show(float(cell)) if re.fullmatch(r"-?\d+\.\d+", cell) else cell
            assert f">{page.escape(shown)}</td>" in text, (name, cell)
    for section in ("score", "browse", "funnel", "rules", "epochs", "curves", "features", "effects",
                    "scores", "breakdowns", "experiments", "steps", "facts"):  # fmt: skip
        assert f'<section id="{section}">' in text
    assert 'id="ablation"' not in text


def test_every_epoch_is_drawn(whole: Report) -> None:
    run, drawn = whole.run, []
    lines = plots.lines
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "lines", lambda ls, *at: drawn.append((at, ls)) or lines(ls, *at))
        section = sections.epochs(whole)
    learned = [row for row in RECIPE.embeddings if not isinstance(row, Word2VecEmbedding)]
    assert len(drawn) == 2 * len(learned) > 0
    for n, row in enumerate(learned):
        for k, column in enumerate(("loss", "recall@20")):
            at, found = drawn[2 * n + k]
            assert at == ("epoch", column) and [line.name for line in found] == run.splits()
            for line in found:
                file = run.output / "logs" / "embeddings" / line.name / f"{row.name}.csv"
                with open(file) as text:
                    rows = list(csv.DictReader(text))
                assert line.y == [float(r[column]) for r in rows] and len(line.x) == len(rows)
                assert all(page.show(y) in section.pieces[0] for y in line.y)


def test_it_is_one_file_that_asks_for_nothing(whole: Report) -> None:
    text = (whole.run.output / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text) and "@import" not in text
    assert "default-src 'none'" in text and "/tmp/" not in text
    assert len(text) < 3_000_000


def test_it_is_made_again_only_for_a_reason(copy: Path) -> None:
    run = run_in(copy)
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
    assert report.write_report(run_in(copy))
    text = (copy / "report.html").read_text()
    assert 'id="ablation"' in text and 'id="experiments"' in text
    assert (
        "alert(1)</script>" not in text
        and text.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") >= 3
    )


def test_data_cannot_end_the_scripts_element() -> None:
    text = page.page("t", [], {"x": "</script><script>"})
    assert text.count("</script>") == 2 and '{"x":"\\u003c/script>' in text


def test_plots_take_their_colours_from_the_page() -> None:
    svg = plots.lines([plots.Line("a<b", [1, 2], [3, 4])], "x")
    assert "var(--c0)" in svg and "var(--ink)" in svg and "a&lt;b" in svg
    assert not re.search(r"#(?!m|p)[0-9a-f]{6}", svg), "a colour that dark mode cannot change"
    assert svg == plots.lines([plots.Line("a<b", [1, 2], [3, 4])], "x"), "the same bytes"


def test_ids_of_plots_do_not_meet(whole: Report) -> None:
    text = (whole.run.output / "report.html").read_text()
    pieces = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pieces) > 20
    for svg in pieces:
        used = set(re.findall(r'(?:url\(|href=")#(\w+)', svg))
        assert used <= set(re.findall(r'id="(\w+)"', svg)), "a plot looks into another one"


def test_steps_keep_what_made_something(tmp_path: Path) -> None:
    told = {"facts": {"rows": 3}, "seconds": 9.0, "peak_gib": 1.0}
    later = told | {"seconds": 0.1}
    steplog.keep(tmp_path, "1_x", "read", told, [True])
    steplog.keep(tmp_path, "1_x", "read", later, [False, False])  # all was up to date
    assert steplog.read(tmp_path)["1_x"]["read"]["seconds"] == 9.0
    steplog.keep(tmp_path, "1_x", "read", later, [False, True])
    assert steplog.read(tmp_path)["1_x"]["read"]["seconds"] == 0.1
    steplog.keep(tmp_path, "1_x", "print", told, [])  # asks for no file: always the latest
    steplog.keep(tmp_path, "1_x", "print", later, [])
    assert steplog.read(tmp_path)["1_x"]["print"]["seconds"] == 0.1
    steplog.forget(tmp_path, "1_x", ["print"])
    assert list(steplog.read(tmp_path)["1_x"]) == ["print"]


def test_every_step_is_in_the_log(first: Path) -> None:
    steps = steplog.read(first)
    assert sorted(steps) == tiny.STEPS
    assert steps["1_preparation"]["read train"]["facts"].keys() == {"sessions", "events"}
    for found in steps.values():
        for step in found.values():
            assert step["seconds"] >= 0 and step["peak_gib"] > 0


PROBE = """
<script>
const told = {errors: window.faults, at: []};
const look = () => told.at.push(["pick", "candidates"].map(id => {
  const node = document.getElementById(id);
  return id === "pick" ? node.value : node.innerText;
}).concat([document.querySelectorAll("#candidates tr.hit").length,
  [...document.querySelectorAll("#candidates tr")].slice(1)
    .map(row => [row.cells[0].innerText, row.cells[1].innerText.split(" ")[0]])]));
look();
document.getElementById("next").click(); look();
const pick = document.getElementById("pick");
pick.selectedIndex = 5; pick.dispatchEvent(new Event("change")); look();
document.getElementById("for-2").click(); look();
told.loaded = performance.getEntriesByType("resource").map(e => e.name);
told.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
told.width = document.documentElement.clientWidth;
told.plots = [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect())
  .map(r => [r.width, r.height]);
told.text = getComputedStyle(document.querySelector("svg text")).fill;
parent.postMessage(told, "*");
</script>
"""
FRAME = """<!doctype html><iframe src="page.html" width="{}" height="900" frameborder="0"></iframe>
<script>
addEventListener("message", e => document.body.replaceChildren(Object.assign(
  document.createElement("pre"), {{id: "probe", textContent: JSON.stringify(e.data)}})));
</script>
"""
WATCH = """<script>
window.faults = [];
addEventListener("error", e => faults.push(String(e.message)));
document.addEventListener("securitypolicyviolation", e => faults.push("CSP " + e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...x) => faults.push(x.join(" "));
</script>"""


def probe(html: Path, folder: Path, width: int = 1280, *flags: str) -> dict[str, Any]:
    """What a browser makes of the page, clicked through, in a frame (a window is 500 at least)."""
    text = html.read_text().replace("<title>", WATCH + "<title>", 1)
    (folder / "page.html").write_text(text.replace("</body>", PROBE + "</body>"))
    (folder / "frame.html").write_text(FRAME.format(width))
    assert CHROMIUM
    flags = (*flags, "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    flags = (*flags, "--window-size=1400,1000", "--virtual-time-budget=20000")
    command = [CHROMIUM, "--headless", "--dump-dom", *flags, (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1]))


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(first: Path, tmp_path: Path, width: int) -> None:
    told = probe(first / "report.html", tmp_path, width)
    assert told["errors"] == [] and told["loaded"] == []
    assert width - 20 <= told["width"] <= width
    assert told["wide"] <= 0, "the page scrolls sideways"
    assert len(told["plots"]) > 20 and all(w > 250 and h > 50 for w, h in told["plots"])
    queries = data_of(first)["queries"]
    chosen = [at[0] for at in told["at"]]
    assert chosen == [queries[n]["id"] for n in (0, 1, 5, 5)]
    tables = [at[1] for at in told["at"]]
    assert len(set(tables)) == 4, "another query, or objective: another table"
    shown = ((0, 0), (1, 0), (5, 0), (5, 2))  # query, objective
    for (_, table, hits, order), (n, o) in zip(told["at"], shown, strict=True):
        true = {row[0] for row in queries[n]["rows"] if row[5]}
        assert hits == len(true) and all(item in table for item in true)
        rows = sorted(queries[n]["rows"], key=lambda row: row[3][o])
        assert order == [[str(row[3][o] + 1), row[0]] for row in rows]


@needs_chromium
def test_dark_mode_changes_the_plots(first: Path, tmp_path: Path) -> None:
    light = probe(first / "report.html", tmp_path)
    dark = probe(first / "report.html", tmp_path, 1280, "--blink-settings=preferredColorScheme=0")
    assert light["text"] != dark["text"] and dark["errors"] == []
