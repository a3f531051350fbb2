"""Statistics, attributes and context of the candidate.

pytest tests/features/test_item_features.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from plain_features import RECIPE, at, pairs, plain_weight
from planted import BARE, DAY, Events, history

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data.split_data import SplitData
from src.features.base import WEIGHTINGS
from src.features.item_attribute import RELATIONS, ItemAttributeFeature, attribute
from src.features.item_statistics import ItemStatisticsFeature


def test_attribute_and_context_columns(data: SplitData, pool: Pool, X: F32) -> None:
    words = data.items["words"].to_list()
    device = data.context("device")[data.sessions.offsets[1:] - 1]
    columns = [at(f"words_{relation}") for relation in RELATIONS]
    for i, (session, item) in enumerate(pairs(pool)):
        events = history(data, session)
        now, own, last = events[-1][1], words[item], words[events[-1][0]]
        known = [w for y, _, _ in events if (w := words[y]) is not None]
        both = own is not None and last is not None
        wanted = [
            own, now - own if own else None, last, now - last if last else None,
            own - last if both else None,
            own - sum(known) / len(known) if own and known else None,
            float(both and own == last),
            sum(words[y] == own for y, _, _ in events) / len(events) if own else 0.0,
        ]  # fmt: skip
        given = [-1e9 if w is None else w for w in wanted]
        np.testing.assert_allclose(X[i, columns], given, rtol=1e-5)
        assert X[i, at("context_device")] == device[session]


def test_a_column_that_is_not_there_is_named(data: SplitData) -> None:
    titled = SplitData(data.run, "valid")
    titled.items = data.items.with_columns(title=pl.lit("a song"), nothing=pl.lit(None))
    with pytest.raises(ValueError, match=r"items.parquet: no column wrods, .*it has .*words"):
        attribute(data, "wrods")
    assert np.isnan(attribute(titled, "nothing")).all()
    with pytest.raises(ValueError, match="column title has no numbers"):
        attribute(titled, "title")
    with pytest.raises(ValueError, match="column words has no texts"):
        titled.text_attribute("words")
    with pytest.raises(ValueError, match=r"events.parquet: no column devise, .*it has .*device"):
        data.context("devise")


@pytest.mark.parametrize(("span", "days"), [("all", 1000), ("7d", 7)])
def test_item_statistics(data: SplitData, pool: Pool, X: F32, span: str, days: int) -> None:
    since = int(data.sessions.ts.max()) - days * DAY
    sessions = [history(data, s) for s in range(data.n_sessions)]
    for i in range(0, pool.item.size, 7):
        wanted = plain_statistics(sessions, pool.item[i], since)
        found = {name: X[i, at(f"item_{name}_{span}")] for name in wanted}
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def plain_statistics(sessions: list[Events], item: int, since: int) -> dict[str, float]:
    """Columns of one item, from lists."""
    met = [(s, [i for i, e in enumerate(s) if e[0] == item and e[1] >= since]) for s in sessions]
    met = [(s, own) for s, own in met if own]
    both = [(s, i) for s, own in met for i in own]
    types = [[s[i][2] for i in own] for s, own in met]
    wanted: dict[str, float] = {"sessions": len(met)}
    for t, name in enumerate(RECIPE.types):
        wanted[f"events_{name}"] = sum(of.count(t) for of in types)
        wanted[f"sessions_{name}"] = sum(t in of for of in types)
        if t:
            wanted[f"share_{name}"] = wanted[f"events_{name}"] / max(len(both), 1)
    for a, b in product(range(3), repeat=2):
        first = [of for of in types if a in of]
        then = sum(b in of[of.index(a) + 1 :] for of in first)
        wanted[f"{RECIPE.types[a]}_to_{RECIPE.types[b]}"] = then / max(len(first), 1)
    for weighting in WEIGHTINGS[1:]:
        weights = [plain_weight(weighting, s, i) for s, i in both]
        if weighting == "recsys":  # without the factor of the item
            weights = [w * math.log(1 + sum(e[0] == item for e in s))
                       for w, (s, _) in zip(weights, both, strict=True)]  # fmt: skip
        wanted[f"weight_{weighting}"] = sum(weights)
    n, gaps = max(len(both), 1), [s[i + 1][1] - s[i][1] for s, i in both if i < len(s) - 1]
    return wanted | {
        "place": sum(i / (len(s) - 1) if len(s) > 1 else 1.0 for s, i in both) / n,
        "length": sum(len(s) for s, _ in both) / n,
        "exit_rate": sum(i == len(s) - 1 for s, i in both) / n,
        "log_gap": sum(math.log(1 + gap) for gap in gaps) / max(len(gaps), 1),
        "return_rate": sum(len(own) > 1 for _, own in met) / max(len(met), 1),
    }


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"item attribute words: \['sum'\] not in \('value', "):
        ItemAttributeFeature("words", ("value", "sum"))
    types = tuple("abcdefgh")
    many = replace(BARE, types=types, type_weight=(1.0,) * 8)
    with pytest.raises(ValueError, match="item statistics: at most 7 event types"):
        replace(many, features=(ItemStatisticsFeature(),))
