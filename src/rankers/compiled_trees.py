"""XGBoost's trees as arrays that a kernel asks twice as fast as XGBoost does (bench/scoring.py).

Every tree is filled up to one depth: below a leaf all nodes ask something, and all leaves are that
leaf's. The same float32 comparisons and sums in the same order: the scores are XGBoost's, bit by
bit.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import xgboost as xgb

from src.core.arrays import F32, I64
from src.rankers import compiled_trees_kernel as forest_kernel

DEEPEST = 8  # all nodes of a tree are asked: it pays while there are not too many


@dataclass(frozen=True)
class CompiledTrees:
    """Trees (rows) of inner nodes 0, 1-2, 3-6, ...: `sign * x >= threshold` goes to the second.

    A missing value fails that, so the second is the child that missing values do not go to.
    """

    names: list[str]  # of the columns that `feature` counts
    feature: I64
    sign: F32
    threshold: F32
    leaf: F32
    base: np.float32

    @classmethod
    def of(cls, model: xgb.Booster) -> CompiledTrees | None:
        """The trees of a model with feature names; None where they are too deep."""
        learner = json.loads(model.save_raw("json"))["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        size = [len(tree["left_children"]) for tree in trees]
        root = np.cumsum([0, *size[:-1]])
        start = np.repeat(root, size)

        def joined(key: str, dtype: type = np.int64) -> np.ndarray:
            return np.concatenate([np.array(tree[key], dtype) for tree in trees])

        left, right = joined("left_children"), joined("right_children")
        here, is_leaf = np.arange(left.size), left < 0  # a leaf is its own children
        left, right = (np.where(is_leaf, here, start + child) for child in (left, right))
        value, to_left = joined("split_conditions", np.float32), joined("default_left") == 1
        after = np.nextafter(-value, np.float32(np.inf))  # -x >= after: x < value
        threshold, sign = np.where(to_left, value, after), np.where(to_left, 1, -1)
        no, yes = np.where(to_left, left, right), np.where(to_left, right, left)
        feature, at = joined("split_indices"), root[:, None]
        asked: list[np.ndarray] = []
        while not is_leaf[at].all() or not asked:
            if len(asked) == DEEPEST:
                return None
            asked.append(at)
            at = np.stack([no[at], yes[at]], axis=2).reshape(root.size, -1)
        nodes = np.concatenate(asked, axis=1)
        return cls(
            list(model.feature_names or []), feature[nodes], sign[nodes].astype(np.float32),
            threshold[nodes], value[at], _base(learner),
        )  # fmt: skip

    def margins(self, X: F32, columns: I64, rows: I64) -> F32:
        """Log-odds or ranking score of some rows of X; columns: those of X that are `names`."""
        trees = (self.feature, self.sign, self.threshold, self.leaf, self.base)
        found: F32 = forest_kernel.margins(X, rows, columns, *trees)
        return found


def _base(learner: dict) -> np.float32:
    """What the sum of the trees begins with."""
    base = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
    if learner["objective"]["name"] == "binary:logistic":
        return np.float32(-math.log(1.0 / base - 1.0))
    return base
