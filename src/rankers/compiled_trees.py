"""Compile XGBoost's trees to arrays, which a kernel scores in a fraction of the time.

bench/scoring.py measures it. All trees get the same depth: a leaf above it is replaced by a subtree
whose leaves all have its value. Values of features become codes of 8 bits, as long as a model has
at most 255 thresholds of a feature. Codes and thresholds compare as the floats do, and sums are in
float32 and in XGBoost's order, so the scores are equal bit by bit.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from src.core.arrays import F32, I64
from src.rankers import compiled_trees_kernel
from src.rankers.trees import TreeModel

MAX_DEPTH = 8
"""The kernel evaluates every node of a tree; it is slower than XGBoost where trees are deeper."""

LOGIT_LINK = ("binary:logistic", "reg:logistic")
LOG_LINK = ("count:poisson", "reg:gamma", "reg:tweedie")
"""Losses whose models have the base score as a prediction, not as a margin."""


@dataclass(frozen=True)
class CompiledTrees(TreeModel):
    """Trees of equal depth as arrays: a row per tree.

    The code of a value is the number of thresholds of its feature that are not above it. A feature
    has up to two columns of codes, which differ in the code of a missing value: 0 where XGBoost
    sends missing values to the left, else the number of thresholds.
    source, missing, bits, cuts: of the columns of codes: index of feature_names, code of a missing
    value, bits of a code, and thresholds, ascending and padded with infinity to (columns, any).
    Inner nodes are numbered by level: 0, 1-2, 3-6, ... A row goes to the second child of a node
    where code >= threshold, else to the first. column, threshold: (trees, inner nodes).
    leaf: (trees, leaves).
    """

    feature_names: list[str]
    source: I64
    missing: NDArray[np.unsignedinteger]
    bits: I64
    cuts: F32
    column: I64
    threshold: NDArray[np.unsignedinteger]
    leaf: F32
    base: np.float32  # added to the sum of the leaves

    @classmethod
    def compile(cls, model: xgb.Booster) -> CompiledTrees | None:
        """Compile a model with feature names; None where a tree is deeper than MAX_DEPTH."""
        learner = json.loads(model.save_raw("json"))["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        size = [len(tree["left_children"]) for tree in trees]
        root = np.cumsum([0, *size[:-1]])
        start = np.repeat(root, size)

        def joined(key: str, dtype: type = np.int64) -> np.ndarray:
            return np.concatenate([np.array(tree[key], dtype) for tree in trees])

        left, right = joined("left_children"), joined("right_children")
        node, is_leaf = np.arange(left.size), left < 0  # a leaf becomes its own children
        left, right = (np.where(is_leaf, node, start + child) for child in (left, right))
        level, levels = root[:, None], list[np.ndarray]()
        while not is_leaf[level].all() or not levels:
            if len(levels) == MAX_DEPTH:
                return None
            levels.append(level)
            level = np.stack([left[level], right[level]], axis=2).reshape(root.size, -1)
        nodes = np.concatenate(levels, axis=1)
        value = joined("split_conditions", np.float32)
        to_right = joined("default_left") == 0
        key = np.where(is_leaf, 0, 2 * joined("split_indices") + to_right)
        codes = _Codes.of(key, np.where(is_leaf, np.nan, value))
        return cls(
            list(model.feature_names or []), codes.key // 2, codes.missing, codes.bits, codes.cuts,
            codes.column[nodes], codes.threshold[nodes], value[level], _base_score(learner),
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        return self.feature_names

    def sum_trees(self, X: F32, columns: I64, rows: I64) -> F32:
        codes = (self.missing, self.bits, self.cuts)
        trees = (self.column, self.threshold, self.leaf, self.base)
        margins: F32 = compiled_trees_kernel.margins(X, rows, columns[self.source], *codes, *trees)
        return margins


class _Codes(NamedTuple):
    """Columns of codes, and the column and the threshold of each node: see CompiledTrees."""

    key: I64  # of each column: 2 * feature, + 1 where missing values go to the right
    missing: NDArray[np.unsignedinteger]
    bits: I64
    cuts: F32
    column: I64
    threshold: NDArray[np.unsignedinteger]

    @classmethod
    def of(cls, key: I64, value: F32) -> _Codes:
        """Make codes from the key and the value of each node; the value of a leaf is NaN."""
        of_column, column = np.unique(key, return_inverse=True)
        values = [np.unique(value[(column == c) & ~np.isnan(value)]) for c in range(of_column.size)]
        n_cuts = np.array([cuts.size for cuts in values])
        dtype = np.min_scalar_type(n_cuts.max())
        bits = np.array([int(n).bit_length() for n in n_cuts])
        threshold = np.zeros(value.size, dtype)  # of a leaf: any, as both children are equal
        padded = np.full((of_column.size, 2 ** bits.max() - 1), np.inf, np.float32)
        for c, cuts in enumerate(values):
            here = (column == c) & ~np.isnan(value)
            threshold[here] = np.searchsorted(cuts, value[here]) + 1
            padded[c, : cuts.size] = cuts
        missing = np.where(of_column % 2 == 1, n_cuts, 0).astype(dtype)
        return cls(of_column, missing, bits, padded, column, threshold)


def _base_score(learner: dict) -> np.float32:
    """Return the base score of the model as a margin."""
    base = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
    loss = learner["objective"]["name"]
    if loss in LOGIT_LINK:
        return np.float32(-math.log(1.0 / base - 1.0))
    return np.float32(math.log(base)) if loss in LOG_LINK else base


@dataclass(frozen=True)
class XGBoostTrees(TreeModel):
    """A model whose trees are too deep to compile; XGBoost scores."""

    model: xgb.Booster

    @property
    def names(self) -> list[str]:
        return list(self.model.feature_names or [])

    def sum_trees(self, X: F32, columns: I64, rows: I64) -> F32:
        margins: F32 = self.model.inplace_predict(X[np.ix_(rows, columns)], predict_type="margin")
        return margins


def load(path: Path, threads: int) -> TreeModel:
    """Read a model of XGBoost from a file; threads: of XGBoost's own scoring."""
    return tree_model(xgb.Booster(model_file=bytearray(path.read_bytes())), threads)


def tree_model(model: xgb.Booster, threads: int) -> TreeModel:
    """Compile a model; wrap it where its trees are too deep."""
    model.set_param({"nthread": threads})
    return CompiledTrees.compile(model) or XGBoostTrees(model)
