"""Load a packaged model: a folder with arrays, a manifest and golden rows.

model.npz     the arrays of `trees.Trees` and `trees.Calibration`; read with allow_pickle=False
golden.npz    about 50 rows (NaN if missing) with the probabilities that training computed
manifest.json names, versions, hashes, metrics: `Manifest`

Loading checks every hash, dtype, index and feature name, and the golden rows. If a check fails, it
raises InvalidModelError, and nothing is scored.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.errors import InvalidModelError
from desireline.score.models.shapley import TreeExplainer
from desireline.score.models.trees import Calibration, Floats, Trees

MANIFEST = "manifest.json"
ARRAYS = "model.npz"
GOLDEN = "golden.npz"
GOLDEN_TOLERANCE = 1e-9
FORMAT = 1


class Manifest(BaseModel):
    """The description of a model and its training.

    version: written with every score. features: names in the order of the columns. sha256: of the
    other files, by name. data_sha256: of the training table. libraries: their versions in training.
    metrics: measured on data of a later time than the training data.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    name: str
    version: str
    features: tuple[str, ...]
    dtypes: dict[str, str]
    depth: int
    baseline: float
    calibration: str
    sha256: dict[str, str]
    data_sha256: str
    data: str
    libraries: dict[str, str]
    metrics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Model:
    """A model whose checks have passed."""

    manifest: Manifest
    trees: Trees
    calibration: Calibration

    @property
    def version(self) -> str:
        """The version in the manifest, which every score has."""
        return self.manifest.version

    def probabilities(self, rows: Floats) -> Floats:
        """Return the calibrated probability of each row. rows: (n, features). Result: (n,)."""
        return self.calibration.probability(self.trees.margin(rows))

    def contributions(self, rows: Floats) -> Floats:
        """Return what each feature adds to each row's log-odds: (n, features).

        The log-odds are those after a calibration that is linear in the margin. For an isotonic
        calibration they are those before it."""
        return self._explainer.contributions(rows) * self.calibration.slope

    @cached_property
    def _explainer(self) -> TreeExplainer:
        return TreeExplainer(self.trees)


def load_model(folder: Path, *, features: Sequence[str]) -> Model:
    """Read and check the model in a folder. features: the names that this code computes, in order.

    Raises InvalidModelError.
    """
    manifest = _manifest(folder)
    if manifest.features != tuple(features):
        raise InvalidModelError("model_features_differ", manifest.version)
    arrays = _arrays(folder, ARRAYS, manifest)
    dtypes = {name: str(array.dtype) for name, array in arrays.items()}
    if dtypes != manifest.dtypes:
        raise InvalidModelError("model_array_type", f"{dtypes}")
    model = assemble(manifest, arrays)
    _check_golden(model, _arrays(folder, GOLDEN, manifest))
    return model


def assemble(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> Model:
    """Build a model from its manifest and arrays, and check them. Raises InvalidModelError."""
    trees = Trees.from_arrays(
        arrays,
        depth=manifest.depth,
        baseline=manifest.baseline,
        features=len(manifest.features),
    )
    empty = np.zeros(0)
    calibration = Calibration(
        manifest.calibration,
        arrays.get("calibration_a", empty),
        arrays.get("calibration_b", empty),
    )
    return Model(manifest, trees, calibration)


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidModelError("model_manifest", str(error)) from error
    if manifest.format != FORMAT:
        raise InvalidModelError("model_format", str(manifest.format))
    return manifest


def _arrays(folder: Path, name: str, manifest: Manifest) -> dict[str, NDArray[Any]]:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise InvalidModelError("model_file_missing", name) from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256.get(name):
        raise InvalidModelError("model_hash", name)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, BadZipFile) as error:
        raise InvalidModelError("model_file_unreadable", name) from error


def _check_golden(model: Model, golden: Mapping[str, NDArray[Any]]) -> None:
    try:
        rows, expected = golden["rows"], golden["probability"]
    except KeyError as error:
        raise InvalidModelError("model_golden_missing") from error
    width = len(model.manifest.features)
    if rows.ndim != 2 or rows.shape != (len(expected), width) or not len(expected):
        raise InvalidModelError("model_golden_shape", str(rows.shape))
    difference = float(np.abs(model.probabilities(rows) - expected).max())
    # `not <=` rejects NaN too.
    if not difference <= GOLDEN_TOLERANCE:
        raise InvalidModelError("model_golden_differs", f"by {difference:.3g}")
