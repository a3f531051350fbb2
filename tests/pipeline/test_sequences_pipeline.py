"""From planted sequences to lists: the seven scripts, and the tools on their output.

pytest tests/pipeline/test_sequences_pipeline.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import interactions as log
import numpy as np
import polars as pl
import pytest
import worlds

from src import cli
from src.candidates.generated import GeneratedRetriever
from src.datasets.interactions import cuts
from src.datasets.sequences import recipe
from src.datasets.sequences.recipe import NET
from src.embeddings.generator import GeneratorEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.generator import GeneratorFeature
from src.rankers.xgb import XGBoostRanker
from src.tools import check, score

pytestmark = pytest.mark.slow

ITEMS, USERS, NEXT = 60, 200, 0.7
STEPS = sorted(path.stem for path in worlds.ROOT.glob("[1-7]_*.py"))
GENERATOR = (
    Word2VecEmbedding("w2v", dim=8, epochs=2),
    GeneratorEmbedding("ids", ("w2v",), sizes=(4, 4), dim=32, layers=1, epochs=8, batch_size=32,
                       learning_rate=0.01, dropout=0.0, hidden=0.0),
)  # fmt: skip
TREES = (("objective", "rank:ndcg"), ("max_depth", 3), ("learning_rate", 0.2))


def planted(seed: int = 1) -> str:
    """Users who mostly take the next item of a ring, where they have not been."""
    draw, lines = np.random.default_rng(seed), []
    for user in range(USERS):
        items = [int(draw.integers(ITEMS))]
        for _ in range(int(draw.integers(4, 9))):
            follows = (items[-1] * 7 + 11) % ITEMS
            new = follows if draw.random() < NEXT else int(draw.integers(ITEMS))
            if new not in items:
                items.append(new)
        lines.append(" ".join([f"u{user}", *(f"i{item}" for item in items)]))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files in in/, the output of all scripts in out/."""
    folder, made = tmp_path_factory.mktemp("sequences"), recipe.recipe_of
    log.write(folder, planted(), "user_sequence.txt")
    log.write(folder, "".join(f"i{n} word{n % 7}\n" for n in range(ITEMS)), "item_textual_id.txt")

    def small(found):
        recipe, row = made(found), XGBoostRanker("ndcg", TREES, 20, eval_metric="ndcg@10")
        return replace(
            recipe, rankers=(row,), embeddings=(*GENERATOR, replace(NET, dim=8, epochs=4)),
            retrievers=(*recipe.retrievers, GeneratedRetriever("generated", "ids", 20, 40)),
            features=(*recipe.features, GeneratorFeature("ids")),
        )  # fmt: skip

    argv = ["--dataset", "sequences", "--input", str(folder / "in")]
    argv += ["--output", str(folder / "out"), "--engine", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.datasets.sequences.dataset.recipe_of", small)
        patch.setattr(cuts, "EARLIER_LEVELS", 2)  # one training split
        for name in STEPS:
            step = worlds.script(name)
            assert cli.main(step.__doc__, step.__file__, step.body, argv) == 0
    return folder


def test_what_comes_next_is_found(folder: Path) -> None:
    cv = json.loads((folder / "out" / "cv.json").read_text())
    assert cv["metric"] == "ndcg@10" and cv["score"] > 0.55


def test_a_generator_finds_what_comes_next(folder: Path) -> None:
    """It is trained on the events of `valid` and of `train_1`, never on those of `test`."""
    out = folder / "out"
    found = pl.read_csv(out / "logs" / "pool" / "retrievers.csv").filter(retriever="generated")
    assert found["interactions_recall_10"].item() > 0.4
    valid, test, earlier = (
        [(out / split / "embeddings" / f"ids.{end}").read_bytes() for end in ("pt", "ids.npy")]
        for split in ("valid", "test", "train_1")
    )
    assert valid == test and valid != earlier


def test_no_ranker_learns_from_the_items_of_valid(folder: Path) -> None:
    out = folder / "out"
    assert [split["name"] for split in worlds.splits(out)] == ["valid", "test", "train_1"]
    (logged,) = (out / "logs" / "ndcg").rglob("fold.json")
    rows = json.loads(logged.read_text())
    of_train = pl.read_parquet(out / "train_1" / "train" / "*.parquet").height
    assert rows["train_rows"] == of_train


def test_the_answer_is_right_and_is_scored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--dataset", "sequences", "--output", str(folder / "out")]
    assert check.body(check.parse([*flags, "--input", str(folder / "in")])) == 0
    labels = folder / "out" / "test" / "labels.parquet"
    capsys.readouterr()
    assert score.body(score.parse([*flags, "--labels", str(labels)])) == 0
    assert "hit@10" in capsys.readouterr().out
    lists = pl.read_csv(folder / "out" / "submission.csv")
    shown = log.events(folder / "out", "test")
    for user, *items in lists.rows():
        assert len(set(items)) == 10 and not set(items) & {item for item, _ in shown[user]}
