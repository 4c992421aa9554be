"""A packaged model: a folder with arrays, manifest and golden rows, checked before first use.

model.npz     the arrays of `trees.Trees` and `trees.Calibration`; read with allow_pickle=False
golden.npz    about 50 rows (NaN where missing) with the probabilities that training computed
manifest.json names, versions, hashes, metrics: `Manifest`

Loading fails closed: a hash, a dtype, an index, a feature name or a golden row that is not as
stated raises InvalidModelError, and nothing is scored.
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
    """What the model is and where it comes from.

    version: stamped on every score. features: names in the order of the columns. sha256: of the
    other files, by name. data_sha256: of the training table. libraries: versions it was trained
    with. metrics: measured on a later slice of time than it was trained on.
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
    """A model that has passed its checks."""

    manifest: Manifest
    trees: Trees
    calibration: Calibration

    @property
    def version(self) -> str:
        """The manifest's, as stamped on scores."""
        return self.manifest.version

    def probabilities(self, rows: Floats) -> Floats:
        """Calibrated probability of each row of features (n, features)."""
        return self.calibration.probability(self.trees.margin(rows))

    def contributions(self, rows: Floats) -> Floats:
        """What each feature adds to each row's log-odds (n, features), after calibration if it is
        linear in the margin, before it otherwise."""
        return self._explainer.contributions(rows) * self.calibration.slope

    @cached_property
    def _explainer(self) -> TreeExplainer:
        return TreeExplainer(self.trees)


def load_model(folder: Path, *, features: Sequence[str]) -> Model:
    """Read and check the model in `folder`; `features` are the names that this code computes.

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
    """A model out of its parts, with every index checked. Raises InvalidModelError."""
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
    # Written so that a NaN fails too.
    if not difference <= GOLDEN_TOLERANCE:
        raise InvalidModelError("model_golden_differs", f"by {difference:.3g}")
