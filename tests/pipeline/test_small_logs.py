"""Logs of one type or of two, and logs in which retrievers find little: the scripts end well.

pytest tests/pipeline/test_small_logs.py
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import worlds
from tiny import RECIPE, run_steps
from worlds import DAY, T0, TYPES, Sessions

from src.features.two_tower import TwoTowerFeature

pytestmark = pytest.mark.slow

C, A, O = TYPES  # noqa: E741
VECTORS = {"w2v", "mf", "net"}
FEW = replace(
    RECIPE, embeddings=(),
    retrievers=tuple(row for row in RECIPE.retrievers if not VECTORS & set(row.tables)),
    features=tuple(row for row in RECIPE.features
                   if not VECTORS & set(row.tables) and not isinstance(row, TwoTowerFeature)),
    rankers=RECIPE.rankers[:1],
)  # fmt: skip


def log(
    sessions: int = 300, items: int = 30, days: float = 20, lengths: tuple[int, ...] = (2, 3, 5),
    types: tuple[str, ...] = TYPES, repeats: bool = True, gap: int = 30_000,
) -> Sessions:  # fmt: skip
    draw, found = random.Random(1), []
    for session in range(sessions):
        ts, n = T0 + draw.randrange(int(days * DAY) + 1), draw.choice(lengths)
        chosen = draw.choices(range(items), k=n) if repeats else draw.sample(range(items), n)
        found.append((session, [(item, ts + gap * place, draw.choice(types))
                                for place, item in enumerate(chosen)]))  # fmt: skip
    return found


def run(folder: Path, **changes: Any) -> int:
    worlds.write(folder / "in", "train", log(**changes))
    return run_steps(folder / "in", folder / "out", recipe=FEW)


@pytest.mark.parametrize("types", [(A,), (O,), (C, A), (C, O), (A, O)], ids="-".join)
def test_some_types(types: tuple[str, ...], tmp_path: Path) -> None:
    assert run(tmp_path, types=types) == 0
    cv = json.loads((tmp_path / "out" / "cv.json").read_text())
    assert set(cv["objectives"]) == set(types), "no objective that nothing can be learned of"
    assert min(entry["score"] for entry in cv["objectives"].values()) > 0.3


FINDS_LITTLE = {
    "every item once": {"items": 1200, "repeats": False, "sessions": 200},
    "most sessions of one event": {"lengths": (1, 1, 1, 1, 2)},
    "no time between events": {"gap": 0},
}


@pytest.mark.parametrize("name", FINDS_LITTLE)
def test_retrievers_that_find_little(name: str, tmp_path: Path) -> None:
    assert run(tmp_path, **FINDS_LITTLE[name]) == 0
    cv = json.loads((tmp_path / "out" / "cv.json").read_text())
    assert all(0 <= entry["score"] <= 1 for entry in cv["objectives"].values())


@pytest.mark.parametrize(
    ("changes", "cure"),
    [({"lengths": (1,)}, "larger split_days"), ({"days": 0.9}, "smaller split_days"),
     ({"days": 0.0, "gap": 0}, "smaller split_days")],
    ids=["one event a session", "one day", "one second"],
)  # fmt: skip
def test_logs_without_queries_or_history_are_refused(
    changes: dict[str, Any], cure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, **changes) == 2
    error = capsys.readouterr().err
    assert cure in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "splits.json").exists()
