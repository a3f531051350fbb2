"""One query at a time has the numbers of the steps.

pytest tests/serving/test_recommender.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import run_in
from tiny import RECIPE

from src.blend.final_blend import final_blends, list_of
from src.data.shards import shard_files
from src.serving.recommender import Recommender

QUERIES = 200


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_query_has_the_lists_of_its_session(first: Path, split: str) -> None:
    """Scores of all candidates and final lists, byte for byte.

    A query of `valid` is scored by the models that did not learn from it, one of `test` by all.
    """
    run = run_in(first, RECIPE, "ask.py")
    of = Recommender(run, split)
    lists = {name: list_of(run, split, final, None) for name, final in final_blends(run).items()}
    scores = pl.concat(map(pl.read_parquet, shard_files(run, split, "scores")))
    pool = pl.concat(map(pl.read_parquet, shard_files(run, split, "pool")))
    sessions = np.arange(of.data.stored.first_query, of.data.query_session)[:QUERIES]
    assert split != "valid" or sessions.size == QUERIES
    for session in sessions.tolist():
        answer = of.answer(of.data.stored_query(session))
        table = answer.pool.to_frame([row.name for row in RECIPE.retrievers]).drop("session")
        assert table.equals(pool.filter(session=session).drop("session"))
        for name, final in answer.lists.items():
            at = int(np.searchsorted(lists[name].session, session))
            rows = slice(*lists[name].offsets[at : at + 2])
            assert final.item.tolist() == lists[name].item[rows].tolist()
            assert final.score.tobytes() == lists[name].score[rows].tobytes()
        assert scores.filter(session=session)["item"].equals(table["item"])
