"""How much a gate trusts content, by coldness and scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from src.core.arrays import F32, I64
from src.data.coldness import FEW, LEVELS
from src.data.shards import batches
from src.rankers.nets.content_gate import ContentGate
from src.rankers.nets.modules.content_gate import ContentGateModule
from src.rankers.nets.scaling import MAX_DEVIATION

if TYPE_CHECKING:
    from src.rankers.nets.inputs import QueryRows
    from src.rankers.nets.model import NetModel

AT_A_TIME = 100  # queries


def mean_alphas(model: NetModel, rows: QueryRows, queries: I64) -> pl.DataFrame:
    """Average alpha over the rows of queries of each scene and level of each history.

    Columns: scene, null for rows that share a head, and for all without scenes; level of each
    history, by the name of its count; rows; alpha, or alpha_<objective> of a multi-task net.
    """
    net = model.ranker.net
    assert isinstance(net, ContentGate)
    ends = zip(rows.offsets[queries], rows.offsets[queries + 1], strict=True)
    row = np.concatenate([np.arange(a, b) for a, b in ends])
    counts = [history.count for history in net.histories]
    keys = {
        "scene": scenes(model, rows.codes[row]),
        **{name: levels(model, rows.numbers[row], name) for name in counts},
    }
    of_objectives = [f"alpha_{name}" for name in model.objectives] or ["alpha"]
    alpha = dict(zip(of_objectives, alphas(model, rows, queries).T, strict=True))
    table = pl.DataFrame(keys).with_columns(**{n: pl.Series(a) for n, a in alpha.items()})
    means = table.group_by(*keys).agg(pl.len().alias("rows"), pl.col(*of_objectives).mean())
    return means.sort(*keys)


def alphas(model: NetModel, rows: QueryRows, queries: I64) -> F32:
    """Compute the mean alpha of the nets for all rows of queries: (rows, objectives)."""
    parts = []
    for first, end in batches(0, queries.size, AT_A_TIME):
        batch = model.tensors(rows.batch(queries[first:end]))
        with torch.no_grad():
            of_nets = [
                net.eval().parts(batch).alpha.cpu().numpy()
                for net in model.nets
                if isinstance(net, ContentGateModule)
            ]
        parts.append(np.mean(of_nets, axis=0))
    return np.concatenate(parts)


def scenes(model: NetModel, codes: NDArray) -> pl.Series:
    """Return the scene of each row as a value of its category, null where it has code 0."""
    scaler, scene = model.scaler, model.ranker.net.scene
    if not scene:
        return pl.repeat(None, len(codes), dtype=pl.Int64, eager=True)
    column = scaler.categories.index(scene)
    code = codes[:, column]
    value = np.append(0, scaler.values[column])[code]
    return pl.select(pl.when(pl.Series(code > 0)).then(pl.Series(value))).to_series()


def levels(model: NetModel, numbers: NDArray[np.float16], count: str) -> pl.Series:
    """Return the level of each row's count: one of LEVELS, null where the scaler has cut it off.

    All that is known of such a count is that it is beyond the cut.
    """
    scaler = model.scaler
    column = scaler.names.index(count)
    scaled = numbers[:, column].astype(float)
    value = np.nan_to_num(np.expm1(scaled * scaler.std[column] + scaler.mean[column]))
    level = np.digitize(value, [0.5, FEW - 0.5])
    too_low = (scaled <= -MAX_DEVIATION) & (level > 0)
    too_high = (scaled >= MAX_DEVIATION) & (level < len(LEVELS) - 1)
    known = pl.Series(~(too_low | too_high))
    named = pl.Series(level).cast(pl.UInt8).cast(pl.Enum(LEVELS))
    return pl.select(pl.when(known).then(named)).to_series()
