"""Multi-task nets on planted tasks: where sharing helps, what scenes are worth.

pytest tests/rankers/nets/test_planted_tasks.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.tasks import NAMES, NETS, TASKS, auc, aucs, row_of, trained, two_tasks
from src.core.engines import resolve
from src.rankers.nets.histories import no_events
from src.rankers.nets.inputs import QueryRows
from src.rankers.nets.model import NetModel
from src.rankers.train_set import TrainSet

MMOE = NETS["mmoe"]
EVERY = [name for name, net in NETS.items() if net.multi_task]


@pytest.mark.parametrize("name", EVERY)
def test_a_rare_task_gains_where_tasks_agree_and_a_common_one_loses_nothing(
    name: str, tmp_path: Path
) -> None:
    for agreement in (0.0, 1.0):
        table = two_tasks(tmp_path, agreement)
        alone, together = (aucs(NETS[net], table, 0) for net in ("single", name))
        assert together[0] > alone[0] - 0.02
        if agreement == 1.0:
            assert alone[1] < 0.6 and together[1] > alone[1] + 0.15


def test_a_task_without_weight_is_not_learned(tmp_path: Path) -> None:
    table, net = two_tasks(tmp_path, 0.0), replace(MMOE, weights=(("many", 0.0),))
    _, score = trained(row_of(net, epochs=4), table, TASKS, 0)
    assert abs(auc(table, "many", score[:, 0]) - 0.5) < 0.1


def scores_as(model: NetModel, table: Path, kind: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the rows of kind 0 of fold 0 for the first task, as if of another kind; labels."""
    rows = TrainSet.read([table], TASKS)
    X = rows.load(rows.fold == 0, [*NAMES, "kind"])
    some = X[:, -1] == 0
    label, X = rows.grades()[rows.fold == 0][some, 0], X[some]
    X[:, -1] = kind
    n = len(X)
    queries = QueryRows.of(
        model.scaler, np.arange(n + 1), label, np.zeros(n, np.int32), [X], no_events(n)
    )
    return model.score_queries(queries, np.arange(n))[:, 0], label


def test_a_scene_picks_what_is_learned_and_an_unknown_one_takes_the_shared_tower(
    tmp_path: Path,
) -> None:
    """In kind 2 all labels are turned around, so most rows of a shared tower are not."""
    table = two_tasks(tmp_path, 0.5)
    net = replace(MMOE, scene="kind", scene_rows=100, hidden_scenes=0.3)
    model, _ = trained(row_of(net, epochs=10), table, TASKS, 0)
    own, label = scores_as(model, table, 0)
    unknown, turned = (scores_as(model, table, kind)[0] for kind in (77, 2))
    signs = [np.corrcoef(score, label)[0, 1] for score in (own, unknown, turned)]
    assert signs[0] > 0.6 and 0.15 < signs[1] < signs[0] and signs[2] < -0.6
    rare = replace(net, scene_rows=10**6)
    model, _ = trained(row_of(rare, epochs=1), table, TASKS, 0)
    assert len(model.nets[0].towers) == 2, "no scene has so many rows: all share"
    scores = [scores_as(model, table, kind)[0] for kind in (0, 2, 77)]
    assert (scores[0] == scores[1]).all() and (scores[0] == scores[2]).all()


def test_a_file_and_threads_give_the_same_scores(tmp_path: Path) -> None:
    table = two_tasks(tmp_path, 0.5, rows=600)
    net = replace(NETS["ple"], scene="kind", scene_rows=50)
    model, _ = trained(row_of(net, epochs=1, nets=2), table, TASKS, 0)
    model.save(tmp_path / "model.pt")
    loaded = NetModel.load(model.ranker, tmp_path / "model.pt", 1, resolve("cpu"))
    assert loaded.objectives == ("many", "few")
    found = [scores_as(m, table, 1)[0].tobytes() for m in (model, loaded)]
    again, _ = trained(row_of(net, epochs=1, nets=2), table, TASKS, 0)
    assert found[0] == found[1] == scores_as(again, table, 1)[0].tobytes()
