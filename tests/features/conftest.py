"""A planted split with all that the features read, its pool, and its columns."""

from __future__ import annotations

import numpy as np
import pytest
from plain_features import RECIPE, TABLE, candidate_pool, write_attributes
from planted import N_ITEMS, planted_split

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data import paths
from src.data.split_data import SplitData
from src.embeddings.base import unit


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    """With vectors of all items but the last, and others in `pair` for those of the history."""
    data = planted_split(tmp_path_factory.mktemp("split"), RECIPE)
    rng = np.random.default_rng(7)
    vectors = paths.item_vectors(data.run, "valid", "vec")
    vectors.parent.mkdir()
    names = ("vec.npy", "pair.npy", "pair.sources.npy", "net.npy")
    for name in names:
        table = rng.normal(size=(N_ITEMS, 8)).astype(np.float32)
        table[-1] = 0.0
        np.save(vectors.parent / name, unit(table))
    queries = [unit(rng.normal(size=(data.n_queries, 8)).astype(np.float32)) for _ in range(3)]
    np.save(paths.query_vectors(data.run, "valid", "net"), np.stack(queries))
    write_attributes(data)
    return data


@pytest.fixture(scope="package")
def pool(data: SplitData) -> Pool:
    return candidate_pool(data, data.first_query, data.n_sessions, 25)


@pytest.fixture(scope="package", name="X")
def all_columns(data: SplitData, pool: Pool) -> F32:
    return TABLE.compute(data, pool)
