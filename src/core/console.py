"""Print tables."""

from __future__ import annotations

import polars as pl


def show(table: pl.DataFrame) -> None:
    """Print all rows and columns of a table, with four decimals."""
    with pl.Config(
        tbl_rows=-1, tbl_cols=-1, float_precision=4, tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True, tbl_formatting="NOTHING", tbl_width_chars=200,
        fmt_str_lengths=100,
    ):  # fmt: skip
        print(table, flush=True)
