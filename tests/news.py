"""A tiny news site: its raw click logs, and step 1 run on them in-process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import worlds

from src import cli
from src.datasets.tianchi.clicklog import ARTICLE, CLICK, CONTEXT, END_GAP

T0 = 1_506_826_800_000
SECOND, DAY = 1000, 86_400_000
LOG, TEST, ARTICLES = "train_click_log.csv", "testA_click_log.csv", "articles.csv"
RECIPE = replace(worlds.NEWS.recipe, name="news")

Click = tuple[int, int, int]  # user, article, ms


def click_lines(clicks: Iterable[Click]) -> str:
    lines = [f"{user},{item},{ts},4,{1 + user % 3},12,1,{user % 28},2" for user, item, ts in clicks]
    return "\n".join([",".join([*CLICK, *CONTEXT]), *lines]) + "\n"


def article_lines(rows: Iterable[tuple[int, ...]]) -> str:
    return "\n".join([",".join(ARTICLE), *(",".join(map(str, row)) for row in rows)]) + "\n"


def visit(user: int, start: int, *item_ids: int) -> list[Click]:
    """Clicks a minute apart, the last one 30 s after the one before."""
    times = [start + i * 60 * SECOND for i in range(len(item_ids) - 1)]
    return list(zip([user] * len(item_ids), item_ids, [*times, times[-1] + END_GAP], strict=True))


def write(
    folder: Path, train: list[Click] | None = None, test: list[Click] | None = None
) -> dict[str, Path]:
    """A small competition: 40 train users of one or two visits, 8 test users, 12 articles."""
    (folder / "in").mkdir(exist_ok=True)
    if train is None:
        train = []
        for user in range(40):
            train += visit(user, T0 + user * SECOND, 10 + user % 5, 20 + user % 7)
            if user % 2:
                train += visit(user, T0 + DAY + user * SECOND, 10 + user % 3, 14, 20)
    if test is None:
        test = [c for u in range(100, 108) for c in visit(u, T0 + u * SECOND, 11, 12, 21)[:-1]]
    articles = [(a, a % 3, T0 - DAY // 2, 200 + a) for a in range(10, 22)]
    articles += [(5, 1, T0 + DAY, 9), (6, 1, T0 - 30 * DAY, 9)]  # never clicked: fresh, stale
    files = {
        LOG: click_lines(train), TEST: click_lines(test), ARTICLES: article_lines(articles)
    }  # fmt: skip
    for name, text in files.items():
        (folder / "in" / name).write_text(text)
    return {name: folder / "in" / name for name in files}


def prepare(patch: pytest.MonkeyPatch, folder: Path, *flags: str, **changes: Any) -> int:
    """Run 1_preparation.py from folder/in to folder/out; changes are those of the recipe."""
    worlds.register(patch, replace(RECIPE, **changes), worlds.NEWS)
    step = worlds.script("1_preparation")
    argv = ["--dataset", "news", "--input", str(folder / "in"), "--output", str(folder / "out")]
    return cli.main(step.__doc__, step.__file__, step.body, [*argv, "--engine", "cpu", *flags])
