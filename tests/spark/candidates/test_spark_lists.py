"""Lists that tasks of Spark write have the bytes of those of the CPU, for every kind of step 3.

pytest tests/spark/candidates
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from planted import BARE, planted_split

from src.candidates.base import Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.lists import write_candidates
from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.core import store
from src.core.engines import SparkEngine
from src.data import shards
from src.data.split_data import SplitData
from src.data.units import HOUR

EVERY_KIND: tuple[Retriever, ...] = (
    HistoryRetriever("own", Seeds()),
    ItemToItemRetriever("near", "near", Seeds(decay=0.7)),
    SessionKnnRetriever("vsknn", neighbours=20, idf=True),
    PopularRetriever("hour", window_s=HOUR, bucket_s=300),
    TransitionRetriever("flow", Seeds(max_items=1), half_life=12 * HOUR),
    NewItemRetriever("fresh", "created", max_age_days=4.0, same="category"),
)


@pytest.fixture(params=[False, True], ids=["all items", "unseen items"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, spark: SparkEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> list[SplitData]:  # fmt: skip
    """The same split twice, of shards of 10 queries: for the CPU, and for Spark."""
    monkeypatch.setattr(shards, "QUERIES_PER_SHARD", 10)
    recipe = replace(BARE, exclude_seen=request.param)
    data = [planted_split(tmp_path / name, recipe) for name in ("cpu", "spark")]
    data[1].run = replace(data[1].run, engine=spark)
    return data


def files(data: SplitData, row: Retriever) -> list[Path]:
    return shards.shard_files(data.run, data.split, f"candidates/{row.name}")


def test_every_kind_has_the_bytes_of_the_cpu(both: list[SplitData]) -> None:
    for row in EVERY_KIND:
        assert [write_candidates(data, row)["built"] for data in both] == [4, 4]
        pairs = zip(*(files(data, row) for data in both), strict=True)
        assert all(cpu.read_bytes() == spark.read_bytes() for cpu, spark in pairs), row.name
    row, spark = EVERY_KIND[2], both[1]
    before = files(spark, row)[2].read_bytes()
    store.remove(files(spark, row)[2])
    assert write_candidates(spark, row) == {"built": 1, "cached": 3}, "only what is missing"
    assert files(spark, row)[2].read_bytes() == before


def test_an_error_of_a_task_is_that_of_the_cpu(both: list[SplitData]) -> None:
    said = []
    for data in both:
        (data.run.output / "valid" / "matrices" / "near.parquet").write_bytes(b"PAR1")
        with pytest.raises(ValueError, match="Parquet file size") as error:
            write_candidates(SplitData(data.run, "valid"), EVERY_KIND[1])
        said.append(str(error.value).replace(str(data.run.output), ""))
        assert not list(data.run.output.rglob(".part-*"))
    assert said[0] == said[1]
