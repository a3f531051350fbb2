"""The benches of embeddings against step 4 itself, on a planted split.

pytest tests/embeddings/test_bench_embeddings.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from planted import BARE, N_ITEMS, planted_split, run_in, whole
from worlds import script

from bench import generators, learning, vectors
from src.candidates.base import Baseline
from src.candidates.generated import GeneratedRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.lists import CandidateLists
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.two_tower import TwoTowerRetriever
from src.core.run import Run
from src.data import paths
from src.data.schemas import LABELS
from src.data.split_data import SplitData
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.matrices.covisitation import CovisitationMatrix

NET = TwoTowerEmbedding("net", dim=8, epochs=2, batch_negatives=50)
W2V = Word2VecEmbedding("w2v", dim=8, epochs=2)
RECIPE = replace(
    BARE, matrices=(CovisitationMatrix("near", max_steps=2, top_n=15),), pool_size=60,
    embeddings=(NET, W2V, FactorizationEmbedding("mf", dim=8, epochs=2)),
    retrievers=(
        PopularRetriever("popular", top=30), ItemToItemRetriever("near", "near", Seeds()),
        TwoTowerRetriever("net_carts", "net", objective=1, top=50),
        ItemToItemRetriever("w2v_latest", "w2v", vectors.LATEST, neighbours=40, top=50),
    ),
    baselines=(Baseline("popular", ("popular",)),),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Steps 3 and 4, run on random labels."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(1)
    data = planted_split(folder, RECIPE)
    queries = rng.integers(data.first_query, data.n_sessions, 150)
    rows = {(int(s), int(rng.integers(3)), int(rng.integers(N_ITEMS - 1)), 1.0) for s in queries}
    whole(paths.labels(data.run, "valid"), pl.DataFrame(sorted(rows), schema=LABELS, orient="row"))
    for step in ("3_candidates", "4_embeddings"):
        script(step).body(run_in(folder, RECIPE, f"{step}.py"))
    return run_in(folder, RECIPE, "4_embeddings.py")


def test_lists_find_what_step_4_says_they_do(run: Run) -> None:
    """Retrievers as the table of all retrievers has them, which is counted in another way."""
    embeddings = vectors.embeddings_of(run, [], ["gru"], {"epochs": 1})
    assert [row.name for row in embeddings] == ["net", "w2v", "mf", "net_gru"]
    embeddings = [*RECIPE.embeddings, embeddings[-1]]
    ours = vectors.train(run, ["valid"], embeddings)
    found = {(row[0], row[1]): row for row in vectors.rows(ours, ["valid"], embeddings)}
    table = pl.read_csv(run.output / "logs" / "pool" / "retrievers.csv")
    recalls = {row["retriever"]: row for row in table.to_dicts()}
    for retriever, name, objective in (
        ("popular", "popular", "clicks"), ("popular", "popular", "orders"),
        ("net_carts", "net, two towers", "carts"), ("w2v_latest", "w2v, neighbours", "clicks"),
    ):  # fmt: skip
        recall = recalls[retriever][f"{objective}_recall_20"]
        assert float(found[name, objective][2]) == pytest.approx(recall, abs=6e-5)
    assert found["popular", "clicks"][7] == "[0.0000, 0.0000]"
    assert ("net_gru, two towers", "clicks") in found
    log = pl.read_csv(paths.embedding_log(ours, "valid", "net_gru"))
    assert log.height == 1


def test_a_list_joins_those_of_its_query() -> None:
    columns = (np.array([0, 1, 0], np.uint16), np.array([0, 0, 0], np.uint16),
               np.array([7, 8, 9], np.int32), np.array([3, 2, 1], np.float32))  # fmt: skip
    lists = CandidateLists(np.array([0, 2, 2, 3]), *columns)
    item = np.array([[4, 5], [6, -1], [-1, -1]], np.int32)
    longer = vectors.with_list(lists, item, item.astype(np.float32))
    assert longer.offsets.tolist() == [0, 4, 5, 6]
    assert longer.item.tolist() == [7, 8, 4, 5, 6, 9]
    assert longer.retriever.tolist() == [0, 1, 2, 2, 2, 0]
    assert longer.rank.tolist() == [0, 0, 0, 1, 0, 0]
    assert longer.score.tolist() == [3, 2, 4, 5, 6, 1]


def test_costs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for every kind that is trained, and for the searches."""
    monkeypatch.setattr(learning, "LOOKED_UP", 10)
    sessions = learning.Sessions.load(run, "valid")
    costs = learning.training_costs(run, sessions)
    assert [(cost.name, cost.unit) for cost in costs] == [
        ("net", "positions"), ("w2v", "events"), ("mf", "pairs")
    ]  # fmt: skip
    assert all(0 < cost.measured < cost.at_full_size for cost in costs)
    cost = learning.Cost("x", "events", 2_000_000, 4.0, 60_000_000)
    assert cost.cells()[3:] == ["4.0", "2.0", "60,000,000", "2.0"]


def test_what_generators_find(run: Run) -> None:
    """Against plain loops over the lists, of some queries."""
    rows = generators.rows_of(run.recipe, None, ["random"], {"epochs": 1, "dim": 8})
    assert [row.name for row in rows] == ["w2v", "generator", "generator_random"]
    assert rows[0] is W2V and rows[1].vectors == ("w2v",) and rows[2].vectors == ()
    others = generators.other_lists(run, "valid")
    trained = vectors.train(run, ["valid"], rows)
    found = generators.measured(trained, "valid", "generator", others, None)
    data = SplitData(trained, "valid")
    row = GeneratedRetriever("r", "generator", generators.TOP)
    listed = row.lists(data, data.first_query, data.n_sessions)[0]
    labels = pl.read_parquet(paths.labels(run, "valid")).filter(objective=0)
    hits, alone = {}, {}
    for session, of in labels.group_by("session"):
        q = int(session[0]) - data.first_query
        known = set(others.item[others.offsets[q] : others.offsets[q + 1]].tolist())
        right = set(of["item"].to_list())
        hits[int(session[0])] = bool(right & set(listed[q, :10].tolist()))
        new = len(right & set(listed[q].tolist()) - known)
        alone[int(session[0])] = new / len(right)
    assert found.scores[2].score() == pytest.approx(np.mean(list(hits.values())))
    assert dict(zip(found.alone.session.tolist(), (found.alone.value / found.alone.ideal).tolist(),
                    strict=True)) == pytest.approx(alone)  # fmt: skip
    assert found.in_pool.session.size == len(alone) and sum(alone.values()) > 0


@pytest.mark.parametrize(("queries", "blocks"), [(None, 5), (2 * generators.BLOCK, 2), (1, 1)])
def test_blocks_of_queries_are_spread(run: Run, queries: int | None, blocks: int) -> None:
    data = SplitData(run, "valid")
    data.first_query, data.n_sessions = 3, 3 + 4 * generators.BLOCK + 7
    found = list(generators.sampled_blocks(data, queries))
    assert len(found) == blocks and found[0][0] == 3
    assert sorted(set(found)) == found and all(0 < e - f <= generators.BLOCK for f, e in found)
    if blocks > 1:
        assert found[-1][1] == data.n_sessions
