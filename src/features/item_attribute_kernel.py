# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of ItemAttributeFeature."""

from __future__ import annotations

import math
from enum import CONTINUOUS, UNIQUE, IntEnum, verify

from numba import njit, prange

UNKNOWN = -1e9  # not NaN: missing values make XGBoost's histograms sparse and slow


@verify(UNIQUE, CONTINUOUS)
class Relation(IntEnum):
    """What a column holds; recipes and names of columns have the lower case of a name."""

    VALUE = 0  # of the candidate
    AGE = 1  # seconds from the value to the query
    LAST = 2  # value of the session's last item
    LAST_AGE = 3  # seconds from the value of the last item to the query
    MINUS_LAST = 4  # value minus that of the last item
    MINUS_MEAN = 5  # value minus the mean of the known values of the session's events
    SAME_LAST = 6  # 1 where the last item has the same value, else 0
    SHARE = 7  # of the session's events, share on items with the same value


@njit(parallel=True, cache=True)
def attribute_columns(events, candidates, query_ts, attribute, relations, column, X):
    """Write a column per relation.

    attribute: float64 (items), NaN where unknown. relations: int64, members of Relation. Columns
    are UNKNOWN where a value that they need is unknown; SAME_LAST and SHARE are 0 there.
    """
    for q in prange(query_ts.size):
        begin = events.offsets[candidates.first + q]
        stop = events.offsets[candidates.first + q + 1]
        now = float(query_ts[q])
        last = attribute[events.item[stop - 1]] if stop > begin else math.nan
        total, n = 0.0, 0
        for i in range(begin, stop):
            if not math.isnan(attribute[events.item[i]]):
                total += attribute[events.item[i]]
                n += 1
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            own = attribute[candidates.item[r]]
            for k in range(relations.size):
                value = own
                if relations[k] == Relation.AGE:
                    value = now - own
                elif relations[k] == Relation.LAST:
                    value = last
                elif relations[k] == Relation.LAST_AGE:
                    value = now - last
                elif relations[k] == Relation.MINUS_LAST:
                    value = own - last
                elif relations[k] == Relation.MINUS_MEAN:
                    value = own - total / n if n else math.nan
                elif relations[k] == Relation.SAME_LAST:
                    value = 1.0 if own == last else 0.0
                elif relations[k] == Relation.SHARE:
                    value = 0.0
                    for i in range(begin, stop):
                        value += 1.0 if attribute[events.item[i]] == own else 0.0
                    value /= max(stop - begin, 1)
                X[r, column + k] = UNKNOWN if math.isnan(value) else value
