"""`make data`: with the client, without it, and with files that are not the competition's.

pytest tests/tools/test_download.py
"""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import news
import pytest
import worlds
from worlds import NEWS, OTTO, T0, TYPES

from src.cli import run_cli
from src.datasets import DATASETS
from src.datasets.base import Dataset, RawFile
from src.tools import download

TRAIN = [(1, [(5, T0, TYPES[0]), (6, T0 + 9, TYPES[0])]), (2, [(7, T0 + 7, TYPES[1])])]
TEST = [(3, [(8, T0 + 99, TYPES[0])])]


@pytest.fixture
def shop(monkeypatch) -> Dataset:
    """A competition of three sessions."""
    files = (RawFile("train.jsonl*", 2, T0, T0 + 9), RawFile("test.jsonl*", 1, T0 + 10, T0 + 100))
    dataset = replace(OTTO, source=replace(OTTO.source, files=files))
    monkeypatch.setitem(DATASETS, dataset.name, dataset)
    return dataset


def run(dataset: Dataset, folder: Path, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    args = download.parse(["--dataset", dataset.name, "--input", str(folder)])
    code = run_cli("data", lambda: download.body(args))
    said = capsys.readouterr()
    return code, said.out + said.err


def a_client(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    (folder / "bin").mkdir()
    client = folder / "bin" / "kaggle"
    client.write_text(f"#!/bin/sh\n{does}\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def test_without_a_client_it_is_told_how(shop, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = run(shop, tmp_path / "in", capsys)
    assert code == 2 and said.count("\n") == 1
    for part in (shop.source.page, "pip install kaggle", str(tmp_path / "in"), "CC-BY"):
        assert part in said
    code, said = run(NEWS, tmp_path / "in", capsys)
    assert code == 2 and "no client fetches them" in said and "tianchi.aliyun.com" in said
    code, said = run(DATASETS["demo"], tmp_path / "in", capsys)
    assert code == 0 and "makes its own files" in said
    code, said = run(DATASETS["interactions"], tmp_path / "in", capsys)
    assert code == 0 and f"no download; put your files into {tmp_path / 'in'}" in said


def test_the_client_downloads_and_the_files_are_verified(
    shop, tmp_path, capsys, monkeypatch
) -> None:
    for stem, sessions in (("train", TRAIN), ("test", TEST)):
        worlds.write(tmp_path / "packed", stem, sessions)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "packed" / "train.jsonl", "../../train.jsonl")  # stays inside
        archive.write(tmp_path / "packed" / "test.jsonl", "test.jsonl")
        archive.writestr("../evil.sh", "rm -rf /")
    name = f"{shop.source.kaggle}.zip"
    a_client(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/said; cp {tmp_path}/x.zip "$6/{name}"')
    folder = tmp_path / "deep" / "er" / "in"
    code, said = run(shop, folder, capsys)
    assert code == 0 and "train.jsonl: 2 rows, 2022-07-31 22:00" in said, said
    assert sorted(f.name for f in folder.iterdir()) == ["test.jsonl", "train.jsonl"]
    assert not list(tmp_path.rglob("evil.sh")) and not (folder.parent / "train.jsonl").exists()
    assert (tmp_path / "said").read_text().split()[:4] == [
        "competitions", "download", "-c", shop.source.kaggle,
    ]  # fmt: skip
    (tmp_path / "said").unlink()
    assert run(shop, folder, capsys)[0] == 0
    (folder / "train.jsonl").unlink()  # stopped while it was unpacked
    shutil.copyfile(tmp_path / "x.zip", folder / name)
    assert run(shop, folder, capsys)[0] == 0 and not (folder / name).exists()
    assert not (tmp_path / "said").exists(), "what is there is not fetched again"
    (folder / "train.jsonl").unlink()
    (folder / name).write_text("no archive")
    code, said = run(shop, folder, capsys)
    assert code == 2 and "File is not a zip file; delete it and run this again" in said


def test_a_client_that_fails_is_one_line_more(shop, tmp_path, capsys, monkeypatch) -> None:
    a_client(tmp_path, monkeypatch, "exit 1")
    code, said = run(shop, tmp_path / "in", capsys)
    assert code == 2 and "the client failed (see above)" in said and said.count("\n") == 1


def test_other_files_are_told(shop, tmp_path, capsys) -> None:
    worlds.write(tmp_path, "train", TRAIN[:1])
    worlds.write(tmp_path, "test", [(3, [(8, T0, TYPES[0])])])
    code, said = run(shop, tmp_path, capsys)
    assert code == 2
    assert "train.jsonl: 1 rows, the competition's has 2; delete it and run this again" in said
    assert "test.jsonl: times from 2022-07-31 22:00 to" in said


def test_news_files_are_verified(tmp_path, capsys) -> None:
    news.write(tmp_path)
    code, said = run(NEWS, tmp_path / "in", capsys)
    assert code == 2
    assert "rows, the competition's has 1,112,623; delete it and run this again" in said
    assert "times from" not in said
