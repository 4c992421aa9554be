"""A model that is quick and easy to push over every threshold; it stands in for the trained one,
whose loading and arithmetic have tests of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desireline.score.features import FEATURE_NAMES

Floats = NDArray[np.float64]

_BREADTH = FEATURE_NAMES.index("feature_breadth")
_IDLE = FEATURE_NAMES.index("hours_since_active")


class QuickModel:
    """The chance grows with the kinds of things done, and shrinks with the hours of rest."""

    version = "simulation"

    def probabilities(self, rows: Floats) -> Floats:
        """Of each row of features (n, features)."""
        idle = np.nan_to_num(rows[:, _IDLE], nan=24.0)
        return np.clip(0.15 + 0.2 * rows[:, _BREADTH] - 0.02 * idle, 0.0, 1.0)

    def contributions(self, rows: Floats) -> Floats:
        """Breadth alone moves it."""
        effects = np.zeros_like(rows)
        effects[:, _BREADTH] = 0.2 * rows[:, _BREADTH]
        return effects
