"""Numbers of recipe rows that make no sense are refused, by the name of the field.

pytest tests/data/test_units.py
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from src.candidates.alternatives import Alternatives
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.datasets.otto.recipe import RECIPE
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.text import TextMatrix

ROWS: dict[str, Callable[[], object]] = {
    "retriever r: neighbours is at least 1, not 0": lambda: SessionKnnRetriever("r", neighbours=0),
    "retriever r: query_decay is at least 0, not nan": lambda: SessionKnnRetriever(
        "r", query_decay=math.nan
    ),
    "retriever r: neighbours is at least 1, not -1": lambda: ItemToItemRetriever(
        "r", "m", Seeds(), neighbours=-1
    ),
    "retriever r: bucket_s is at least 1": lambda: PopularRetriever("r", bucket_s=0),
    "retriever r: lookahead_s is at least 0": lambda: PopularRetriever("r", lookahead_s=-1),
    "retriever r: half_life is at least 1": lambda: TransitionRetriever("r", Seeds(), half_life=0),
    "seeds: decay is above 0, not -1": lambda: Seeds(decay=-1),
    "seeds: max_items is at least 1, not 0": lambda: Seeds(max_items=0),
    "matrix m: top_n is at least 1": lambda: TextMatrix("m", top_n=0),
    "matrix m: max_steps is at least 1": lambda: CovisitationMatrix("m", max_steps=0),
    "matrix m: last_events is at least 1": lambda: CovisitationMatrix("m", last_events=0),
    "matrix m: half_life and last_days are above 0": lambda: CovisitationMatrix("m", half_life=0.0),
    "matrix m: half_life is at least 0": lambda: CovisitationMatrix("m", half_life=-60.0),
    "matrix m: types are numbers below 3": lambda: CovisitationMatrix(
        "m", types=(7,), max_steps=1
    ).check(RECIPE),
    "embedding e: negatives_per_pair is an even": lambda: FactorizationEmbedding(
        "e", negatives_per_pair=3
    ),
    "embedding e: temperature is from 0.02": lambda: TwoTowerEmbedding("e", temperature=0.01),
    "embedding e: dim of a transformer": lambda: TwoTowerEmbedding(
        "e", encoder="transformer", dim=50
    ),
    "the row has no field length to set": lambda: Alternatives(
        RECIPE.retrievers[0].name, "length", (10,)
    ).check(RECIPE),
}


@pytest.mark.parametrize("message", ROWS)
def test_numbers_are_checked(message: str) -> None:
    with pytest.raises(ValueError) as error:
        ROWS[message]()
    assert message in str(error.value)


def test_a_window_after_the_query_alone_is_not_causal() -> None:
    assert PopularRetriever("r", window_s=60, lookahead_s=60).causal() is None
    kept = PopularRetriever("r", window_s=90, lookahead_s=60).causal()
    assert kept is not None and (kept.window_s, kept.lookahead_s) == (30, 0)


def test_a_weight_may_be_an_integer_0() -> None:
    row = CovisitationMatrix("m", last_events=30, backward=0)
    assert row.backward == 0
    with pytest.raises(ValueError, match="backward is at least 0, not -1"):
        CovisitationMatrix("m", last_events=30, backward=-1)
