"""Read and check files of lists: `user,item_1,...,item_k`, by the rules of CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from src.data.recipe import Recipe
from src.datasets.submission_rows import MAX_FAULTS

SHOWN = 60  # characters of a wrong text in a message


def header(recipe: Recipe) -> list[str]:
    """Name the columns: the objective stands second where there are several."""
    objective = ["objective"] if len(recipe.objectives) > 1 else []
    return ["user", *objective, *(f"item_{rank}" for rank in range(1, recipe.k + 1))]


def read_lists(path: Path, recipe: Recipe) -> pl.DataFrame:
    """Read a file of lists: line, user, objective, items; all ids as texts.

    Raises ValueError, with the line and the cure, for a file of another form.
    """
    wanted = header(recipe)
    with open(path, "rb") as file:
        first = file.readline().decode(errors="replace").rstrip("\r\n")
    if first != ",".join(wanted):
        raise ValueError(
            f"{path}, line 1: the header is {first[:SHOWN]!r}, not {','.join(wanted)[:SHOWN]!r}; "
            "write that line first"
        )
    try:
        rows = pl.read_csv(path, infer_schema=False, row_index_name="line", row_index_offset=2)
    except pl.exceptions.PolarsError as error:
        fault = str(error).partition("\n")[0]
        raise ValueError(f"{path}: {fault}; write {len(wanted)} cells a line") from None
    if "objective" not in rows.columns:
        rows = rows.with_columns(objective=pl.lit(recipe.objectives[0].name))
    items = pl.concat_list(name for name in wanted if name.startswith("item_"))
    return rows.select("line", "user", "objective", items=items)


def judged_items(path: Path, recipe: Recipe, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged items of a file: session, objective, item, grade, rank from 0.

    truth: TRUTH, with raw ids. Raises ValueError for a list that is there twice, and where no list
    is of a query of the ground truth.
    """
    names = dict(zip(recipe.objective_names, range(len(recipe.objectives)), strict=True))
    rows = read_lists(path, recipe).with_columns(
        pl.col("user").cast(truth.schema["session"], strict=False).alias("session"),
        pl.col("objective").replace_strict(names, default=None, return_dtype=pl.Int64),
    )
    pair = ["session", "objective"]
    rows = rows.join(truth.select(pair).unique(), on=pair, maintain_order="left")
    if rows.is_empty():
        raise ValueError(f"{path} has no list for any query of the labels; give those of its split")
    for line in rows.filter(~pl.struct(pair).is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a list that was there before; keep one")
    items = rows.with_columns(pl.col("items").list.drop_nulls()).with_columns(
        rank=pl.int_ranges(pl.col("items").list.len())
    )
    items = items.rename({"items": "item"}).explode("item", "rank", empty_as_null=False)
    items = items.with_columns(pl.col("item").cast(truth.schema["item"], strict=False))
    judged = items.join(truth, on=[*pair, "item"], maintain_order="left")
    return judged.select(*pair, "item", "grade", "rank")


def faults(path: Path, recipe: Recipe, users: pl.Series, items: pl.Series) -> list[str]:
    """List the first faults of a file, with lines and cures; users, items: raw ids as texts."""
    try:
        rows = read_lists(path, recipe)
    except ValueError as error:
        return [str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: ")]
    found = sorted(_of_rows(rows, recipe, users, items))
    texts = [f"line {line}: {text}" for line, text in found[:MAX_FAULTS]]
    wanted = users.to_frame("user").join(
        pl.DataFrame({"objective": recipe.objective_names}), how="cross"
    )
    missing = wanted.join(rows, on=["user", "objective"], how="anti").head(MAX_FAULTS)
    texts += [f"no list for {' '.join(_named(row, recipe))}; add it" for row in missing.rows()]
    return texts[:MAX_FAULTS]


def _of_rows(
    rows: pl.DataFrame, recipe: Recipe, users: pl.Series, items: pl.Series
) -> Iterator[tuple[int, str]]:
    """Yield line and message of the first rows of each fault."""
    listed, holes = pl.col("items").list.drop_nulls(), pl.col("items").list
    conditions = {
        "user {user} is no query; drop the line": ~pl.col("user").is_in(users.implode()),
        "unknown objective {objective}; the objectives: " + ", ".join(recipe.objective_names):
            ~pl.col("objective").is_in(recipe.objective_names),
        "a list of {user} that was there before; keep one":
            ~pl.struct("user", "objective").is_first_distinct(),
        "no items for {user}; give it some": listed.list.len() == 0,
        "an empty cell between items of {user}; move it to the end":
            holes.head(listed.list.len()).list.drop_nulls().list.len() < listed.list.len(),
        "an item twice for {user}; keep one": listed.list.n_unique() < listed.list.len(),
        "an unknown item for {user}; write raw ids":
            listed.list.eval(~pl.element().is_in(items.implode())).list.any(),
    }  # fmt: skip
    for message, wrong in conditions.items():
        for row in rows.filter(wrong).head(MAX_FAULTS).iter_rows(named=True):
            yield row["line"], message.format(**row)


def _named(row: tuple[str, str], recipe: Recipe) -> tuple[str, ...]:
    return row if len(recipe.objectives) > 1 else row[:1]
