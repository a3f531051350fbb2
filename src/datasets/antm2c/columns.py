"""Columns of the raw files, and of the rows that step 1 reads from them."""

from __future__ import annotations

import polars as pl

USER, ITEM, TIME, LABEL, SCENE = "user_id", "item_id", "log_time", "label", "scene"
BILL, SERVICE, QUERY = "bill_entity_seq", "service_entity_seq", "query_entity_seq"
ENTITIES, TITLE = "item_entity_names", "item_title"
OF_USER = (BILL, SERVICE, QUERY)
"""What the user has paid for, used and searched: words joined by commas, at the impression."""
TEXTS = (*OF_USER, ENTITIES, TITLE)
NUMERIC = (14, *range(19, 27))
"""Anonymous features that are numbers, by their number; all others are categories."""
NUMBERS = tuple(f"deep_features_{n}" for n in NUMERIC)
CATEGORIES = tuple(f"deep_features_{n}" for n in range(27) if n not in NUMERIC)
DEEP = tuple(f"deep_features_{n}" for n in range(27))

COLUMNS = (
    USER, ITEM, TIME, LABEL, *OF_USER, ENTITIES, TITLE, SCENE, *DEEP,
)  # fmt: skip
"""The 37 columns of a file, in any order; others are ignored. A test file may lack the label."""

ROWS = pl.Schema([
    ("row", pl.Int64), ("line", pl.Int64), ("ts", pl.Int32), (USER, pl.Int64), (ITEM, pl.Int64),
    (LABEL, pl.Int8), (SCENE, pl.String), *((name, pl.String) for name in TEXTS),
    *((name, pl.Float32 if name in NUMBERS else pl.String) for name in DEEP),
])  # fmt: skip
"""Good rows of a file, in its order.

row: its number in the file from 0, bad rows counted; line: where it begins. ts: seconds since 1970
by the clock of the file, which is that of China: no time zone moves a day. Null where a value is
missing; label is null in a test file without labels.
"""

BAD = pl.Schema(
    {"file": pl.String, "row": pl.Int64, "line": pl.Int64, "reason": pl.String, "text": pl.String}
)
"""Rows of quarantine.csv: text is the beginning of what is wrong."""
