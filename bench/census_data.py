"""Census-income (KDD) of UCI as training tables: one preprocessing for all models of bench.census.

The two files quote differently: the train file puts strings between ', the test file does not.
Fields are stripped; an empty field or ? is missing. The weight of a person, and the columns that
make both labels of a pair, are no inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, I32
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import QueryRows
from src.rankers.nets.scaling import InputScaler
from src.rankers.train_set import TrainSet

NAMES = (
    "age", "class_of_worker", "industry", "occupation", "education", "wage", "enrolled", "marital",
    "major_industry", "major_occupation", "race", "hispanic", "sex", "union", "unemployment",
    "employment", "gains", "losses", "dividends", "tax", "region", "state", "household",
    "household_summary", "instance_weight", "migration_msa", "migration_region", "migration_within",
    "same_house", "sunbelt", "employer_size", "parents", "father", "mother", "birth_country",
    "citizenship", "own_business", "questionnaire", "veteran", "weeks", "year", "income",
)  # fmt: skip
NUMBERS = ("age", "wage", "gains", "losses", "dividends", "employer_size", "weeks")
COLLEGE = (
    "Some college but no degree", "Associates degree-occup /vocational",
    "Associates degree-academic program", "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MBA)", "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
)  # fmt: skip
SOURCE = {"income": "income", "never_married": "marital", "college": "education"}
"""Tasks, and the column that makes the label of each."""
LABELS = {
    "income": pl.col("income").str.starts_with("50000+"),
    "never_married": pl.col("marital") == "Never married",
    "college": pl.col("education").is_in(COLLEGE),
}
PAIRS = (("income", "never_married"), ("income", "college"))
BINS = 24
VALID_EVERY = 20
"""One train row in so many is held out: these stop LightGBM; nets only log their AUC on them."""


def read(folder: Path, name: str, quote: str | None) -> pl.DataFrame:
    """Read a file of the folder, text columns; ValueError where its columns are not those."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)
    if path is None:
        raise ValueError(f"{folder} has neither {name} nor {name}.gz of UCI's census-income")
    table = pl.read_csv(path, has_header=False, quote_char=quote, infer_schema=False)
    if table.width != len(NAMES):
        raise ValueError(f"{path} has {table.width} columns, not {len(NAMES)}")
    table.columns = list(NAMES)
    text = pl.all().str.strip_chars()
    return table.with_columns(text).with_columns(pl.all().replace({"?": None, "": None}))


def bins_of(name: str, train: pl.DataFrame) -> pl.Expr:
    """Number the bins of a number: 0, and BINS shares of equal size of the other train values."""
    values = train[name].cast(pl.Float64).to_numpy()
    shares = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.unique(np.quantile(values[values > 0], shares))
    number = pl.col(name).cast(pl.Float64)
    code = pl.sum_horizontal(number > edge for edge in (0.0, *edges))
    return code.cast(pl.Float32).alias(f"{name}_bin")


@dataclass(frozen=True)
class Census:
    """Train and test rows of a pair of tasks.

    table: file of the training table, a query per row; fold 0 is for validation, fold 1 trains.
    columns: of X, numbers first. X: float32 (test rows, columns). label: float32 (test rows,
    tasks).
    """

    tasks: tuple[str, ...]
    table: Path
    columns: list[str]
    X: F32
    label: F32

    @classmethod
    def of(
        cls, train: pl.DataFrame, test: pl.DataFrame, tasks: tuple[str, ...], to: Path
    ) -> Census:
        """Encode both files, and write the training table.

        Values of a category are numbered from 2 by the train rows; 1 is missing, 0 not among them.
        """
        dropped = {"instance_weight", *(SOURCE[task] for task in (*tasks, "income"))}
        categories = [n for n in NAMES if n not in dropped and n not in NUMBERS]
        columns = [*NUMBERS, *categories, *(f"{name}_bin" for name in NUMBERS)]
        codes = {n: train[n].drop_nulls().unique().sort().to_list() for n in categories}
        inputs = [pl.col(n).cast(pl.Float32) for n in NUMBERS]
        inputs += [
            pl.when(pl.col(n).is_null()).then(1).otherwise(
                pl.col(n).replace_strict(known, range(2, len(known) + 2), default=0)
            ).cast(pl.Float32).alias(n)
            for n, known in codes.items()
        ]  # fmt: skip
        inputs += [bins_of(name, train) for name in NUMBERS]
        labels = [LABELS[task].cast(pl.Float32).alias(f"label:{task}") for task in tasks]
        row = pl.int_range(pl.len())
        head = [
            row.cast(pl.Int32).alias("session"), pl.lit(0, pl.Int32).alias("item"),
            (row % VALID_EVERY > 0).cast(pl.Int8).alias("fold"),
        ]  # fmt: skip
        train.select(*head, *labels, *inputs).write_parquet(to)
        rows = test.select(*labels, *inputs)
        label = rows.select(f"label:{task}" for task in tasks).to_numpy()
        return cls(tasks, to, columns, rows.select(columns).to_numpy(order="c"), label)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(self.columns[len(NUMBERS) :])

    def train_set(self, tasks: tuple[str, ...]) -> TrainSet:
        """Read the training table for some tasks."""
        return TrainSet.read([self.table], tasks)

    def test_rows(self, scaler: InputScaler) -> QueryRows:
        """Convert the test rows to the inputs of a net, a query per row."""
        n, names = len(self.X), [self.columns.index(name) for name in scaler.columns]
        item: I32 = np.zeros(n, np.int32)
        return QueryRows.of(
            scaler, np.arange(n + 1), self.label[:, 0], item, [self.X[:, names]], no_events(n)
        )
