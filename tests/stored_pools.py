"""Write a pool that a test has made up, as steps 3 and 4 do: its file, and a list per retriever."""

from __future__ import annotations

import numpy as np
import polars as pl
from planted import whole

from src.candidates.pool import Pool, pool_file
from src.candidates.pool_kernel import ABSENT
from src.core import store
from src.core.run import Run
from src.data.schemas import CANDIDATES
from src.data.shards import Shard


def write_stored(run: Run, pool: Pool, split: str = "valid") -> None:
    """Write a pool of a single shard; retriever r has listed what has a rank in column r.

    Each of its lists ends with an item that is not in the pool.
    """
    sessions = np.arange(pool.first, pool.end, dtype=np.int32)
    other = np.full(sessions.size, pool.item.max(initial=0) + 1)
    last = (sessions, np.full(sessions.size, ABSENT - 1), other, np.ones(sessions.size))
    made_from = {}
    for r, row in enumerate(run.recipe.retrievers):
        columns = (pool.session, pool.ranks[:, r], pool.item, pool.scores[:, r])
        inside, outside = (
            pl.DataFrame(dict(zip(CANDIDATES, c, strict=True)), CANDIDATES) for c in (columns, last)
        )
        table = pl.concat([inside.filter(pl.col("rank") < ABSENT), outside])
        name = f"{split}/candidates/{row.name}/part-0000.parquet"
        whole(run.output / name, table.sort("session", "rank", maintain_order=True))
        made_from[name] = run.fingerprint(run.output / name)
    table = pool.to_frame()
    key = {"rows": str(table.hash_rows().sum()), "inputs": made_from}
    store.build(pool_file(run, split, Shard(0, pool.first, pool.end)), key, table.write_parquet)
