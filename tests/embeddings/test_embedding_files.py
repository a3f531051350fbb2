"""Files of embeddings: what a row leaves, what it removes, where a killed training goes on.

pytest tests/embeddings/test_embedding_files.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planted import BARE, planted_events, write_split

from src.core import store
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.data.vectors import item_vectors, source_vectors
from src.embeddings import epochs as epochs_module
from src.embeddings.base import Embedding
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.generator import GeneratorEmbedding
from src.embeddings.generator_trainer import split_events
from src.embeddings.pretrained import PretrainedEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding

DIRECTED = FactorizationEmbedding("x", dim=16, epochs=2)
WITH_QUERIES = TwoTowerEmbedding("x", dim=16, batch_negatives=64, epochs=1)
GENERATOR = GeneratorEmbedding("x", sizes=(8, 4), dim=16, epochs=1)
PRETRAINED = PretrainedEmbedding("x", "none.csv", "id")
KINDS = [DIRECTED, WITH_QUERIES, GENERATOR, Word2VecEmbedding("x", dim=16, epochs=2), PRETRAINED]


def run_with(folder: Path, row: Embedding) -> Run:
    """A run with one embedding, on planted sessions."""
    recipe = replace(BARE, embeddings=(row,))
    return write_split(folder, planted_events(60), 10, recipe=recipe).run


@pytest.mark.parametrize("before", KINDS, ids=lambda row: type(row).__name__)
@pytest.mark.parametrize("row", KINDS, ids=lambda row: type(row).__name__)
def test_a_row_leaves_its_own_files_only(tmp_path: Path, before: Embedding, row: Embedding) -> None:
    """Also where a row of another kind had the name before."""
    before.build(run_with(tmp_path, before), "valid")
    run = run_with(tmp_path, row)
    row.build(run, "valid")
    left = [*(tmp_path / "valid" / "embeddings").iterdir(), *(tmp_path / "logs").rglob("x.csv*")]
    files = row.files(run, "valid")
    assert set(left) == {*files, *(store.manifest_path(file) for file in files)}
    assert all(store.fingerprint(file) for file in files)
    vectors = item_vectors(SplitData(run, "valid"), "x")
    length = np.linalg.norm(vectors, axis=1)
    assert ((length == 0) | (abs(length - 1) < 1e-5)).all()


@pytest.mark.parametrize("row", KINDS, ids=lambda row: type(row).__name__)
def test_sources_are_those_of_a_directed_row(tmp_path: Path, row: Embedding) -> None:
    DIRECTED.build(run_with(tmp_path, DIRECTED), "valid")
    run = run_with(tmp_path, row)
    row.build(run, "valid")
    data = SplitData(run, "valid")
    sources, vectors = source_vectors(data, "x"), item_vectors(data, "x")
    if row is DIRECTED:
        assert (sources.any(axis=1) == vectors.any(axis=1)).all()
        assert not np.allclose(sources, vectors)
    else:
        assert sources.tobytes() == vectors.tobytes()


@pytest.mark.parametrize(
    "row", [DIRECTED, replace(WITH_QUERIES, epochs=2), replace(GENERATOR, epochs=2)]
)
def test_a_killed_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Embedding
) -> None:
    """Killed after the first epoch: the second one is trained alone, to the same bytes."""
    whole = run_with(tmp_path / "whole", row)
    row.build(whole, "valid")
    run, epochs = run_with(tmp_path / "killed", row), []

    def progress(self: Run, batches: list, name: str, *_: object) -> list:
        if "epoch" in name:
            epochs.append(name)
            if len(epochs) == 2:
                raise KeyboardInterrupt
        return batches

    monkeypatch.setattr(Run, "progress", progress)
    with pytest.raises(KeyboardInterrupt):
        row.build(run, "valid")
    checkpoint = paths.checkpoint(run, "valid", "x")
    assert store.fingerprint(checkpoint)
    row.build(run, "valid")
    assert epochs == ["valid x, epoch 0", "valid x, epoch 1", "valid x, epoch 1"]
    assert not list(checkpoint.parent.glob(".checkpoint*"))
    for ours, theirs in zip(row.files(run, "valid"), row.files(whole, "valid"), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_checkpoint_of_another_row_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Run, batches: list, name: str, *_: object) -> list:
        if "epoch 1" in name:
            raise KeyboardInterrupt
        return batches

    other = replace(DIRECTED, learning_rate=0.3)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "progress", killed)
        with pytest.raises(KeyboardInterrupt):
            other.build(run_with(tmp_path / "one", other), "valid")
    run, fresh = run_with(tmp_path / "one", DIRECTED), run_with(tmp_path / "two", DIRECTED)
    DIRECTED.build(run, "valid")
    DIRECTED.build(fresh, "valid")
    file = paths.item_vectors(run, "valid", "x")
    assert file.read_bytes() == paths.item_vectors(fresh, "valid", "x").read_bytes()


def test_a_checkpoint_from_other_vectors_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids come from vectors: of others, the codes mean something else."""
    one, two = (Word2VecEmbedding("w", dim=8, epochs=epochs) for epochs in (1, 3))
    row = replace(GENERATOR, vectors=("w",), epochs=2)

    def built(folder: Path, source: Embedding) -> bytes:
        recipe = replace(BARE, embeddings=(source, row))
        run = write_split(folder, planted_events(60), 10, recipe=recipe).run
        for each in recipe.embeddings:
            each.build(run, "valid")
        return paths.generator(run, "valid", "x").read_bytes()

    def killed(self: Run, batches: list, name: str, *_: object) -> list:
        if "x, epoch 1" in name:
            raise KeyboardInterrupt
        return batches

    with monkeypatch.context() as patch:
        patch.setattr(Run, "progress", killed)
        with pytest.raises(KeyboardInterrupt):
            built(tmp_path / "one", one)
    assert built(tmp_path / "one", two) == built(tmp_path / "two", two)


def test_a_copy_leaves_no_file_of_another_kind(tmp_path: Path) -> None:
    """As deployed, a split has copies of what its history made."""

    def run_of(row: Embedding) -> Run:
        recipe = replace(BARE, embeddings=(row,), as_deployed=True)
        since = int(planted_events(60)["ts"].median())  # type: ignore[arg-type]
        return write_split(tmp_path, planted_events(60), 10, recipe=recipe, since=since).run

    DIRECTED.build(run_of(DIRECTED), "valid")
    run = run_of(PRETRAINED)
    assert paths.source_vectors(run, "valid", "x").exists()
    PRETRAINED.build(run, "valid")
    assert not paths.source_vectors(run, "valid", "x").exists()


def test_a_deleted_log_is_made_again(tmp_path: Path) -> None:
    """A model goes with its log."""
    run = run_with(tmp_path, DIRECTED)
    DIRECTED.build(run, "valid")
    log = paths.embedding_log(run, "valid", "x")
    text = log.read_text()
    log.unlink()
    assert DIRECTED.build(run, "valid")["built"] == 1
    assert log.read_text() == text and text.startswith("epoch,loss,recall_20\n0,")


@pytest.mark.parametrize("row", KINDS, ids=lambda row: type(row).__name__)
@pytest.mark.parametrize("name", ["top_n", "max_items", "dim", "epochs"])
def test_counts_are_at_least_one(row: Embedding, name: str) -> None:
    if hasattr(row, name):
        with pytest.raises(ValueError, match=f"embedding x: {name} is at least 1"):
            replace(row, **{name: 0})


def test_the_time_of_a_training_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, after the first batches; a batch takes a minute here."""
    clock = SimpleNamespace(perf_counter=iter(range(0, 600, 60)).__next__)
    monkeypatch.setattr(epochs_module, "time", clock)
    monkeypatch.setattr(epochs_module, "TIMED", 1)
    row, run = replace(GENERATOR, epochs=3, batch_size=8), run_with(tmp_path, GENERATOR)
    row.build(run, "valid")
    lines = [line for line in capsys.readouterr().out.splitlines() if "min at most" in line]
    windows, _ = split_events(Sessions.load(run, "valid"), row.max_len, run.recipe.seed)
    batches = -(-windows.length.size // 8)
    assert lines == [f"{'valid x':<34} trains {batches * 3:.1f} min at most"]
