"""The benchmark's own arithmetic: what a child took, how time grows, and peers on a tiny world."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from needs import needs_package
from planted import BARE, planted_events, run_in
from polars.testing import assert_frame_equal
from worlds import ROOT

from bench import frames, lists, measure, peers, plain, scaling, sql, ways
from src.data import paths
from src.data.splits import Split, write_splits
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.neighbours import NEIGHBOURS

BUSY = """
import time
held = bytearray(b"x") * 200_000_000
while time.process_time() < 0.5: pass
print("a line")
print("the last")
"""
MEASURE = """
import json, sys
from pathlib import Path
from bench import measure
done = measure.run([sys.executable, "-c", sys.argv[1]], Path(sys.argv[2]), show=False)
print(json.dumps({**done.record(), "last_line": done.last_line}))
"""
LIMITS = ways.Limits(range_events=300)


def measured(code: str, log: Path) -> dict[str, Any]:
    """A child of a small process: its peak does not start at that of pytest."""
    command = [sys.executable, "-c", MEASURE, code, str(log)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def test_a_measured_process(tmp_path: Path) -> None:
    done = measured(BUSY, tmp_path / "log")
    assert done["code"] == 0
    assert 200e6 / 2**30 < done["peak_gib"] < 0.3
    assert 0.5 <= done["cpu_seconds"] < 2 and done["seconds"] > 0.4
    assert done["last_line"] == "the last\n"
    assert (tmp_path / "log").read_text().endswith("a line\nthe last\n")


def test_written_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    done = measured(f"open({str(path)!r}, 'wb').write(bytes(8_000_000))", tmp_path / "log")
    assert done["written_bytes"] == 0 or 8e6 <= done["written_bytes"] < 9e6  # 0: no accounting


def test_a_failing_process_is_reported(tmp_path: Path) -> None:
    assert measured("raise SystemExit(3)", tmp_path / "log")["code"] == 3
    assert measured("import os; os.abort()", tmp_path / "log")["code"] == -6
    assert measure.state(3) == "FAILED (3)" and measure.state(0) == "ok"


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    done = measure.run([sys.executable, "-c", "while 1: pass"], tmp_path / "log", timeout=0.3)
    assert done.code == -9 and done.seconds < 5 and measure.state(-9).startswith("KILLED")


def step(size: float, events: int, seconds: float, **changes: Any) -> measure.Record:
    machine = {"cpu": "a", "cores": 2, "ram_gib": 4}
    record = {"kind": "step", "step": "2_matrices", "code": 0, "commit": "c", "machine": machine}
    return {**record, "size": size, "events": events, "seconds": seconds, "peak_gib": 1, **changes}


def test_a_running_process_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOK_S", 0.02)
    looks: list[measure.Measured] = []
    done = measure.run(
        [sys.executable, "-c", BUSY], tmp_path / "log", show=False, look=looks.append
    )
    cpu, last = [so_far.cpu_seconds for so_far in looks], looks[-1]
    assert cpu == sorted(cpu) and 0.4 < cpu[-1] <= done.cpu_seconds + 0.01  # ticks of 10 ms
    assert 200e6 / 2**30 < last.peak_gib < 0.3 and last.code == -9
    assert 0.2 < last.seconds <= done.seconds


def test_scaling() -> None:
    lines = [
        step(0.1, 1_000, 50.0),
        step(1, 10_000, 1_000.0),
        step(0.1, 1_000, 10.0),
        step(0.1, 1_000, 1.0, code=-9),
        step(0.1, 1_000, 1.0, kind="peer"),
        step(0.01, 100, 1.0, commit="other"),
    ]
    (runs,) = scaling.latest(lines)
    assert [(r["size"], r["seconds"]) for r in runs] == [(0.01, 1), (0.1, 10), (1, 1000)]
    assert [scaling.exponent(runs[i], runs[i + 1]) for i in (0, 1)] == pytest.approx([1, 2])
    assert [row[5] for row in scaling.rows(runs)] == ["", "1.00", "2.00"]
    assert len(scaling.latest(lines, "c")[0]) == 2


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.parquet"
    planted_events().write_parquet(path)
    return path


def row(name: str) -> CovisitationMatrix:
    return ways.recipe_rows()[name]


@pytest.mark.parametrize("name", peers.ROWS)
def test_other_ways_find_the_same(name: str, events: Path) -> None:
    found, ours, _ = ways.kernel(events, row(name), LIMITS)
    assert ours is not None and found == ours.height > 50
    merged = ways.merge(events, row(name), LIMITS)
    assert merged[1] is not None and merged[2]["ranges"] > 2
    assert_frame_equal(merged[1], ours, check_exact=True)
    needs_package("duckdb")
    joined = ways.duckdb(events, row(name), LIMITS)[1]
    assert joined is not None and joined.schema == NEIGHBOURS
    assert_frame_equal(joined, ours, check_exact=True)


def test_plain_products_find_the_same(events: Path) -> None:
    needs_package("scipy")
    found, _, facts = ways.scipy(events, row("recent"), LIMITS)
    assert found > ways.kernel(events, row("recent"), LIMITS)[0] and facts["ranges"] > 2
    needs_package("sparse_dot_topn")
    assert ways.sparse_dot_topn(events, row("recent"), LIMITS)[0] == found


def test_pandas_finds_the_same(events: Path) -> None:
    needs_package("pandas")
    found, _, facts = ways.pandas(events, row("day_carts"), LIMITS)
    assert found == ways.kernel(events, row("day_carts"), LIMITS)[0] < facts["pairs"]


def test_sql_says_what_it_cannot() -> None:
    odd = CovisitationMatrix("odd", last_events=5, session_norm=True)
    with pytest.raises(ValueError, match="no SQL"):
        sql.query(Path("x"), odd, ways.Span(0, 1))


def test_top_of_a_product() -> None:
    sparse = needs_package("scipy.sparse")
    product = sparse.csr_matrix(np.array([[9, 1, 2, 2], [0, 5, 7, 0]], np.float32))
    x, y = plain._top(product, 1, 2)  # items 1 and 2
    assert x.tolist() == [1, 1, 2] and y.tolist() == [0, 2, 1]


def test_samples_and_comparison(events: Path, tmp_path: Path) -> None:
    told = frames.sample(events, tmp_path, 4, 10)
    kept = pl.read_parquet(events).filter(pl.col("session") % 4 == 0)
    assert told["events"] == kept.height == frames.rows(tmp_path / "events.parquet")
    assert told["sessions"] == kept["session"].n_unique()
    assert 0 < frames.rows(tmp_path / "sample.parquet") < kept.height
    other = kept.select(item_x="session", item_y="item", weight=1.0).unique(["item_x", "item_y"])
    other.write_parquet(tmp_path / "a.parquet")
    other.with_columns(weight=pl.lit(1.25))[1:].write_parquet(tmp_path / "b.parquet")
    compared = frames.compare(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert compared == {"same": (other.height - 1) / other.height, "off": pytest.approx(0.2)}


def test_counts_of_a_run(tmp_path: Path) -> None:
    run = run_in(tmp_path, BARE, "1_preparation.py")
    for name, n in (("valid", 3), ("test", 2)):
        (tmp_path / name).mkdir()
        for path in (paths.sessions(run, name), paths.events(run, name), paths.items(run)):
            pl.DataFrame({"x": range(n)}).write_parquet(path)
    write_splits(run, [Split(name, name, "", 1, 1) for name in ("valid", "test")])
    counts = {"valid": 3, "test": 2}
    assert frames.counts(tmp_path) == {"events": counts, "sessions": counts, "items": 2}


def test_agreement_of_two_orders() -> None:
    here, there = [0.1, 0.2, 0.21, 0.4], [1.0, 3.0, 2.0, 9.0]
    assert lists.agreement(here, here) == 1.0 and lists.agreement(here, [-x for x in here]) == -1.0
    assert lists.agreement(here, there) == pytest.approx((5 - 1) / 6), "one pair of six is swapped"
    assert lists.agreement(here, there, apart=0.05) == 1.0, "which is no difference here"
