"""Measure probabilities: discrimination, calibration and confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]

BANDS = ((90, 101), (80, 90), (70, 80), (60, 70), (50, 60), (40, 50), (30, 40), (0, 30))
"""Score bands of the monthly review; the upper end is excluded."""
TOO_FEW = 30
Z_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Band:
    """One line of the band table. low, high: the 95 % Wilson interval of `actual`."""

    label: str
    trials: int
    predicted: float
    actual: float
    low: float
    high: float

    @property
    def too_few(self) -> bool:
        """Whether the trials are too few for a conclusion."""
        return self.trials < TOO_FEW


def summary(probability: Floats, paid: Labels) -> Mapping[str, float]:
    """Compute AUC, average precision, ECE, and the Brier scores of the model and the base rate."""
    base = float(paid.mean())
    return {
        "auc": float(roc_auc_score(paid, probability)),
        "average_precision": float(average_precision_score(paid, probability)),
        "brier": brier(probability, paid),
        "brier_base_rate": base * (1 - base),
        "ece": expected_calibration_error(probability, paid),
        "base_rate": base,
        "rows": float(len(paid)),
    }


def brier(probability: Floats, paid: Labels) -> float:
    """Compute the mean squared difference of probability and outcome (Brier, 1950)."""
    return float(np.mean((probability - paid) ** 2))


def expected_calibration_error(probability: Floats, paid: Labels, bins: int = 10) -> float:
    """Compute the mean distance of predicted and actual share over bins of equal count."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(probability[part].mean() - paid[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(order))


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Compute the 95 % score interval of a share (Wilson, 1927); (0, 1) without data."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = successes / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    half = Z_95 * spread / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def bands(probability: Floats, paid: Labels) -> tuple[Band, ...]:
    """Compute predicted and actual conversion by score band.

    The intervals are valid only for one row per trial."""
    score = np.floor(100 * probability)
    result = []
    for low, high in BANDS:
        inside = (score >= low) & (score < high)
        count, successes = int(inside.sum()), int(paid[inside].sum())
        interval = wilson(successes, count)
        result.append(
            Band(
                label=f"{low}-{min(high, 101) - 1}",
                trials=count,
                predicted=float(probability[inside].mean()) if count else math.nan,
                actual=successes / count if count else math.nan,
                low=interval[0],
                high=interval[1],
            )
        )
    return tuple(result)
