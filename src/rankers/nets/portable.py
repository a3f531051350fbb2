"""Nets as graphs that run without this repository: torch.export and ONNX.

A graph scores padded lists. Its inputs are those of QueryRows.batch, padded as `pad` does: they are
made from raw features by the scaler in <model>.inputs.json.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from src.core.arrays import F32
from src.core.engines.base import Engine
from src.data.shards import batches
from src.rankers.base import RankerModel
from src.rankers.nets.inputs import rows_to_score
from src.rankers.nets.model import SCORED_QUERIES, NetModel
from src.rankers.nets.modules.layers import OF_ROWS
from src.rankers.nets.scaling import InputScaler

if TYPE_CHECKING:
    from src.rankers.batches import CandidateBatch
    from src.rankers.net import NetRanker

GRAPH, ONNX, INPUTS = ".pt2", ".onnx", ".inputs.json"
"""Suffixes of the files beside a model."""
OF_LISTS = ("history", "mask", "event_type", "recency")
DTYPES = {"mean": np.float32, "std": np.float32, "missing": np.int64, "items": np.int64,
          "of_query": np.bool_}  # fmt: skip
"""Arrays of a scaler."""
LISTS, PLACES = 3, 5  # of the example from which a graph is made; the axes are dynamic


class PaddedNets(nn.Module):
    """All nets of a model: padded lists to mean scores, as NetModule.padded returns them."""

    def __init__(self, model: NetModel) -> None:
        super().__init__()
        self.nets = nn.ModuleList(model.nets)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score padded lists; inputs without a column may be left out."""
        lists, places = batch["present"].shape
        empty = {name: torch.zeros((lists, 0), dtype=torch.int64) for name in OF_LISTS}
        empty["codes"] = torch.zeros((lists, places, 0), dtype=torch.int64)
        empty["item"] = torch.zeros((lists, places), dtype=torch.int64)
        scores = [net.padded({**empty, **batch}) for net in self.nets]  # type: ignore[operator]
        return torch.stack(scores).mean(0)


def pad(batch: Mapping[str, NDArray], inputs: Sequence[str]) -> dict[str, NDArray]:
    """Pad a batch of QueryRows.batch: the named inputs of a graph.

    numbers float32 and codes int64 (lists, places, columns); item int64 (lists, places); present
    bool (lists, places), which marks the rows. history, event_type and recency int64, and mask bool
    (lists, events).
    """
    query, position = batch["query"], batch["position"]
    shape = batch["offsets"].size - 1, int(np.diff(batch["offsets"]).max(initial=0))
    padded: dict[str, NDArray] = {"present": np.zeros(shape, np.bool_)}
    padded["present"][query, position] = True
    for name in OF_ROWS:
        dtype = np.float32 if name == "numbers" else np.int64
        padded[name] = np.zeros(shape + batch[name].shape[1:], dtype)
        padded[name][query, position] = batch[name]
    padded |= {name: batch[name].astype(np.int64) for name in OF_LISTS if name != "mask"}
    padded["mask"] = batch["mask"]
    return {name: padded[name] for name in inputs}


def inputs_of(model: NetModel) -> list[str]:
    """List the inputs of a model's graph: those that have a column."""
    scaler, max_len = model.scaler, model.ranker.net.max_len
    names = ["numbers", "present"]
    names += ["codes"] if scaler.categories else []
    names += ["item"] if scaler.items.size else []
    return [*names, *(OF_LISTS if max_len else ())]


def write(model: NetModel, path: Path) -> None:
    """Write the graphs of a model, and the scaler of its inputs, beside the path of the model.

    Raises ValueError where the packages of requirements-export.txt are missing.
    """
    try:
        import onnxscript  # noqa: F401 - torch.onnx imports it
    except ImportError:
        raise ValueError(
            f"ranker {model.ranker.name}: a net is exported to ONNX, whose packages are missing; "
            "run make export, or pip install -r requirements-export.txt"
        ) from None
    names = inputs_of(model)
    example = _example(model, names)
    lists, places = torch.export.Dim("lists"), torch.export.Dim("places")
    of_rows = {"present", *OF_ROWS}
    axes = {n: {0: lists, 1: places} if n in of_rows else {0: lists} for n in names}
    nets = PaddedNets(model).eval()
    with _quiet(), torch.no_grad():
        graph = torch.export.export(nets, (example,), dynamic_shapes=(axes,))
        torch.export.save(graph, path.with_suffix(GRAPH))
        program = torch.onnx.export(
            graph, input_names=names, output_names=["score"], dynamo=True, verbose=False
        )
    assert program is not None
    program.save(path.with_suffix(ONNX))
    scaler = {name: _lists(value) for name, value in vars(model.scaler).items()}
    data = {"inputs": names, "max_len": model.ranker.net.max_len, "scaler": scaler,
            "objectives": model.objectives}  # fmt: skip
    path.with_suffix(INPUTS).write_text(json.dumps(data))


def _example(model: NetModel, names: Sequence[str]) -> dict[str, Tensor]:
    """Make padded lists of zeros."""
    columns = {"numbers": model.scaler.sizes(1).numbers, "codes": len(model.scaler.categories)}
    shapes = {name: (LISTS, PLACES, columns[name]) for name in columns}
    shapes |= {"present": (LISTS, PLACES), "item": (LISTS, PLACES)}  # type: ignore[dict-item]
    dtypes = {"numbers": torch.float32, "present": torch.bool, "mask": torch.bool}
    events = (LISTS, model.ranker.net.max_len)
    return {n: torch.zeros(shapes.get(n, events), dtype=dtypes.get(n, torch.int64)) for n in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch's exporter says of itself; make attention of operations that ONNX has."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        torch.backends.mha.set_fastpath_enabled(fast)


def _lists(value: Any) -> Any:
    """Convert arrays to lists, in lists too."""
    if isinstance(value, list):
        return [_lists(inner) for inner in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def scaler_of(data: Mapping[str, Any]) -> InputScaler:
    """Read a scaler of an .inputs.json file."""
    arrays: dict[str, NDArray] = {n: np.array(data[n], dtype) for n, dtype in DTYPES.items()}
    values = [np.array(known, np.int64) for known in data["values"]]
    return InputScaler(**{**data, **arrays, "values": values})


@dataclass(frozen=True)
class OnnxModel(RankerModel):
    """The ONNX graph of a model with the scaler of its inputs; ONNX Runtime scores."""

    scaler: InputScaler
    inputs: list[str]
    max_len: int
    session: Any
    objectives: tuple[str, ...] = ()

    @classmethod
    def load(cls, ranker: NetRanker, path: Path, engine: Engine) -> Self:
        """Read the files beside the path of a model; ValueError without ONNX Runtime."""
        try:
            import onnxruntime
        except ImportError:
            raise ValueError(
                f"ranker {ranker.name}: its .onnx file needs ONNX Runtime; "
                "pip install -r requirements-export.txt"
            ) from None
        data = json.loads(path.with_suffix(INPUTS).read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = engine.threads
        session = onnxruntime.InferenceSession(
            path.with_suffix(ONNX), options, providers=["CPUExecutionProvider"]
        )
        objectives = tuple(data["objectives"])
        return cls(scaler_of(data["scaler"]), data["inputs"], data["max_len"], session, objectives)

    @property
    def names(self) -> list[str]:
        return self.scaler.columns

    def scores(self, batch: CandidateBatch) -> F32:
        rows = rows_to_score(batch, self.scaler, self.max_len)
        queries = np.flatnonzero(np.diff(rows.offsets))
        no_row = (0, len(self.objectives)) if self.objectives else 0
        scores = [np.empty(no_row, np.float32)]
        for a, b in batches(0, queries.size, SCORED_QUERIES):
            of_rows = rows.batch(queries[a:b])
            (table,) = self.session.run(None, pad(of_rows, self.inputs))
            scores.append(table[of_rows["query"], of_rows["position"]])
        return np.concatenate(scores)
