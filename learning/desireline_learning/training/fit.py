"""Fit the candidates on earlier trials, and test them on later trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from desireline_learning.training.measures import summary
from desireline_learning.training.replay import Table

SEED = 20260105
EARLIER = 0.7
"""The share of the signup days for training. The other days are for the test."""
CLOSE = 0.001
"""Brier scores that differ by less count as equal."""
CLOSE_ECE = 0.005
"""Calibration errors that differ by less count as equal. Between equals, sigmoid wins: it is the
safest if the trees are overconfident on later trials, and it exports exactly."""
BASELINE = "logistic regression"
TREES: Mapping[str, str] = {
    "trees, sigmoid": "sigmoid",
    "trees, raw": "none",
    "trees, isotonic": "isotonic",
}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted model with its probabilities and metrics on the later trials."""

    name: str
    model: Any
    probability: NDArray[np.float64]
    metrics: Mapping[str, float]


def split_by_time(table: Table) -> tuple[Table, Table]:
    """Split into earlier and later trials by signup. All rows of a trial stay together."""
    first, last = int(table.signup.min()), int(table.signup.max())
    border = first + int((last - first) * EARLIER)
    return table.where(table.signup <= border), table.where(table.signup > border)


def candidates(earlier: Table, later: Table) -> list[Candidate]:
    """Fit the baseline, and the trees with each calibration."""
    models: dict[str, Any] = {BASELINE: baseline()}
    for name, method in TREES.items():
        models[name] = boosted() if method == "none" else calibrated(method, earlier)
    result = []
    for name, model in models.items():
        model.fit(earlier.rows, earlier.paid)
        probability = model.predict_proba(later.rows)[:, 1]
        result.append(Candidate(name, model, probability, summary(probability, later.paid)))
    return result


def choose(fitted: list[Candidate]) -> Candidate:
    """Choose the trees with the best Brier score.

    Between equal scores the calibration error decides, then the order of TREES."""
    trees = [candidate for candidate in fitted if candidate.name in TREES]
    best = min(candidate.metrics["brier"] for candidate in trees)
    close = [candidate for candidate in trees if candidate.metrics["brier"] <= best + CLOSE]
    least = min(candidate.metrics["ece"] for candidate in close)
    return next(candidate for candidate in close if candidate.metrics["ece"] <= least + CLOSE_ECE)


def baseline() -> Any:
    """Build the baseline, a logistic regression that the trees must beat."""
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        LogisticRegression(max_iter=2000),
    )


def boosted() -> HistGradientBoostingClassifier:
    """Build small trees with a low learning rate, because trials are few and rows dependent."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=140,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=SEED,
    )


def calibrated(method: str, earlier: Table) -> CalibratedClassifierCV:
    """Build trees on all rows, calibrated on out-of-fold margins. A trial is in one fold only."""
    folds = list(GroupKFold(n_splits=5).split(earlier.rows, earlier.paid, earlier.subject))
    return CalibratedClassifierCV(boosted(), method=method, ensemble=False, cv=folds)
