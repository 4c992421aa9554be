"""The candidates, fitted on an earlier slice of time and judged on a later one."""

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
"""Share of the signup days that train; the rest judges."""
CLOSE = 0.001
"""Brier scores that differ by less are equal."""
CLOSE_ECE = 0.005
"""So are calibration errors. Between equals, sigmoid: it is the safest when trees turn out sure of
themselves on the next slice, and it exports exactly."""
BASELINE = "logistic regression"
TREES: Mapping[str, str] = {
    "trees, sigmoid": "sigmoid",
    "trees, raw": "none",
    "trees, isotonic": "isotonic",
}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted model with what it does on the later slice."""

    name: str
    model: Any
    probability: NDArray[np.float64]
    metrics: Mapping[str, float]


def split_by_time(table: Table) -> tuple[Table, Table]:
    """Earlier and later trials, by signup; all rows of a trial are on one side."""
    first, last = int(table.signup.min()), int(table.signup.max())
    border = first + int((last - first) * EARLIER)
    return table.where(table.signup <= border), table.where(table.signup > border)


def candidates(earlier: Table, later: Table) -> list[Candidate]:
    """The baseline, and the trees with each calibration."""
    models: dict[str, Any] = {BASELINE: baseline()}
    for name, method in TREES.items():
        models[name] = boosted() if method == "none" else calibrated(method, earlier)
    found = []
    for name, model in models.items():
        model.fit(earlier.rows, earlier.paid)
        probability = model.predict_proba(later.rows)[:, 1]
        found.append(Candidate(name, model, probability, summary(probability, later.paid)))
    return found


def choose(found: list[Candidate]) -> Candidate:
    """The best of the trees by Brier score; by calibration error among those that are as good; by
    the order of TREES among those that are equal in both."""
    trees = [candidate for candidate in found if candidate.name in TREES]
    best = min(candidate.metrics["brier"] for candidate in trees)
    close = [candidate for candidate in trees if candidate.metrics["brier"] <= best + CLOSE]
    least = min(candidate.metrics["ece"] for candidate in close)
    return next(found for found in close if found.metrics["ece"] <= least + CLOSE_ECE)


def baseline() -> Any:
    """What must be beaten."""
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        LogisticRegression(max_iter=2000),
    )


def boosted() -> HistGradientBoostingClassifier:
    """Small, slow trees: there are few trials, and their rows are not independent."""
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
    """Trees on all rows, calibrated on out-of-fold margins; a trial is in one fold only."""
    folds = list(GroupKFold(n_splits=5).split(earlier.rows, earlier.paid, earlier.subject))
    return CalibratedClassifierCV(boosted(), method=method, ensemble=False, cv=folds)
