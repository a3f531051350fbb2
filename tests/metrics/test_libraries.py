"""Metrics equal those of libraries, each under its own convention, on random lists with ties.

pytest tests/metrics/test_libraries.py
"""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import xgboost
from needs import needs_package
from scored_lists import ScoredLists, random_lists
from sklearn.metrics import ndcg_score

from src.metrics.average_precision import MAP
from src.metrics.base import WHOLE_LIST as ALL
from src.metrics.base import Metric
from src.metrics.hit_rate import HitRate
from src.metrics.mrr import MRR
from src.metrics.named import metric_named
from src.metrics.ndcg import NDCG
from src.metrics.precision import Precision
from src.metrics.recall import Recall

SEEDS, CUTS = (1, 2), (1, 3, 5, 10, 40)
TOLERANCE = 1e-6


def gains(lists: ScoredLists, exponential: bool) -> ScoredLists:
    """The same lists with gains as grades, which a linear gain then keeps."""
    if not exponential:
        return lists
    grade = np.exp2(lists.grade) - 1
    return ScoredLists(lists.offsets, lists.item, lists.score, grade, lists.listed)


@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_scikit_learn_averages_over_ties_and_counts_empty_lists_0(
    seed: int, exponential: bool
) -> None:
    lists = gains(random_lists(seed), exponential)
    for k in CUTS:
        wanted = [ndcg_score([q.grade], [q.score], k=k) for q in lists.queries()]
        found = lists.values(NDCG(k, gain="linear"), "averaged")
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE)
        assert np.abs(found - lists.values(NDCG(k, gain="linear"))).max() > 0.1, "ties matter"


@pytest.mark.parametrize("exponential", [False, True])
def test_scikit_learn_without_ties_is_our_order_by_item(exponential: bool) -> None:
    lists = random_lists(3)
    score = np.random.default_rng(3).permutation(lists.item.size).astype(np.float32)
    lists = ScoredLists(lists.offsets, lists.item, score, lists.grade, lists.listed)
    metric = NDCG(10, gain="exponential" if exponential else "linear")
    of_gains = gains(lists, exponential)
    wanted = [ndcg_score([q.grade], [q.score], k=10) for q in of_gains.queries()]
    np.testing.assert_allclose(lists.values(metric), wanted, atol=TOLERANCE)


RANX: dict[str, Metric] = {
    "ndcg": NDCG(ALL, gain="linear"), "ndcg_burges": NDCG(ALL), "map": MAP(), "mrr": MRR(ALL),
} | {
    f"{name}@{k}": metric
    for k in CUTS
    for name, metric in {
        "ndcg": NDCG(k, gain="linear"), "ndcg_burges": NDCG(k), "map": MAP(k), "mrr": MRR(k),
        "precision": Precision(k), "hit_rate": HitRate(k), "recall": Recall(k, norm="all"),
    }.items()
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ranx_counts_empty_lists_0() -> None:
    """Its sort is not stable, so it gets the order by item of equal scores as minus the ranks."""
    ranx = needs_package("ranx")
    lists = random_lists(4, unlisted=0.3)
    judged = {
        f"q{n}": {str(item): int(grade) for item, grade in zip(q.item, q.grade, strict=True)}
        for n, q in enumerate(lists.queries())
    }
    run = {
        f"q{n}": {
            str(q.item[i]): -float(rank) for rank, i in enumerate(np.lexsort((q.item, -q.score)))
        }
        for n, q in enumerate(lists.queries(listed=True))
    }
    wanted = ranx.evaluate(ranx.Qrels(judged), ranx.Run(run), list(RANX))
    found = {name: lists.mean(metric) for name, metric in RANX.items()}
    assert found == pytest.approx(wanted, abs=TOLERANCE)


TREC: dict[str, Metric] = {
    "map": MAP(),
    "recip_rank": MRR(ALL),
    "ndcg": NDCG(ALL, gain="linear"),
}
TREC |= {
    f"{name}_{k}": metric
    for k in (1, 5, 10)
    for name, metric in {
        "ndcg_cut": NDCG(k, gain="linear"), "map_cut": MAP(k), "P": Precision(k),
        "recall": Recall(k, norm="all"), "success": HitRate(k),
    }.items()
}  # fmt: skip


def test_trec_eval_orders_ties_by_name_backwards_and_counts_judged_queries() -> None:
    pytrec_eval = needs_package("pytrec_eval")
    lists, last = random_lists(5, unlisted=0.3), 500
    judged = {
        f"q{n}": {str(last - item): int(grade) for item, grade in zip(q.item, q.grade, strict=True)}
        for n, q in enumerate(lists.queries())
    }
    run = {
        f"q{n}": {str(last - i): float(score) for i, score in zip(q.item, q.score, strict=True)}
        for n, q in enumerate(lists.queries(listed=True))
    }
    measures = {"map", "recip_rank", "ndcg"}
    measures |= {f"{m}.1,5,10" for m in ("ndcg_cut", "map_cut", "P", "recall", "success")}
    of_query = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(run)
    for name, metric in TREC.items():
        wanted = [of_query[f"q{n}"][name] for n in range(len(run))]
        np.testing.assert_allclose(lists.values(metric), wanted, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_lightgbm_counts_empty_lists_1_and_caps_the_positives_of_map(seed: int) -> None:
    lists = random_lists(seed)
    params = {"objective": "lambdarank", "metric": ["ndcg", "map"], "verbose": -1,
              "eval_at": list(CUTS)}  # fmt: skip
    rows = lightgbm.Dataset(
        np.zeros((lists.item.size, 1)), lists.grade, group=np.diff(lists.offsets),
        init_score=lists.score, params={"verbose": -1, "feature_pre_filter": False},
    )  # fmt: skip
    wanted = {row[1]: row[2] for row in lightgbm.Booster(params, rows).eval_train()}
    metrics = {f"ndcg@{k}": NDCG(k, empty="one") for k in CUTS}
    metrics |= {f"map@{k}": MAP(k, norm="capped", empty="one") for k in CUTS}
    found = {name: lists.mean(metric) for name, metric in metrics.items()}
    assert found == pytest.approx(wanted, abs=TOLERANCE)


def of_xgboost(lists: ScoredLists, metrics: list[str], **params: object) -> dict[str, float]:
    """XGBoost's own evaluation of given scores."""
    rows = xgboost.DMatrix(np.zeros((lists.item.size, 1)), lists.grade)
    rows.set_group(np.diff(lists.offsets))
    rows.set_base_margin(lists.score)
    settings = {"eval_metric": metrics, "base_score": 0.0, **params}
    text = xgboost.Booster(settings, [rows]).eval(rows)
    parts = (part.rpartition(":") for part in text.split("\t")[1:])
    return {name.removeprefix("eval-"): float(value) for name, _, value in parts}


@pytest.mark.parametrize("gain", ["exponential", "linear"])
@pytest.mark.parametrize("seed", SEEDS)
def test_xgboost_counts_empty_lists_1_or_0_with_a_minus(seed: int, gain) -> None:
    lists = random_lists(seed)
    names = {f"ndcg@{k}{sign}": (k, sign) for k in CUTS for sign in ("", "-")}
    exponential = gain == "exponential"
    wanted = of_xgboost(lists, list(names), objective="rank:ndcg", ndcg_exp_gain=exponential)
    found = {
        name: lists.mean(NDCG(k, gain=gain, empty="zero" if sign else "one"))
        for name, (k, sign) in names.items()
    }
    assert found == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize("seed", SEEDS)
def test_xgboost_caps_the_positives_of_map(seed: int) -> None:
    lists = random_lists(seed, top=1)
    names = {f"map@{k}{sign}": (k, sign) for k in CUTS for sign in ("", "-")}
    wanted = of_xgboost(lists, list(names), objective="rank:map")
    found = {
        name: lists.mean(MAP(k, norm="capped", empty="zero" if sign else "one"))
        for name, (k, sign) in names.items()
    }
    assert found == pytest.approx(wanted, abs=TOLERANCE)


def test_the_convention_of_empty_lists_is_no_detail() -> None:
    """A tenth of the lists moves NDCG by a tenth; left out, the mean is over the others."""
    lists = random_lists(6)
    zero, one, skip = (
        lists.mean(metric_named(f"ndcg@10:empty={empty}")) for empty in ("zero", "one", "skip")
    )
    share = (lists.judged.positives == 0).mean()
    assert one - zero == pytest.approx(share) and skip == pytest.approx(zero / (1 - share))
