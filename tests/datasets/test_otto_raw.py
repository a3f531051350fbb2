"""Step 1 of OTTO: raw files in other forms, and steps that are run again.

pytest tests/datasets/test_otto_raw.py
"""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
import worlds
import zstandard
from otto_log import GOOD, a_world, bytes_of
from worlds import T0, TYPES

from src.core import text_blocks
from src.datasets.otto import jsonl
from src.datasets.split_tables import SplitTables


@pytest.mark.parametrize("suffix", [".gz", ".zst", "two frames.zst"])
def test_compressed_files_give_the_same_bytes(tmp_path, monkeypatch, suffix):
    for name in ("plain", "packed"):
        path = worlds.write(tmp_path / name / "in", "train", a_world(1))
    data = path.read_bytes()
    half = data.index(b"\n", len(data) // 2) - 7
    zstd = zstandard.ZstdCompressor().compress
    packed = {".gz": gzip.compress, ".zst": zstd}.get(
        suffix, lambda d: zstd(d[:half]) + zstd(d[half:])
    )
    path.with_name("train.jsonl" + suffix[-4:].strip()).write_bytes(packed(data))
    path.unlink()
    assert worlds.prepare(monkeypatch, tmp_path / "plain") == 0
    assert worlds.prepare(monkeypatch, tmp_path / "packed") == 0
    assert bytes_of(tmp_path / "plain" / "out") == bytes_of(tmp_path / "packed" / "out")


def test_blocks_do_not_show_in_the_result(tmp_path, monkeypatch):
    for name in ("one", "many"):
        worlds.write(tmp_path / name / "in", "train", a_world(1))
    assert worlds.prepare(monkeypatch, tmp_path / "one") == 0
    small = text_blocks.blocks
    monkeypatch.setattr(text_blocks, "_read", lambda path: _by(path.read_bytes(), 700))
    monkeypatch.setattr("src.datasets.otto.raw.blocks", lambda path: small(path, 1500))
    assert worlds.prepare(monkeypatch, tmp_path / "many") == 0
    one, many = (tmp_path / name / "out" for name in ("one", "many"))
    assert len([*(many / "raw").glob("train-*.parquet")]) > 3
    tables = [path.relative_to(one) for path in one.glob("**/*.parquet") if "raw" not in path.parts]
    assert len(tables) > 3
    for table in tables:  # the row groups of events are those of the blocks
        assert pl.read_parquet(one / table).equals(pl.read_parquet(many / table)), table


def _by(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_second_run_does_nothing_and_another_seed_does(tmp_path, monkeypatch):
    worlds.write(tmp_path / "in", "train", a_world(1))
    worlds.write(tmp_path / "in", "test", [(s + 1000, e) for s, e in a_world(2)])
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    stamps = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")}
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    assert stamps == {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")}
    before = bytes_of(tmp_path / "out")
    assert worlds.prepare(monkeypatch, tmp_path, seed=43) == 0
    changed = {name for name, data in bytes_of(tmp_path / "out").items() if data != before[name]}
    assert {"valid/events.parquet", "valid/labels.parquet"} <= changed
    assert not any(name.startswith("raw/t") for name in changed)


def test_a_killed_run_goes_on_and_a_lost_part_comes_back(tmp_path, monkeypatch):
    worlds.write(tmp_path / "in", "train", a_world(1))
    monkeypatch.setattr(SplitTables, "write_events", lambda self, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worlds.prepare(monkeypatch, tmp_path)
    monkeypatch.undo()
    part = tmp_path / "out" / "raw" / "train-0000.parquet"
    stamp = part.stat().st_mtime_ns
    assert worlds.prepare(monkeypatch, tmp_path) == 0 and part.stat().st_mtime_ns == stamp
    wanted = bytes_of(tmp_path / "out")
    part.unlink()
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    assert bytes_of(tmp_path / "out") == wanted


ODD = {
    "as it is": GOOD,
    "blanks": GOOD.replace(":", " :\t").replace(",", " , ").replace("}", " } ") + "\r",
    "other order": f'{{"events":[{{"type":"clicks","ts":{T0},"aid":5}}],"session":1}}',
    "extra keys": GOOD.replace('"aid"', '"x":{"aid":[7]},"aid"').replace("}]", '}],"y":null'),
    "escapes": GOOD.replace("clicks", "cl\\u0069cks"),
}


@pytest.mark.parametrize("shape", ODD)
def test_other_writings_of_a_line_mean_the_same(shape):
    block = f"{GOOD}\n\n{ODD[shape]}".encode()
    table = jsonl.parse(block, 1, Path("train.jsonl"), TYPES)
    assert table.schema == jsonl.RAW
    assert table.rows() == [(1, 1, 0, 5, T0, 0), (3, 1, 0, 5, T0, 0)]


def test_the_largest_ids_are_read():
    text = GOOD.replace(":1,", f":{2**63 - 1},").replace('"aid":5', f'"aid":{2**63 - 1}')
    table = jsonl.parse(text.encode(), 1, Path("x"), TYPES)
    assert table.select("session", "aid").row(0) == (2**63 - 1, 2**63 - 1)
