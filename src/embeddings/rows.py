"""Rows that step 4 learns or reads: item vectors and two-tower nets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word2VecEmbedding:
    """Word2Vec item vectors (gensim skip-gram) and their neighbours as a matrix."""

    name: str
    size: int = 64
    window: int = 5
    epochs: int = 20  # at most
    words: int = 500_000_000  # events read in all epochs, at most, about: fewer epochs then
    negative: int = 10
    ns_exponent: float = 0.75
    min_count: int = 1
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


ENCODERS = ("pool", "gru", "lags")


@dataclass(frozen=True)
class TwoTowerEmbedding:
    """A two-tower net: a session's last events and the type of event wanted -> likely items.

    The encoder turns the events (item, type, seconds ago, hour of day) into a vector; plus a vector
    of the wanted type, it is compared by cosine with the item vectors, which both towers share. It
    learns to tell each of the next events from sampled items (src/embeddings/two_tower_trainer.py has the papers).
    """

    name: str
    encoder: str = "pool"  # learned weights of the events and a perceptron; or "gru", "lags"
    size: int = 64
    last: int = 10  # events of the session that are read
    ahead: int = 10  # next events that are learned from, each under its type
    temperature: float = 0.07  # cosines are divided by it
    negatives: int = 2048  # items drawn per batch; all items where there are no more than that
    popularity: float = 0.5  # drawn by (events of the item) ** popularity, which is corrected for
    hardest: int | None = None  # of those, so many count for each query: the likeliest; None: all
    dropout: float = 0.1  # share of the events that are not read, while learning
    batch: int = 1024  # positions of sessions
    epochs: int = 10  # at most; the rate falls to 0 over them
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    rate: float = 0.005  # of Adam
    last_days: float | None = None  # positions of the split's last days, and all of its queries
    positions: int = 4_000_000  # per epoch, at most: a random part where there are more
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ValueError(f"embedding {self.name}: encoder is one of {', '.join(ENCODERS)}")
        hardest = 1 if self.hardest is None else self.hardest
        counts = self.last, self.ahead, self.negatives, self.batch, self.epochs, self.positions
        if min(*counts, hardest) < 1:
            raise ValueError(f"embedding {self.name}: all its counts are at least 1")
        if not 0 < self.temperature <= 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"embedding {self.name}: temperature is in (0, 1], dropout in [0, 1)")


@dataclass(frozen=True)
class PretrainedEmbedding:
    """Item vectors that come with the data: a CSV file of raw item ids and numbers.

    Items without a line of numbers have no vector, so no neighbours and cosines of 0; without the
    file, that is all of them.
    """

    name: str
    file: str  # in the input folder
    key: str  # its column of raw item ids; all others are the vector
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


@dataclass(frozen=True)
class FactorizationEmbedding:
    """Matrix factorisation of item pairs: which item comes soon after which (src/embeddings/factorization_trainer.py).

    Directed: its neighbours and cosines compare items as the earlier one with others as the later.
    """

    name: str
    size: int = 64
    steps: int = 1  # positions apart, at most, of the kept events
    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    negatives: int = 4  # later items drawn for each pair
    popularity: float = 0.75  # by (events of the item) ** popularity
    epochs: int = 20  # at most
    patience: int = 2  # epochs without a better recall on held-out sessions; the best one is kept
    rate: float = 0.1  # of Adagrad
    pairs: int = 20_000_000  # per epoch, at most, about: of random sessions where there are more
    top_n: int = 40  # neighbours of each item
    among: int = 100_000  # only the most frequent items are anyone's neighbours


Embedding = Word2VecEmbedding | TwoTowerEmbedding | FactorizationEmbedding | PretrainedEmbedding
