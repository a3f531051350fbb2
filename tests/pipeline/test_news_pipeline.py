"""The seven scripts on a tiny news site whose readers go on to a known article.

pytest tests/pipeline/test_news_pipeline.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from news import ARTICLES, END_GAP, LOG, T0, TEST, article_lines, click_lines
from tiny import run_steps
from worlds import NEWS

from src.datasets import submission_rows
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.din import DIN
from src.rankers.xgb import XGBoostRanker

pytestmark = pytest.mark.slow

N_ARTICLES, STEP = 40, 7  # a reader of article x goes on to x + STEP
RETRIEVERS = {"end_next", "visit_end", "itemcf", "flow_1h", "popular_10m", "popular_around",
              "w2v", "net_ends"}  # fmt: skip
WHOLE = NEWS.recipe
RECIPE = replace(
    WHOLE,
    name="tiny",
    embeddings=(
        Word2VecEmbedding("w2v", dim=8, epochs=2),
        TwoTowerEmbedding("net", dim=8, n_targets=1, epochs=2),
    ),
    retrievers=tuple(row for row in WHOLE.retrievers if row.name in RETRIEVERS),
    baselines=tuple(row for row in WHOLE.baselines if set(row.retrievers) <= RETRIEVERS),
    features=tuple(
        row
        for row in WHOLE.features
        if getattr(row, "table", "visit") in ("end_next", "visit", "w2v")
    ),
    rankers=(
        *(
            replace(
                row,
                num_boost_round=20,
                params=tuple({**dict(row.params), "max_depth": 3}.items()),
            )
            for row in WHOLE.rankers
            if isinstance(row, XGBoostRanker)
        ),
        NetRanker(
            "din", DIN(), Softmax(), categories=("category_value", "context_region"),
            max_items=100, batch_size=32, epochs=4, learning_rate=0.01,
        ),
    ),
    pool_size=20,
    negatives_per_positive=5.0,
)  # fmt: skip
TINY_NEWS = replace(NEWS, recipe=RECIPE)


def news(seed: int, users: range) -> list[tuple[int, int, int]]:
    """Visits of two or three clicks; four ends in five go where they should."""
    rng = np.random.default_rng(seed)
    clicks = []
    for user in users:
        for visit in range(1 + user % 2):
            ts = T0 + visit * 86_400_000 + int(rng.integers(80_000_000))
            item = int(rng.integers(N_ARTICLES))
            clicks += [(user, int(rng.integers(N_ARTICLES)), ts - 60_000)] * (user % 3 == 0)
            follower = (item + STEP) if rng.random() < 0.8 else int(rng.integers(N_ARTICLES))
            clicks += [(user, item, ts), (user, follower % N_ARTICLES, ts + END_GAP)]
    return clicks


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("news")
    test = news(2, range(1000, 1200))
    last = {user: i for i, (user, _, _) in enumerate(test)}
    shown = [click for i, click in enumerate(test) if i != last[click[0]]]
    (folder / LOG).write_text(click_lines(news(1, range(800))))
    (folder / TEST).write_text(click_lines(shown))
    articles = [(a, a % 3, T0, 200 + a) for a in range(N_ARTICLES - 2)]  # two are not known
    (folder / ARTICLES).write_text(article_lines(articles))
    (folder / "truth.json").write_text(json.dumps({u: test[i][1] for u, i in last.items()}))
    assert run_steps(folder, folder / "out", recipe=RECIPE, dataset=NEWS) == 0
    return folder / "out"


def test_the_known_article_comes_first_out_of_fold_and_on_test(out: Path) -> None:
    cv = json.loads((out / "cv.json").read_text())
    lists = pl.read_csv(out / "submission.csv")
    truth = json.loads((out.parent / "truth.json").read_text())
    places = [
        (row.index(truth[str(user)]) + 1) if truth[str(user)] in row else np.inf
        for user, *row in lists.iter_rows()
    ]
    score = np.mean(1 / np.array(places))
    assert cv["metric"] == "mrr@5" and cv["score"] > 0.7
    assert abs(score - cv["score"]) < 0.1, "what is promised is what comes"


def test_submission(out: Path) -> None:
    expected = TINY_NEWS.expected(out.parent)
    assert expected.queries.size == 200 and expected.items is not None
    form = TINY_NEWS.submission_format()
    assert submission_rows.check(out / "submission.csv", form, expected) == []


def test_each_fold_has_its_logs(out: Path) -> None:
    for fold in range(RECIPE.folds):
        folder = out / "logs" / RECIPE.rankers[0].name / "ends" / f"fold_{fold}"
        curve = pl.read_csv(folder / "curve.csv")
        assert {"valid_auc", "valid_ndcg_5"} <= set(curve.columns)
        facts = json.loads((folder / "fold.json").read_text())
        best = curve["valid_ndcg_5"].max()
        assert facts["valid_ndcg_5"] == pytest.approx(best), "stopped where ndcg@5 is best"
