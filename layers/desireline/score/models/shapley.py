"""Compute exact Shapley values of a tree ensemble: what each feature contributes to a row's margin.

The algorithm is path-dependent TreeSHAP (Lundberg et al., 2020) in the form of GPUTreeShap
(Mitchell et al., 2022), which treats each leaf's path separately. Paths with the same number of
distinct features are computed together as arrays.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.score.models.trees import Bools, Floats, Trees

CHUNK_ROWS = 16
"""Rows to explain at a time. The arrays have rows x leaves x path length elements."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A path's condition on one feature: low < value <= high.

    missing: whether a missing value meets it. chance: the share of training rows that met it, of
    those that reached its nodes."""

    low: float = -np.inf
    high: float = np.inf
    missing: bool = True
    chance: float = 1.0


@dataclass(frozen=True, eq=False)
class _Paths:
    """The leaves whose paths have the same number of distinct features.

    The arrays have the shape (leaves, features of the path); value has the shape (leaves,)."""

    feature: NDArray[np.intp]
    low: Floats
    high: Floats
    missing: Bools
    chance: Floats
    value: Floats


class TreeExplainer:
    """Computes contributions of features. For each row they add up to margin - expected."""

    def __init__(self, trees: Trees) -> None:
        self._features = trees.features
        self._groups: list[_Paths] = []
        self.expected = trees.baseline
        """The average margin of the training rows, weighted by cover."""
        by_length: dict[int, list[tuple[float, dict[int, _Span]]]] = defaultdict(list)
        for root in trees.roots:
            for value, path in _leaf_paths(trees, int(root)):
                by_length[len(path)].append((value, path))
        for length, paths in sorted(by_length.items()):
            if length == 0:
                self.expected += sum(value for value, _ in paths)
                continue
            group = _group(paths)
            self.expected += float((group.value * group.chance.prod(axis=1)).sum())
            self._groups.append(group)

    def contributions(self, rows: Floats) -> Floats:
        """Return the contribution of each feature to each row's margin, in log-odds.

        rows: (n, features). Result: (n, features)."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        starts = range(0, len(rows), CHUNK_ROWS)
        parts = [self._explain(rows[start : start + CHUNK_ROWS]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, self._features))

    def _explain(self, rows: Floats) -> Floats:
        count = len(rows)
        total = np.zeros(count * self._features)
        offset = (np.arange(count) * self._features)[None, :, None]
        for group in self._groups:
            share = _contributions_of(group, rows)
            columns = group.feature.T[:, None, :] + offset
            total += np.bincount(columns.ravel(), share.ravel(), minlength=len(total))
        return total.reshape(count, self._features)


def _leaf_paths(trees: Trees, root: int) -> list[tuple[float, dict[int, _Span]]]:
    """Return the value of each leaf of a tree, and the conditions on its path, by feature."""
    leaves: list[tuple[float, dict[int, _Span]]] = []
    pending: list[tuple[int, dict[int, _Span]]] = [(root, {})]
    while pending:
        node, path = pending.pop()
        if trees.is_leaf[node]:
            leaves.append((float(trees.value[node]), path))
            continue
        feature, threshold = int(trees.feature[node]), float(trees.threshold[node])
        span = path.get(feature, _Span())
        for child, is_left in ((int(trees.left[node]), True), (int(trees.right[node]), False)):
            cover = trees.cover[node]
            narrowed = _Span(
                low=span.low if is_left else max(span.low, threshold),
                high=min(span.high, threshold) if is_left else span.high,
                missing=span.missing and bool(trees.missing_left[node]) == is_left,
                chance=span.chance * float(trees.cover[child] / cover) if cover else 0.0,
            )
            pending.append((child, {**path, feature: narrowed}))
    return leaves


def _group(paths: list[tuple[float, dict[int, _Span]]]) -> _Paths:
    spans = [list(path.values()) for _, path in paths]
    return _Paths(
        feature=np.array([list(path) for _, path in paths], dtype=np.intp),
        low=np.array([[span.low for span in row] for row in spans]),
        high=np.array([[span.high for span in row] for row in spans]),
        missing=np.array([[span.missing for span in row] for row in spans]),
        chance=np.array([[span.chance for span in row] for row in spans]),
        value=np.array([value for value, _ in paths]),
    )


def _contributions_of(group: _Paths, rows: Floats) -> Floats:
    """Return what each feature of each path adds to each row: (path features, rows, leaves)."""
    x = rows[:, group.feature]
    met = (x > group.low) & (x <= group.high)
    met = np.where(np.isnan(x), group.missing, met)
    met = np.moveaxis(met, 2, 0)
    chance = np.moveaxis(np.broadcast_to(group.chance, x.shape), 2, 0)
    weights = _extended(met.astype(np.float64), chance)
    share: Floats = group.value * (met - chance) * _unwound(met, chance, weights)
    return share


def _extended(met: Floats, chance: Floats) -> Floats:
    """Compute EXTEND of TreeSHAP for all features of the paths.

    Returns the permutation weights by the number of met features: (length + 1, rows, leaves)."""
    length = len(met)
    weights = np.zeros((length + 1, *met.shape[1:]))
    weights[0] = 1.0
    for done in range(length):
        size = done + 1
        k = np.arange(size, dtype=np.float64).reshape(-1, 1, 1)
        grown = np.zeros_like(weights[: size + 1])
        grown[1:] += met[done] * weights[:size] * ((k + 1) / (size + 1))
        grown[:size] += chance[done] * weights[:size] * ((size - k) / (size + 1))
        weights[: size + 1] = grown
    return weights


def _unwound(met: Bools, chance: Floats, weights: Floats) -> Floats:
    """Compute UNWIND of TreeSHAP: for each feature, the sum of the weights of the path without it.

    Result: (path features, rows, leaves)."""
    length = len(met)
    total = np.zeros(chance.shape)
    carried = np.broadcast_to(weights[length], chance.shape).copy()
    divisor = np.where(chance > 0, chance, 1.0)
    for k in range(length - 1, -1, -1):
        if_met = carried * ((length + 1) / (k + 1))
        if_not = weights[k] * ((length + 1) / (length - k)) / divisor
        total += np.where(met, if_met, if_not)
        carried = weights[k] - if_met * chance * ((length - k) / (length + 1))
    return total
