"""Make item vectors from columns of texts, such as titles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from src.core.arrays import F32, Mask
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import fitted_splits
from src.data.vectors import load
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.neighbours import write_neighbours_by_cosine
from src.texts.base import TextEncoder
from src.texts.vectors import distinct, encode_distinct, encoder_of
from src.texts.whitening import Whitening

JOINT = "; "  # between the texts of an item's columns


@dataclass(frozen=True)
class TextEmbedding(Embedding):
    """Encodes the texts of items; an item without any has the vector 0.

    Encoder and whitening learn from the different texts of known items: those with an event in
    every split, or all where no item has. So they never learn from items that are new to a split,
    and the vectors are the same in all splits. Neighbours are ordered by cosine x ln(2 + events),
    so that items without an event are among them.
    """

    same_in_splits: ClassVar[bool] = True

    columns: tuple[str, ...]  # of items.parquet: texts, or lists of texts
    encoder: TextEncoder
    whitening: Whitening | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.columns:
            raise ValueError(f"embedding {self.name}: name a column of texts")

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of item vectors and of neighbours."""
        return [path(run, split, self.name) for path in (paths.item_vectors, paths.neighbours)]

    def memory(self, run: Run, split: str) -> float:
        """Count the texts three times, what the encoder needs, and three copies of the vectors."""
        texts = self.texts(run)
        characters = int(texts.str.len_bytes().sum())
        vectors = training_memory(run, split, 3 * 4 * self.encoder.most_numbers)
        return vectors + 3 * characters + self.encoder.memory(texts.len(), characters)

    def build(self, run: Run, split: str) -> Summary:
        """Encode the texts; write the vectors, and the neighbours by events of a split."""
        vector_file = paths.item_vectors(run, split, self.name)

        def make(temporary: dict[Path, Path]) -> None:
            vectors = self.vectors(run)
            count = Sessions.load(run, split).count_items() + 1  # new items, too, are neighbours
            write_missing(temporary, {
                vector_file: partial(save, vectors),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_cosine, self, vectors, count
                ),
            })  # fmt: skip

        of_splits = [run.fingerprint(paths.events(run, name)) for name in fitted_splits(run)]
        summary = self.build_files(run, split, make, of_splits)
        has_vector = load(vector_file).any(axis=1)
        return {**summary, "items without a vector": int((~has_vector).sum())}

    def vectors(self, run: Run) -> F32:
        """Make the unit vectors of all items: float32 (items, dim)."""
        texts = self.texts(run)
        known = texts.filter(pl.Series(known_items(run)))
        try:
            if len(learned := distinct(known.to_list())) < 2:
                what = f"the text {learned[0][:40]!r} alone" if learned else "no text"
                raise ValueError(f"known items have {what}; leave the row out")
            known_texts = learned if self.encoder.learns else texts.to_list()
            encode = encoder_of(run, self.encoder, known_texts)
            vectors = encode_distinct(encode, texts.to_list())
            if self.whitening is not None:
                whitened = self.whitening.fit(encode_distinct(encode, learned))
                has_text = vectors.any(axis=1)
                vectors = whitened.apply(vectors)
                vectors[~has_text] = 0  # not the vector of the mean
        except ValueError as error:
            raise ValueError(f"embedding {self.name}, column {self.columns}: {error}") from None
        return unit(vectors)

    def texts(self, run: Run) -> pl.Series:
        """Join the columns of every item; "" where it has none.

        Raises ValueError for a column that items.parquet lacks, or that holds no texts.
        """
        file = paths.items(run)
        schema = pl.read_parquet_schema(file)
        for name in self.columns:
            if name not in schema:
                raise ValueError(
                    f"embedding {self.name}: no column {name} in {file}; it has {', '.join(schema)}"
                )
            if schema[name] not in (pl.String, pl.List(pl.String)):
                raise ValueError(
                    f"embedding {self.name}: column {name} of {file} holds {schema[name]}; "
                    "name a column of texts"
                )
        lists = [name for name in self.columns if schema[name] == pl.List(pl.String)]
        texts = pl.read_parquet(file, columns=list(self.columns)).with_columns(
            pl.col(lists).list.join(" ", ignore_nulls=True)
        )
        blank_is_null = pl.col(self.columns).str.strip_chars().replace("", None)
        joined = pl.concat_str(blank_is_null, separator=JOINT, ignore_nulls=True)
        return texts.select(joined.fill_null("")).to_series()


def known_items(run: Run) -> Mask:
    """Find the items with an event in every split that is fitted; all items where none has."""
    known = np.ones(count_rows(paths.items(run)), bool)
    for split in fitted_splits(run):
        items = pl.scan_parquet(paths.events(run, split)).select(pl.col("item").unique())
        here = np.zeros_like(known)
        here[items.collect().to_series().to_numpy()] = True
        known &= here
    return known if known.any() else ~known
