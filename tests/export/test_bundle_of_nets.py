"""A bundle with nets: its own files give the scores of the run, its graphs nearly so.

pytest tests/export/test_bundle_of_nets.py
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exported import (
    assert_same_scores,
    blended,
    of_run,
    planted_run,
    require_packages,
    scored_elsewhere,
)
from needs import needs_package
from planted import N_ITEMS, run_in
from pools_world import WHOLE

from src.core import store
from src.core.run import Run
from src.data import paths
from src.embeddings.base import save
from src.embeddings.text import TextEmbedding
from src.export.bundle import Bundle
from src.export.write import export_folder
from src.rankers.cascade import CascadeRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets import portable
from src.rankers.nets.cross_encoder import CrossEncoder
from src.rankers.nets.din import DIN
from src.rankers.nets.linear import Linear
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.nets.model import NetModel
from src.rankers.nets.two_tower import TwoTower
from src.texts.tfidf import TfidfEncoder

pytestmark = pytest.mark.slow

SHORT = NetRanker("din", DIN(dim=4, max_len=3), Softmax(), max_items=99, min_count=1, epochs=1)
ROWS = {
    "din": replace(SHORT, categories=("session_last_type",)),
    "attention": replace(SHORT, net=ListTransformer(width=8), max_items=0),
    "linear": replace(SHORT, net=Linear(), nets=2),
    "mlp": replace(SHORT, net=MLP((8,)), max_items=0),
    "towers": replace(SHORT, net=TwoTower(), nets=2),
    "cross": CascadeRanker(
        "cross",
        CrossEncoder(("texts",), max_len=3, width=8, heads=2),
        Softmax(),
        base="trees",
        first=7,
        epochs=1,
    ),
}
TEXTS = TextEmbedding("texts", ("title",), TfidfEncoder())
RECIPE = replace(
    WHOLE, objectives=(replace(WHOLE.objectives[0], weight=1.0),), folds=2, embeddings=(TEXTS,),
    rankers=(*WHOLE.rankers, *(replace(row, name=name) for name, row in ROWS.items())),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    require_packages()
    folder = tmp_path_factory.mktemp("planted")
    vectors = np.random.default_rng(1).normal(size=(N_ITEMS, 4)).astype(np.float32)
    file = paths.item_vectors(run_in(folder, RECIPE), "valid", "texts")
    store.build(file, {"rows": "drawn"}, partial(save, vectors))
    return planted_run(folder, RECIPE)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_scores_of_raw_rows_in_a_fresh_process_are_those_of_the_run(
    split: str, run: Run, tmp_path: Path
) -> None:
    columns = [f"{row.name}_clicks" for row in RECIPE.rankers]
    own = assert_same_scores(run, split, tmp_path / "raw", columns)
    trees = scored_elsewhere(run, tmp_path / "raw", "portable")["trees_clicks"]
    assert (trees == of_run(run, split)["trees_clicks"]).all()
    assert own["clicks"].to_list() == blended(run, split)["clicks"].tolist()


def net(run: Run, name: str) -> tuple[NetModel, portable.OnnxModel]:
    """A model of fold 1, in both forms."""
    path = export_folder(run) / "models" / name / "clicks" / "fold_1.pt"
    row = next(row for row in RECIPE.rankers if row.name == name)
    host = SimpleNamespace(recipe=RECIPE, engine=run.engine)
    own, onnx = row.load(path, host), row.load_portable(path, host)
    return (own.net, onnx.net) if isinstance(row, CascadeRanker) else (own, onnx)


def batch_of(model: NetModel, sizes: list[int], seed: int = 1) -> dict[str, np.ndarray]:
    """Rows of lists of these sizes with random inputs, as QueryRows.batch gives them."""
    rng, n, max_len = np.random.default_rng(seed), sum(sizes), model.ranker.net.max_len
    inputs, offsets = model.scaler.sizes(3), np.append(0, np.cumsum(sizes))
    query = np.repeat(np.arange(len(sizes)), sizes)
    numbers = rng.normal(size=(n, inputs.numbers)).astype(np.float32)
    constant = list(inputs.query_numbers)
    numbers[:, constant] = rng.normal(size=(len(sizes), len(constant)))[query]
    return {
        "offsets": offsets, "query": query, "position": np.arange(n) - offsets[query],
        "numbers": numbers, "item": rng.integers(inputs.items, size=n).astype(np.int32),
        "codes": np.zeros((n, len(inputs.categories)), np.int32),
        "history": rng.integers(inputs.items, size=(len(sizes), max_len)).astype(np.int32),
        "mask": rng.random((len(sizes), max_len)) < 0.7,
        "event_type": rng.integers(3, size=(len(sizes), max_len)),
        "recency": rng.integers(20, size=(len(sizes), max_len)),
    }  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("sizes", [[1], [7], [1, 1, 1], [3, 9, 1, 30], [5] * 64], ids=str)
def test_graphs_take_any_number_of_lists_of_any_length(
    name: str, sizes: list[int], run: Run
) -> None:
    own, onnx = net(run, name)
    batch = batch_of(own, sizes)
    with torch.no_grad():
        tensors = own.tensors(batch)
        wanted = np.mean([n.eval()(tensors).numpy() for n in own.nets], axis=0)
    padded = portable.pad(batch, onnx.inputs)
    assert padded["numbers"].shape[:2] == (len(sizes), max(sizes))
    path = export_folder(run) / "models" / name / "clicks" / "fold_1.pt2"
    exported = torch.export.load(path).module()
    more = dict(padded)  # a pad more, not of zeros
    for key in {"numbers", "codes", "item"} & padded.keys():
        more[key] = np.concatenate([padded[key], np.ones_like(padded[key][:, :1])], axis=1)
    more["present"] = np.pad(padded["present"], ((0, 0), (0, 1)))
    for table in (
        onnx.session.run(None, padded)[0],
        onnx.session.run(None, more)[0],
        exported({key: torch.from_numpy(x) for key, x in padded.items()}).detach().numpy(),
    ):
        score = table[batch["query"], batch["position"]]
        np.testing.assert_allclose(score, wanted, rtol=0, atol=1e-5)


def test_graphs_have_named_inputs_and_dynamic_axes(run: Run) -> None:
    onnx = needs_package("onnx", "requirements-export.txt")
    folder = export_folder(run) / "models"
    inputs = {
        "din": {"numbers", "present", "codes", "item", "history", "mask", "event_type", "recency"},
        "attention": {"numbers", "present"}, "linear": {"numbers", "present", "item"},
    }  # fmt: skip
    for name, wanted in inputs.items():
        graph = onnx.load(folder / name / "clicks" / "fold_0.onnx").graph
        assert {entry.name for entry in graph.input} == wanted
        assert [entry.name for entry in graph.output] == ["score"]
        for entry in graph.input:
            axes = [axis.dim_param for axis in entry.type.tensor_type.shape.dim]
            of_rows = entry.name in ("numbers", "present", "codes", "item")
            assert all(axes[: 2 if of_rows else 1])
        data = json.loads((folder / name / "clicks" / "fold_0.inputs.json").read_text())
        assert set(data["inputs"]) == wanted
        assert len(data["scaler"]["mean"]) == len(data["scaler"]["names"])


def test_a_graph_of_another_model_is_refused(run: Run) -> None:
    path = export_folder(run) / "models" / "mlp" / "clicks" / "fold_0.onnx"
    content = path.read_bytes()
    try:
        path.write_bytes(path.with_name("fold_1.onnx").read_bytes())
        with pytest.raises(ValueError, match=r"fold_0.onnx has other bytes than manifest.json"):
            Bundle.load(export_folder(run))
    finally:
        path.write_bytes(content)


def test_without_the_packages_of_the_export_the_error_names_them(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, _ = net(run, "mlp")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-export.txt"):
        portable.write(own, tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"needs ONNX Runtime; pip install"):
        Bundle.load(export_folder(run), portable=True)
    Bundle.load(export_folder(run))
