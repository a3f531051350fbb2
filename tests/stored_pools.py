"""Write a pool that a test has made up, as steps 3 and 4 do: its file, and a list per retriever."""

from __future__ import annotations

import polars as pl
from planted import whole

from src.candidates.pool import Pool, pool_inputs
from src.candidates.pool_kernel import ABSENT
from src.core.run import Run
from src.data.schemas import CANDIDATES
from src.data.shards import Shard


def write_stored(run: Run, pool: Pool, split: str = "valid") -> None:
    """Write a pool of a single shard; retriever r has listed what has a rank in column r."""
    file, *lists = pool_inputs(run, split, Shard(0, pool.first, pool.end))
    whole(file, pool.to_frame())
    for r, path in enumerate(lists):
        columns = (pool.session, pool.ranks[:, r], pool.item, pool.scores[:, r])
        table = pl.DataFrame(dict(zip(CANDIDATES, columns, strict=True)), CANDIDATES)
        listed = table.filter(pl.col("rank") < ABSENT)
        whole(path, listed.sort("session", "rank", maintain_order=True))
