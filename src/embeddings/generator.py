"""Train a net that generates the semantic ids of likely items (generative retrieval)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.data.vectors import load
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.epochs import train_with_checkpoints, write_log
from src.embeddings.neighbours import write_neighbours_by_cosine
from src.generation.ids import Ids, Quantiser, random_ids, semantic_ids
from src.texts.base import TextEncoder
from src.texts.session_texts import session_vectors, text_inputs, text_memory

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class GeneratorEmbedding(Embedding):
    """Reads the last items of a session, and generates the id of the next one, code by code.

    An id is a few codes per item, by residual k-means over vectors (src/generation/ids.py). The net
    is a causal transformer over items with a decoder of codes (src/generation/net.py). So training
    costs one pass over a session. The idea is of Rajput et al., "Recommender Systems with
    Generative Retrieval", NeurIPS 2023, who read and write token by token.

    `GeneratedRetriever` lists items by beam search, `GeneratorFeature` gives the log likelihood of
    every candidate. The vector of an item is the sum of those of its codes. Only the `max_items`
    most frequent items of the split have an id.
    """

    makes_generator: ClassVar[bool] = True

    vectors: tuple[str, ...] = ()  # embeddings, joined, that ids are made of; (): random ids
    sizes: tuple[int, ...] = (256, 256, 256)  # codes of each level; (): one code an item
    nested: bool = False  # centres of a level belong to one prefix each, not to all
    balance: float = np.inf  # items of a code, at most, in means of all codes; 1 or more
    autoencoder: int | None = None  # epochs of an RQ-VAE that learns centres; None: k-means
    begin_at_centres: bool = True  # codes of shared levels begin at the centres of their clusters
    texts: TextEncoder | None = None  # of the text of a session, which is read before its events
    any_order: bool = False  # training shuffles each part: any other item of it is a target
    own_vectors: bool = False  # a history is read by a vector of each item too, which begins at 0
    dim: int = 64
    layers: int = 2  # of the encoder
    heads: int = 4
    max_len: int = 20  # last events of the session that the encoder reads
    dropout: float = 0.2
    hidden: float = 0.1  # share of the events that are hidden in training
    batch_size: int = 128  # parts of sessions of up to max_len events
    max_windows: int = 500_000  # such parts, per epoch; a random part where there are more
    epochs: int = 20  # at most; the learning rate rises for a twentieth, and falls to 0
    patience: int = 4  # epochs without a better recall of held-out events; the best one is kept
    learning_rate: float = 0.002  # of AdamW
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(size < 1 for size in self.sizes) or self.dim % self.heads:
            raise ValueError(f"embedding {self.name}: sizes from 1, dim a multiple of heads")
        if self.autoencoder and (self.nested or not self.vectors or not self.sizes):
            raise ValueError(
                f"embedding {self.name}: an autoencoder needs vectors and sizes, and is not nested"
            )
        if not (0 <= self.dropout < 1 and 0 <= self.hidden < 1 <= self.balance):
            raise ValueError(
                f"embedding {self.name}: dropout and hidden are in [0, 1), balance is at least 1"
            )

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where a table of vectors does not stand before this row."""
        names = [row.name for row in recipe.embeddings]
        if unknown := set(self.vectors) - set(names[: names.index(self.name)]):
            raise ValueError(f"embedding {self.name}: no embedding {sorted(unknown)} before it")

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of vectors, neighbours, ids, the net and the log."""
        file_of = (paths.item_vectors, paths.neighbours, paths.semantic_ids, paths.generator,
                   paths.embedding_log)  # fmt: skip
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count three copies of the vectors, codes and trie, weights, and a batch of the net."""
        sources = [paths.item_vectors(run, split, name) for name in self.vectors]
        codes = sum(self.sizes) or min(self.max_items, count_rows(paths.items(run)))
        places, tables = self.batch_size * (self.max_len + 1), 30 * (self.layers + 2) * self.dim
        batch = 4 * places * (tables + 4 * codes)
        own = 24 * self.dim if self.own_vectors else 0  # with gradients and state
        vectors = training_memory(run, split, 100 + own) + 3 * paths.total_size(sources)
        return vectors + batch + self._text_memory(run, split)

    def _text_memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of texts and encoder, and of the vectors of all sessions."""
        if self.texts is None:
            return 0.0
        vectors = 3.0 * 4 * self.texts.most_numbers * count_rows(paths.sessions(run, split))
        return vectors + text_memory(run, split, self.texts)

    def build(self, run: Run, split: str) -> Summary:
        """Make ids, train on the sessions of a split; write all files."""
        training: Summary = {}
        sources = [paths.item_vectors(run, split, name) for name in self.vectors]
        depends_on: list[object] = [run.fingerprint(path) for path in sources]
        if self.texts is not None:
            depends_on += map(run.fingerprint, text_inputs(run, split))

        def make(temporary: dict[Path, Path]) -> None:
            from src.embeddings.generator_trainer import generator_trainer

            sessions, seed = Sessions.load(run, split), run.recipe.seed
            ids = self.ids(sessions, sources, seed)
            texts = self.text_vectors(run, split)
            with generator_trainer(sessions, ids, self, seed, run.engine.device, texts) as trainer:
                train_with_checkpoints(run, split, self, trainer, depends_on)
                training.update(trainer.summary)
                generation, log = trainer.best_generation(), trainer.log
            vectors = unit(generation.item_vectors())
            write_missing(temporary, {
                paths.item_vectors(run, split, self.name): partial(save, vectors),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_cosine, self, vectors, sessions.count_items()
                ),
                paths.semantic_ids(run, split, self.name): partial(save, ids.codes),
                paths.generator(run, split, self.name): generation.write,
                paths.embedding_log(run, split, self.name): partial(write_log, log),
            })  # fmt: skip

        return self.build_files(run, split, make, depends_on) | training

    def ids(self, sessions: Sessions, sources: Sequence[Path], seed: int) -> Ids:
        """Give an id to each frequent item that, unless ids are random, has a vector."""
        count = sessions.count_items()
        order = np.random.default_rng(seed).permutation(count.size)  # of items of equal counts
        listed: I64 = order[np.argsort(-count[order], kind="stable")][: self.max_items]
        listed = listed[count[listed] > 0]
        if not sources:
            return random_ids(sessions.n_items, listed, self.sizes, seed)
        vectors = np.column_stack([load(path) for path in sources])
        listed = listed[vectors[listed].any(axis=1)]
        return semantic_ids(vectors, listed, self.quantiser, seed)

    def text_vectors(self, run: Run, split: str) -> F32 | None:
        """Encode the texts of all sessions of a split; None where none is read."""
        if self.texts is None:
            return None
        data = SplitData(run, split)
        try:
            return session_vectors(data, self.texts, 0, data.n_sessions)
        except ValueError as error:
            raise ValueError(f"embedding {self.name}: {error}; leave its `texts` out") from None

    @property
    def quantiser(self) -> Quantiser:
        return Quantiser(self.sizes, self.nested, self.balance, self.autoencoder)
