"""Evaluate gradient-boosted trees and their calibration with numpy.

The arrays come from scikit-learn's `HistGradientBoostingClassifier` and from the calibrator of
`CalibratedClassifierCV(ensemble=False)`. The probabilities agree with scikit-learn's to 1e-12.
scikit-learn is too large for a function, so only training uses it (docs/adr/0006).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desireline.errors import InvalidModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

BLOCK_ROWS = 128
"""Rows to evaluate at a time, so that the arrays of a step fit a core's cache."""

_ARRAYS: Mapping[str, type[np.generic]] = {
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "missing_left": np.bool_,
    "value": np.float64,
    "cover": np.float64,
    "is_leaf": np.bool_,
    "roots": np.int32,
}


@dataclass(frozen=True, eq=False)
class Trees:
    """The nodes of all trees, one tree after the other. A leaf is its own child.

    Arrays by node: feature: its column. threshold: values at or below it go left; it is infinite if
    only missing values go right. left, right: absolute indices of the children. missing_left:
    whether a missing value goes left. value: of a leaf, in log-odds. cover: the number of training
    rows that reached the node.

    roots: the first node of each tree. depth: the steps that reach every leaf. baseline: log-odds
    before the first tree. features: the number of columns.
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: Bools
    value: Floats
    cover: Floats
    is_leaf: Bools
    roots: Ints
    depth: int
    baseline: float
    features: int

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        *,
        depth: int,
        baseline: float,
        features: int,
    ) -> Trees:
        """Build trees after checking dtypes, lengths and every index.

        The checks ensure that no file causes a read out of bounds. Raises InvalidModelError.
        """
        for name, dtype in _ARRAYS.items():
            if name not in arrays:
                raise InvalidModelError("model_array_missing", name)
            if arrays[name].dtype != np.dtype(dtype) or arrays[name].ndim != 1:
                raise InvalidModelError("model_array_type", name)
        trees = cls(
            **{name: arrays[name] for name in _ARRAYS},
            depth=depth,
            baseline=baseline,
            features=features,
        )
        trees._check()
        return trees

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as `from_arrays` reads them."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def margin(self, rows: Floats) -> Floats:
        """Return the log-odds of each row: (n,). rows: (n, features); NaN is a missing value.

        The result of a row is bit-identical for every n. Raises ValueError for another shape."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"rows must have the shape (n, {self.features}), not {rows.shape}")
        blocks = range(0, len(rows), BLOCK_ROWS)
        parts = [self._margin(rows[start : start + BLOCK_ROWS]) for start in blocks]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _margin(self, rows: Floats) -> Floats:
        count, width = rows.shape
        feature, children, roots = self._walk
        flat = rows.ravel()
        missing = np.isnan(flat)
        has_missing = bool(missing.any())
        offset = (np.arange(count) * width)[:, None]
        node = np.repeat(roots[None, :], count, axis=0)
        for _ in range(self.depth):
            position = feature.take(node)
            position += offset
            left = flat.take(position) <= self.threshold.take(node)
            if has_missing:
                left |= missing.take(position) & self.missing_left.take(node)
            node *= 2
            node += 1
            node -= left
            node = children.take(node)
        margin: Floats = self.value.take(node).sum(axis=1) + self.baseline
        return margin

    @cached_property
    def _walk(self) -> tuple[Indices, Indices, Indices]:
        """Features, children as pairs (left, right), and roots.

        They have numpy's index type, because numpy converts other types at every step."""
        children = np.empty(2 * len(self.left), np.intp)
        children[0::2], children[1::2] = self.left, self.right
        return self.feature.astype(np.intp), children, self.roots.astype(np.intp)

    def _check(self) -> None:
        nodes = len(self.feature)
        per_node = [name for name in _ARRAYS if name != "roots"]
        if any(len(getattr(self, name)) != nodes for name in per_node):
            raise InvalidModelError("model_array_length")
        bounds = {
            "feature": self.features,
            "left": nodes,
            "right": nodes,
            "roots": nodes,
        }
        for name, limit in bounds.items():
            index = getattr(self, name)
            if len(index) == 0 or index.min() < 0 or index.max() >= limit:
                raise InvalidModelError("model_index_out_of_bounds", name)
        self._check_shape(np.arange(nodes, dtype=np.int32))

    def _check_shape(self, own: Ints) -> None:
        """Check leaves, order of children, values and depth. own: the index of each node."""
        leaf = self.is_leaf
        if not ((self.left == own) == leaf).all() or not ((self.right == own) == leaf).all():
            raise InvalidModelError("model_leaves_inconsistent")
        if not (self.left[~leaf] > own[~leaf]).all() or not (self.right[~leaf] > own[~leaf]).all():
            raise InvalidModelError("model_children_not_after_parent")
        finite = all(np.isfinite(a).all() for a in (self.value, self.cover))
        if not finite or np.isnan(self.threshold).any():
            raise InvalidModelError("model_value_not_finite")
        # np.unique would import numpy.ma, which takes 10 MB of memory.
        reached = np.zeros(len(leaf), dtype=np.bool_)
        reached[self.roots] = True
        for _ in range(self.depth):
            following = np.zeros_like(reached)
            following[self.left[reached]] = True
            following[self.right[reached]] = True
            reached = following
        if not leaf[reached].all():
            raise InvalidModelError("model_deeper_than_stated")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Converts margins to probabilities.

    kind 'none': the logistic function. 'sigmoid' (Platt, 1999): the logistic function of
    -(a*margin + b), with one number in each of `a` and `b`. 'isotonic': linear between the points
    (a, b), and constant outside them.
    """

    kind: str
    a: Floats
    b: Floats

    def __post_init__(self) -> None:
        if self.kind not in {"none", "sigmoid", "isotonic"} or len(self.a) != len(self.b):
            raise InvalidModelError("model_calibration", self.kind)
        if self.kind != "none" and not (len(self.a) and np.isfinite([*self.a, *self.b]).all()):
            raise InvalidModelError("model_calibration", self.kind)
        if self.kind == "sigmoid" and self.a[0] >= 0:
            raise InvalidModelError(
                "model_calibration", "a must be negative, so that a higher margin is more likely"
            )

    def probability(self, margin: Floats) -> Floats:
        """Return the probability of each margin, in the same order."""
        if self.kind == "isotonic":
            return np.interp(margin, self.a, self.b)
        if self.kind == "sigmoid":
            return logistic(-(self.a[0] * margin + self.b[0]))
        return logistic(margin)

    @property
    def slope(self) -> float:
        """The change of the probability's log-odds per unit of margin. 1 for isotonic."""
        return float(-self.a[0]) if self.kind == "sigmoid" else 1.0


def logistic(x: Floats) -> Floats:
    """Compute 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
