"""The numpy runtime is the model that scikit-learn trained, to 1e-12."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier

from desireline.errors import InvalidModelError
from desireline.score.models.trees import Calibration, Trees, logistic
from desireline_learning.training.export import export


def table(seed, rows=600, features=6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    x[:, 0] = rng.integers(0, 4, rows)
    x[rng.random(x.shape) < 0.1] = np.nan
    # One column whose missing values matter, so that a split on missing alone is found.
    signal = np.nan_to_num(x[:, 1]) + 2.0 * np.isnan(x[:, 2]) + (np.nan_to_num(x[:, 0]) > 2)
    y = (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(int)
    return x, y


def runtime(model, features=6):
    exported = export(model)
    trees = Trees.from_arrays(
        exported.arrays, depth=exported.depth, baseline=exported.baseline, features=features
    )
    calibration = Calibration(
        exported.calibration, exported.arrays["calibration_a"], exported.arrays["calibration_b"]
    )
    return trees, calibration


def boosted(**settings):
    return HistGradientBoostingClassifier(max_iter=30, random_state=1, **settings)


@pytest.mark.parametrize("method", ["none", "sigmoid", "isotonic"])
@pytest.mark.parametrize("leaves", [2, 8, 31])
def test_probabilities_equal_scikit_learns(method, leaves):
    x, y = table(seed=leaves)
    model = boosted(max_leaf_nodes=leaves)
    if method != "none":
        model = CalibratedClassifierCV(model, method=method, ensemble=False, cv=3)
    model.fit(x, y)
    trees, calibration = runtime(model)
    fresh, _ = table(seed=99)

    ours = calibration.probability(trees.margin(fresh))

    assert np.abs(ours - model.predict_proba(fresh)[:, 1]).max() <= 1e-12


def test_margin_equals_the_decision_function_on_missing_values_alone():
    x, y = table(seed=3)
    model = boosted().fit(x, y)
    trees, _ = runtime(model)
    nothing = np.full((1, 6), np.nan)

    assert abs(trees.margin(nothing)[0] - model.decision_function(nothing)[0]) <= 1e-12


def test_a_row_has_the_same_bits_alone_and_in_any_batch():
    x, y = table(seed=4, rows=3000)
    trees, calibration = runtime(boosted().fit(x, y))

    together = calibration.probability(trees.margin(x))
    alone = [calibration.probability(trees.margin(row[None, :]))[0] for row in x[:300]]

    assert together[:300].tolist() == alone
    assert (
        calibration.probability(trees.margin(x[100:2500])).tolist() == together[100:2500].tolist()
    )


def test_no_rows_give_no_margins():
    x, y = table(seed=5)
    trees, _ = runtime(boosted().fit(x, y))

    assert trees.margin(np.zeros((0, 6))).tolist() == []


def test_another_number_of_columns_is_refused():
    x, y = table(seed=5)
    trees, _ = runtime(boosted().fit(x, y))

    with pytest.raises(ValueError, match="must have the shape"):
        trees.margin(np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("array", "value", "reason"),
    [
        ("left", 10_000, "model_index_out_of_bounds"),
        ("right", -1, "model_index_out_of_bounds"),
        ("feature", 6, "model_index_out_of_bounds"),
        ("roots", 99_999, "model_index_out_of_bounds"),
        ("left", 0, "model_leaves_inconsistent"),
        ("value", np.nan, "model_value_not_finite"),
        ("threshold", np.nan, "model_value_not_finite"),
    ],
)
def test_arrays_that_would_read_elsewhere_are_refused(array, value, reason):
    x, y = table(seed=6)
    exported = export(boosted().fit(x, y))
    arrays = {name: stored.copy() for name, stored in exported.arrays.items()}
    arrays[array][0] = value

    with pytest.raises(InvalidModelError) as refused:
        Trees.from_arrays(arrays, depth=exported.depth, baseline=exported.baseline, features=6)

    assert refused.value.reason == reason


def test_a_depth_that_does_not_reach_every_leaf_is_refused():
    x, y = table(seed=6)
    exported = export(boosted().fit(x, y))

    with pytest.raises(InvalidModelError, match="model_deeper_than_stated"):
        Trees.from_arrays(
            exported.arrays, depth=exported.depth - 1, baseline=exported.baseline, features=6
        )


def test_arrays_of_another_type_or_missing_are_refused():
    x, y = table(seed=6)
    exported = export(boosted().fit(x, y))
    wide = {**exported.arrays, "left": exported.arrays["left"].astype(np.int64)}
    less = {name: stored for name, stored in exported.arrays.items() if name != "cover"}

    for arrays, reason in ((wide, "model_array_type"), (less, "model_array_missing")):
        with pytest.raises(InvalidModelError, match=reason):
            Trees.from_arrays(arrays, depth=exported.depth, baseline=0.0, features=6)


def test_the_logistic_function_stays_finite_at_both_ends():
    extremes = logistic(np.array([-1e6, -745.0, 0.0, 745.0, 1e6]))

    assert extremes[0] == 0.0
    assert extremes[2] == 0.5
    assert extremes[4] == 1.0


def test_a_calibration_that_turns_the_order_round_is_refused():
    with pytest.raises(InvalidModelError, match="model_calibration"):
        Calibration("sigmoid", np.array([0.5]), np.array([0.0]))
