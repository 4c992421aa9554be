"""TreeSHAP against the definition of Shapley values, and against its own sum."""

import itertools
import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from desireline.score.models.shapley import TreeExplainer
from desireline.score.models.trees import Trees
from desireline_learning.training.export import export

FEATURES = 4


def trained(seed, *, leaves=6, trees=3, missing=0.15):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, FEATURES))
    x[rng.random(x.shape) < missing] = np.nan
    known = np.nan_to_num(x)
    y = (known[:, 0] * known[:, 1] + known[:, 2] + rng.normal(size=400) > 0).astype(int)
    model = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=5, random_state=seed
    ).fit(x, y)
    exported = export(model)
    built = Trees.from_arrays(
        exported.arrays, depth=exported.depth, baseline=exported.baseline, features=FEATURES
    )
    return built, x


def expected_margin(trees, row, known):
    """The margin when only the features in `known` are known: each split on another feature is
    followed both ways, by the share of training rows that went there."""

    def value(node):
        if trees.is_leaf[node]:
            return trees.value[node]
        left, right = trees.left[node], trees.right[node]
        feature = trees.feature[node]
        if feature not in known:
            cover = trees.cover[node]
            return (trees.cover[left] * value(left) + trees.cover[right] * value(right)) / cover
        x = row[feature]
        goes_left = bool(trees.missing_left[node]) if math.isnan(x) else x <= trees.threshold[node]
        return value(left if goes_left else right)

    return trees.baseline + sum(value(root) for root in trees.roots)


def shapley_by_definition(trees, row):
    effects = []
    for feature in range(FEATURES):
        others = [other for other in range(FEATURES) if other != feature]
        total = 0.0
        for size in range(FEATURES):
            weight = (math.factorial(size) * math.factorial(FEATURES - size - 1)) / math.factorial(
                FEATURES
            )
            for chosen in itertools.combinations(others, size):
                with_it = expected_margin(trees, row, {*chosen, feature})
                total += weight * (with_it - expected_margin(trees, row, set(chosen)))
        effects.append(total)
    return effects


@pytest.mark.parametrize("seed", range(5))
def test_contributions_equal_shapleys_definition(seed):
    trees, x = trained(seed)

    ours = TreeExplainer(trees).contributions(x[:12])

    for row, effects in zip(x[:12], ours, strict=True):
        assert effects == pytest.approx(shapley_by_definition(trees, row), abs=1e-10)


def test_contributions_add_up_to_the_margin():
    trees, x = trained(11, leaves=31, trees=60)
    explainer = TreeExplainer(trees)

    effects = explainer.contributions(x)

    gap = explainer.expected + effects.sum(axis=1) - trees.margin(x)
    assert np.abs(gap).max() < 1e-10


def test_the_expected_margin_is_the_one_without_any_knowledge():
    trees, x = trained(12)

    assert TreeExplainer(trees).expected == pytest.approx(expected_margin(trees, x[0], set()))


def test_a_feature_that_no_tree_looks_at_contributes_nothing():
    trees, x = trained(13, leaves=2, trees=1)
    unused = [feature for feature in range(FEATURES) if feature != trees.feature[0]]

    assert not TreeExplainer(trees).contributions(x)[:, unused].any()
