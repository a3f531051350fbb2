"""A row of every kind of loss, and of every way to compute one."""

from __future__ import annotations

from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.hybrid import Hybrid
from src.rankers.losses.lambdas import LambdaLoss, LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.listnet import ListNet
from src.rankers.losses.neural_ndcg import NeuralNDCG
from src.rankers.losses.pairs import RankNet
from src.rankers.losses.pointwise import BCE, SquaredError
from src.rankers.losses.softmax import Softmax

# fmt: off
POINTWISE: list[Loss] = [BCE(), BCE(threshold=2.0), SquaredError()]
OVER_POSITIVES: list[Loss] = [Softmax(), Softmax(gain="exponential")]
LISTWISE: list[Loss] = [
    ListNet(), ListNet(temperature=0.3, grade_temperature=2.0), Softmax(over="lists"),
    RankNet(), RankNet(sigma=3.0, weight="grade"), RankNet(weight="gain", reduction="sum"),
    RankNet(sampled=2), RankNet(weight="gain", sampled=1),
    ListMLE(), ListMLE("shuffle"), ListMLE("exact"), ListMLE("efron"), ListMLE("breslow"),
    ListMLE(top_k=2), ListMLE("shuffle", top_k=2, weights="log"), ListMLE("exact", weights="log"),
    ListMLE(weights="gain"), ListMLE("efron", reduction="sum"),
    LambdaRank(), LambdaRank(k=2, reduction="sum"), LambdaRank(gain="linear"),
    LambdaLoss(), LambdaLoss(scheme="ndcg_loss2", k=3), LambdaLoss(scheme="ndcg_loss1"),
    ApproxNDCG(), ApproxNDCG(temperature=1.0, gain="linear"),
    NeuralNDCG(), NeuralNDCG(temperature=0.5, k=2),
]
HYBRIDS: list[Loss] = [
    Hybrid(((0.7, ListMLE("shuffle")), (0.3, RankNet()))),
    Hybrid(((1.0, LambdaRank()), (0.1, Softmax())), balanced=False, warm_up=BCE()),
]
ROWS = [*POINTWISE, *OVER_POSITIVES, *LISTWISE, *HYBRIDS]
# fmt: on
