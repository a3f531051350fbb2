"""Text files of a log that tasks of Spark read: rows, files and messages are those of the CPU.

pytest tests/spark/datasets
"""

from __future__ import annotations

from pathlib import Path

import pytest
from interactions import T0, csv, some_rows, write
from planted import run_in

from src.core import text_blocks
from src.core.engines import CpuEngine, Engine, SparkEngine
from src.datasets.interactions import rows, text_files
from src.datasets.interactions.rows import RowReader
from src.datasets.interactions.sources import find_sources

ROWS = some_rows()
GOOD = csv(ROWS)
LATE = csv([(u, i, 1000 * ts if n > 99 else "") for n, (u, i, ts) in enumerate(ROWS)])
FORMS = {
    "CRLF, a mark of the byte order": "\ufeff" + GOOD.replace("\n", "\r\n"),
    "quotes, no end of the last line": csv([(f'"{u}"', f'"{i}"', ts) for u, i, ts in ROWS])[:-1],
    "times in ms, from the third block on": LATE,
    "no times": csv([(u, i) for u, i, _ in ROWS], "user,item"),
    "blank blocks": GOOD + 1500 * "\n",
}


def faulty(*lines: tuple[int, str]) -> str:
    """The good log with other lines; the header is line 1."""
    text = GOOD.splitlines()
    for number, line in lines:
        text[number - 1] = line
    return "\n".join(text) + "\n"


FAULTS = {
    "two times that are none": (faulty((90, "u1,i1,late"), (20, "u1,i1,soon")), "line 20: 'soon'"),
    "not UTF-8": (GOOD.encode().replace(b"u28,i", b"\xff8,i", 1), "not UTF-8"),
    "a line break in quotes": (faulty((120, '"u\n1",i1,' + str(T0))), "has a line break"),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, spark: SparkEngine) -> None:
    from src.spark.datasets.interactions import text_files as on_spark

    monkeypatch.setattr(text_blocks, "READ", 64)
    monkeypatch.setattr(rows, "BLOCK", 900)
    monkeypatch.setattr(on_spark, "BLOCK", 900)


def written(folder: Path, engine: Engine) -> tuple[str, dict[str, bytes]]:
    """The unit or the fault of a log, and its files of texts."""
    run, out = run_in(folder, engine=engine), folder / engine.name
    out.mkdir()
    ((table, columns),) = find_sources(folder / "in", "").logs
    reader, own = RowReader(table, columns), engine.twin(text_files.__name__) or text_files
    try:
        total = own.write_texts(run, reader, out / "text-000")
        said = f"{total} rows, {reader.unit}"
    except ValueError as error:
        said = str(error)
    return said, {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize("form", FORMS)
def test_rows_and_files(tmp_path: Path, spark: SparkEngine, form: str) -> None:
    write(tmp_path, FORMS[form])
    (said, files), of_cpu = (written(tmp_path, engine) for engine in (spark, CpuEngine(1)))
    blank = {name for name in files if name not in of_cpu[1]}
    assert said == of_cpu[0]
    assert {name: file for name, file in files.items() if name not in blank} == of_cpu[1]
    assert len(files) - len(blank) > 1 and bool(blank) == (form == "blank blocks")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_the_message_of_the_cpu(tmp_path: Path, spark: SparkEngine, fault: str) -> None:
    text, part = FAULTS[fault]
    write(tmp_path, text)
    (said, files), of_cpu = (written(tmp_path, engine) for engine in (spark, CpuEngine(1)))
    assert said == of_cpu[0] and part in said
    assert not [name for name in files if not name.endswith(".parquet")], "nothing half-written"
