"""A deep interest network as a ranker: a `DinRow` trained on the rows of step 5.

The candidate looks at the session's last events one by one: a small net weighs each of them by the
two vectors, their product and difference (Zhou et al., 2018), and the weighted sum stands beside
the candidate's vector, the categories' and all features. The loss is a softmax over the candidates
of a query, which is nearer to MRR and recall than the paper's loss per row. One thread trains a
model and one scores a piece, so the bytes do not depend on how many there are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import log_softmax
from tqdm import tqdm

from src.core import store
from src.core.arrays import F32, I8, I32, I64
from src.core.budget import peak_gib
from src.core.engine import Engine
from src.embeddings.two_tower_batches import GAPS, Windows
from src.rankers.rows import DINRanker
from src.rankers.train_set import Rows
from src.rankers.xgb import Job, chosen

LIMIT = 5.0  # standard deviations: numbers beyond are cut
FIT_ROWS = 200_000  # that means, deviations and the values of categories are taken from
QUERIES = 100  # scored at a time
ATTENTION = 32  # hidden units of the net that weighs an event

_seeding = Lock()  # torch's random numbers belong to all threads


@dataclass(frozen=True)
class Reader:
    """How raw columns become what the net reads: fitted on rows that it learns from.

    names: of the number columns; categories: of the others. mean, scale: of the numbers' signed
    logarithms. values, items: what is known of each category and of item ids, ascending; a value is
    read as 1 + its place there, all others as 0.
    """

    names: list[str]
    categories: list[str]
    mean: Tensor
    scale: Tensor
    values: list[Tensor]
    items: Tensor

    @classmethod
    def fit(cls, row: DINRanker, names: list[str], X: F32, item: NDArray[Any]) -> Reader:
        """X: rows of the names and then of the row's categories; item: all items ever read."""
        numbers = _logarithm(X[:, : len(names)])
        items, count = np.unique(item[item >= 0], return_counts=True)
        often = np.argsort(-count, kind="stable")[: row.among]
        kept = np.sort(items[often[count[often] >= row.seen]]).astype(np.int64)
        values = [np.unique(X[:, c].astype(np.int64)) for c in range(len(names), X.shape[1])]
        return cls(
            names, list(row.categories), torch.from_numpy(numbers.mean(axis=0)),
            torch.from_numpy(numbers.std(axis=0).clip(1e-6)),
            [torch.from_numpy(v) for v in values], torch.from_numpy(kept),
        )  # fmt: skip

    def numbers(self, X: F32) -> NDArray[np.float16]:
        """The number columns of X, standardised."""
        raw = _logarithm(X[:, : len(self.names)])
        scaled = (raw - self.mean.numpy()) / self.scale.numpy()
        return np.clip(scaled, -LIMIT, LIMIT).astype(np.float16)

    def codes(self, X: F32) -> I32:
        """The category columns of X, as the net reads them."""
        found = np.empty((len(X), len(self.values)), np.int32)
        for c, known in enumerate(self.values):
            found[:, c] = place(known, X[:, len(self.names) + c])
        return found


def _logarithm(X: F32) -> F32:
    X = np.nan_to_num(X)
    return np.sign(X) * np.log1p(np.abs(X))


def place(known: Tensor, value: NDArray[Any]) -> I32:
    """1 + the place of each value among the known ones, which ascend; 0 for all others."""
    table = np.append(known.numpy(), np.iinfo(np.int64).max)
    at = np.searchsorted(table, value.astype(np.int64))
    return np.where(table[at] == value, at + 1, 0).astype(np.int32)


@dataclass(frozen=True)
class Data:
    """Rows of whole queries, as the net reads them; starts: the first row of each query, the end.

    numbers (rows, names), codes (rows, categories), item and label (rows); history, there, kind and
    ago (queries, last): the session's last events.
    """

    starts: I64
    label: I8
    item: I32
    numbers: NDArray[np.float16]
    codes: I32
    history: I32
    there: NDArray[np.bool_]
    kind: I64
    ago: I64

    @classmethod
    def of(
        cls, reader: Reader, starts: I64, label: I8, item: I32, pieces: Iterator[F32], w: Windows
    ) -> Data:
        """pieces: of all rows the columns that the reader names, a piece after the other."""
        # filled piece by piece: joining them would take twice the memory
        numbers = np.empty((item.size, len(reader.names)), np.float16)
        codes, at = np.empty((item.size, len(reader.values)), np.int32), 0
        for X in pieces:
            rows = slice(at, at := at + len(X))
            numbers[rows], codes[rows] = reader.numbers(X), reader.codes(X)
        items = (place(reader.items, item), numbers, codes, place(reader.items, w.item))
        return cls(starts, label, *items, w.item >= 0, w.kind, w.ago)

    def batch(self, queries: I64, device: str) -> dict[str, Tensor]:
        """The rows of some queries: of each its query and its place there, and what the net reads.

        query: the number of a row's query among those given.
        """
        size = np.diff(self.starts)[queries]
        query = np.repeat(np.arange(queries.size), size)
        first = np.cumsum(size) - size
        within = np.arange(query.size) - first[query]
        rows = self.starts[queries][query] + within
        made = {
            "query": query, "within": within, "label": self.label[rows], "item": self.item[rows],
            "numbers": self.numbers[rows].astype(np.float32), "codes": self.codes[rows],
            "history": self.history[queries], "there": self.there[queries],
            "kind": self.kind[queries], "ago": self.ago[queries],
        }  # fmt: skip
        return {name: torch.from_numpy(value).to(device) for name, value in made.items()}


class Net(nn.Module):
    """A batch of rows in, their scores out."""

    def __init__(self, row: DINRanker, reader: Reader, n_types: int) -> None:
        super().__init__()
        size, n = row.size, len(reader.names)
        self.item = nn.Embedding(len(reader.items) + 1, size, sparse=True)
        self.kind, self.ago = nn.Embedding(n_types, size), nn.Embedding(GAPS, size)
        self.category = nn.ModuleList(nn.Embedding(len(v) + 1, size) for v in reader.values)
        for table in (self.item, self.kind, self.ago, *self.category):
            nn.init.normal_(table.weight, std=0.05)
        self.near = nn.Sequential(
            nn.Linear(4 * size, ATTENTION), nn.PReLU(), nn.Linear(ATTENTION, 1)
        )
        layers: list[nn.Module] = []
        width = n + (3 + len(reader.values)) * size
        for hidden in row.hidden:
            layers += [nn.Linear(width, hidden), nn.PReLU()]
            width = hidden
        self.top, self.line = nn.Sequential(*layers, nn.Linear(width, 1)), nn.Linear(n, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores (rows), from what `Data.batch` gives."""
        candidate = self.item(batch["item"])
        events = self.item(batch["history"]) + self.kind(batch["kind"]) + self.ago(batch["ago"])
        events = events[batch["query"]]
        beside = candidate[:, None].expand_as(events)
        pair = torch.cat([events, beside, events * beside, events - beside], dim=2)
        weight = self.near(pair) * batch["there"][batch["query"], :, None]
        interest = (weight * events).sum(1)
        codes = [table(batch["codes"][:, c]) for c, table in enumerate(self.category)]
        facts = [batch["numbers"], candidate, interest, candidate * interest, *codes]
        return (self.top(torch.cat(facts, 1)) + self.line(batch["numbers"]))[:, 0]


@dataclass
class Model:
    """A net and how it reads."""

    reader: Reader
    net: Net
    device: str

    @classmethod
    def new(cls, row: DINRanker, reader: Reader, n_types: int, seed: int, device: str) -> Model:
        """An untrained one, the same for the same seed."""
        with _seeding:
            torch.manual_seed(seed)
            return cls(reader, Net(row, reader, n_types).to(device), device)

    @property
    def names(self) -> list[str]:
        """Of the features that it reads."""
        return [*self.reader.names, *self.reader.categories]

    def save(self, path: Path) -> None:
        """Write all of it to a file."""
        torch.save({"reader": vars(self.reader), "net": self.net.state_dict()}, path)

    @classmethod
    def load(cls, path: Path, row: DINRanker, n_types: int, device: str) -> Model:
        """Read what `save` wrote, of the same row."""
        parts = torch.load(path, map_location="cpu", weights_only=True)
        reader = Reader(**parts["reader"])
        model = cls(reader, Net(row, reader, n_types).to(device), device)
        model.net.load_state_dict(parts["net"])
        return model

    def scores(self, data: Data, queries: I64, threads: int = 1) -> F32:
        """Scores of all rows of some queries."""
        pieces = [queries[at : at + QUERIES] for at in range(0, queries.size, QUERIES)]

        def score(piece: I64) -> F32:
            with torch.no_grad():
                found: F32 = self.net(data.batch(piece, self.device)).cpu().numpy()
            return found

        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate([np.empty(0, np.float32), *pool.map(score, pieces)])


def train(
    job: Job[DINRanker], rows: Rows, windows: Windows, names: list[str], n_types: int,
    engine: Engine, seed: int,
) -> Model:  # fmt: skip
    """Train one model; write its curve.csv, params.json and fold.json.

    windows: of each query of the rows, its session's last events.
    """
    start, row = time.perf_counter(), job.row
    torch.set_num_threads(1)
    data, reader = _read(job, rows, windows, names, engine, seed)
    fold = rows.fold[data.starts[:-1]]
    known, held = np.flatnonzero(fold != job.fold), np.flatnonzero(fold == job.fold)
    model = Model.new(row, reader, n_types, seed, engine.xgb_device)
    curve: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    for loss in _epochs(model, row, data, known, [seed, job.fold]):
        curve.append({"round": len(curve), "train_loss": loss} | _metrics(model, data, held))
        found = [line["valid_mrr"] for line in curve]
        if found[-1] == max(found):
            best = {name: value.clone() for name, value in model.net.state_dict().items()}
        if len(found) - 1 - found.index(max(found)) >= row.patience:
            break
    model.net.load_state_dict(best)
    store.write_text(job.logs / "curve.csv", pl.DataFrame(curve).write_csv())
    params = vars(row) | {"features": reader.names, "items": len(reader.items)}
    store.write_text(job.logs / "params.json", json.dumps(params, indent=1))
    at = max(range(len(curve)), key=lambda n: curve[n]["valid_mrr"])
    facts = {
        "best_round": at, **{k: v for k, v in curve[at].items() if k != "round"},
        "train_rows": int((rows.fold != job.fold).sum()),
        "valid_rows": int((rows.fold == job.fold).sum()),
        "seconds": round(time.perf_counter() - start, 2), "peak_gib": round(peak_gib(), 3),
    }  # fmt: skip
    store.write_text(job.logs / "fold.json", json.dumps(facts, indent=1))
    return model


def _read(
    job: Job[DINRanker], rows: Rows, windows: Windows, names: list[str], engine: Engine, seed: int
) -> tuple[Data, Reader]:
    """All rows as the net reads them; what is fitted is fitted without the held-out fold."""
    row, known = job.row, rows.fold != job.fold
    if unknown := set(row.categories) - set(names):
        raise ValueError(f"ranker {row.name}: categories {sorted(unknown)} are no features")
    names = [n for n in chosen(job, rows, names, engine, seed) if n not in row.categories]
    few, columns = rows.some(known, FIT_ROWS), [*names, *row.categories]
    starts = np.append(np.flatnonzero(np.diff(rows.query, prepend=-1)), rows.query.size)
    item = np.concatenate(
        [rows.item[known], windows.item[rows.fold[starts[:-1]] != job.fold].ravel()]
    )
    reader = Reader.fit(row, names, rows.gather(few, columns), item)
    pieces = (rows.features(file, columns) for file in range(len(rows.files)))
    return Data.of(reader, starts, rows.label, rows.item, pieces, windows), reader


def _epochs(
    model: Model, row: DINRanker, data: Data, known: I64, seed: list[int]
) -> Iterator[float]:
    """Train epoch by epoch; yields the mean loss of each."""
    dense = [p for name, p in model.net.named_parameters() if name != "item.weight"]
    ways = [torch.optim.Adam(dense, lr=row.rate),
            torch.optim.SparseAdam([model.net.item.weight], lr=row.rate)]  # fmt: skip
    batches = max(1, -(-known.size // row.batch))
    total, step = batches * row.epochs, 0
    with tqdm(total=total, desc=f"{row.name}, fold {seed[1]}", position=seed[1], leave=False,
              disable=None, delay=2, mininterval=1.0) as bar:  # fmt: skip
        for epoch in range(row.epochs):
            order, losses = np.random.default_rng([*seed, epoch]).permutation(known), []
            for queries in np.array_split(order, batches):
                batch = data.batch(queries, model.device)
                value = loss(model.net(batch), batch)
                for way in ways:
                    way.param_groups[0]["lr"] = row.rate * (1 - step / total)
                    way.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                for way in ways:
                    way.step()
                losses.append(value.item())
                step += 1
                bar.update()
            yield float(np.mean(losses))


def loss(score: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Mean over the true candidates of -ln of the share that softmax gives each in its query."""
    query, within = batch["query"], batch["within"]
    table = score.new_full((int(query[-1]) + 1, int(within.max()) + 1), -torch.inf)
    table = log_softmax(table.index_put((query, within), score), dim=1)
    return -table[query, within][batch["label"] == 1].mean()


def _metrics(model: Model, data: Data, queries: I64) -> dict[str, float]:
    """AUC of all rows of some queries, and the mean reciprocal rank of the best true candidate."""
    score = model.scores(data, queries)
    size = np.diff(data.starts)[queries]
    starts = np.cumsum(size) - size
    label = np.concatenate([data.label[a:b] for a, b in zip(
        data.starts[queries], data.starts[queries + 1], strict=True)])  # fmt: skip
    true = np.maximum.reduceat(np.where(label == 1, score, -np.inf), starts)
    rank = np.add.reduceat(score > np.repeat(true, size), starts, dtype=np.int64) + 1
    return {
        "valid_auc": float(roc_auc_score(label == 1, score)),
        "valid_mrr": float((1 / rank).mean()),
    }


def predict(
    models: list[Model], X: F32, rows: I64, names: list[str], item: I32, starts: I64,
    windows: Windows, threads: int,
) -> F32:  # fmt: skip
    """Mean score of some models for the candidates of some queries: these rows of X.

    item: of each; starts: the first one of each query, and the end; windows: of each query.
    """
    column = {name: number for number, name in enumerate(names)}
    total = np.zeros(item.size, np.float64)
    for model in models:
        wanted = [column[name] for name in model.names]
        label = np.zeros(item.size, np.int8)
        columns = iter([X[np.ix_(rows, np.array(wanted))]])
        data = Data.of(model.reader, starts, label, item, columns, windows)
        total += model.scores(data, np.arange(starts.size - 1), threads)
    return (total / len(models)).astype(np.float32)
