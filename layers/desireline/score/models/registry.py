"""The registry of models: one entry each, and a folder of its name in `desireline_models`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desireline.errors import InvalidModelError
from desireline.score.features import FEATURE_NAMES
from desireline.score.models.package import Model, load_model


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model. name: of its folder and manifest. features: names in the order of the columns."""

    name: str
    features: tuple[str, ...]


JOURNEY_MODEL = ModelSpec(name="trial", features=FEATURE_NAMES)
"""The model whose probability is the score of a journey."""

MODELS: Mapping[str, ModelSpec] = {spec.name: spec for spec in (JOURNEY_MODEL,)}
"""All models by name."""


def load_models(root: Path) -> Mapping[str, Model]:
    """Read and check every model of the registry. root: has one folder per model.

    Raises InvalidModelError if a model is damaged or missing. Nothing is scored then.
    """
    return {name: _load(root / name, spec) for name, spec in MODELS.items()}


def _load(folder: Path, spec: ModelSpec) -> Model:
    model = load_model(folder, features=spec.features)
    if model.manifest.name != spec.name:
        raise InvalidModelError("model_name", f"{model.manifest.name} in the folder {spec.name}")
    return model
