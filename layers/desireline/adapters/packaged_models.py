"""The models that are packaged with the code."""

from __future__ import annotations

from pathlib import Path

import desireline_models
from desireline.score.models.package import Model
from desireline.score.models.registry import JOURNEY_MODEL, load_models

ROOT = Path(desireline_models.__file__).parent
"""The folder with one folder per model."""


def journey_model() -> Model:
    """Load the model that scores journeys. Raises InvalidModelError if any model is damaged."""
    return load_models(ROOT)[JOURNEY_MODEL.name]
