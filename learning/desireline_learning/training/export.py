"""Export scikit-learn's objects to the folder that `desireline.score.models.package` loads.

The files are uncompressed and have fixed dates, so their bytes depend only on the arrays. The same
training with the same library versions gives the same SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier

from desireline.score.models.package import ARRAYS, FORMAT, GOLDEN, MANIFEST, Manifest

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Exported:
    """A model's arrays by name, and its other parameters."""

    arrays: Arrays
    depth: int
    baseline: float
    calibration: str


def export(model: Any) -> Exported:
    """Export a fitted HistGradientBoostingClassifier, also one inside a
    CalibratedClassifierCV(ensemble=False) with sigmoid or isotonic calibration.

    Raises TypeError for another model, ValueError for categorical splits.
    """
    if isinstance(model, CalibratedClassifierCV):
        (fitted,) = model.calibrated_classifiers_
        (calibrator,) = fitted.calibrators
        trees = getattr(fitted.estimator, "estimator", fitted.estimator)
        kind, a, b = _calibration(calibrator)
    else:
        trees, kind, a, b = model, "none", np.zeros(0), np.zeros(0)
    if not isinstance(trees, HistGradientBoostingClassifier):
        raise TypeError(f"cannot export {type(trees).__name__}: use HistGradientBoostingClassifier")
    arrays, depth = _trees(trees)
    return Exported(
        arrays={**arrays, "calibration_a": a, "calibration_b": b},
        depth=depth,
        baseline=float(trees._baseline_prediction.ravel()[0]),
        calibration=kind,
    )


def _calibration(calibrator: Any) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    if hasattr(calibrator, "a_"):
        return "sigmoid", np.array([calibrator.a_], float), np.array([calibrator.b_], float)
    a = np.asarray(calibrator.X_thresholds_, dtype=np.float64)
    return "isotonic", a, np.asarray(calibrator.y_thresholds_, dtype=np.float64)


def _trees(model: HistGradientBoostingClassifier) -> tuple[dict[str, NDArray[Any]], int]:
    parts: list[dict[str, NDArray[Any]]] = []
    roots, start, depth = [], 0, 0
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        if nodes["is_categorical"].any():
            raise ValueError("cannot export categorical splits: encode the features as numbers")
        leaf, own = nodes["is_leaf"].astype(np.bool_), np.arange(len(nodes))
        parts.append(
            {
                "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
                "threshold": np.where(leaf, 0.0, nodes["num_threshold"]),
                "left": (np.where(leaf, own, nodes["left"]) + start).astype(np.int32),
                "right": (np.where(leaf, own, nodes["right"]) + start).astype(np.int32),
                "missing_left": np.where(leaf, True, nodes["missing_go_to_left"]).astype(np.bool_),
                "value": np.where(leaf, nodes["value"], 0.0),
                "cover": nodes["count"].astype(np.float64),
                "is_leaf": leaf,
            }
        )
        roots.append(start)
        start += len(nodes)
        depth = max(depth, int(nodes["depth"].max()))
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**arrays, "roots": np.array(roots, dtype=np.int32)}, depth


def write(
    folder: Path,
    exported: Exported,
    *,
    golden: Arrays,
    name: str,
    features: tuple[str, ...],
    data: str,
    data_sha256: str,
    metrics: Mapping[str, Any],
) -> Manifest:
    """Write arrays, golden rows and manifest. The version is a hash of the arrays."""
    arrays, rows = _npz(exported.arrays), _npz(golden)
    digest = hashlib.sha256(arrays)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=f"{name}-{digest.hexdigest()[:12]}",
        features=features,
        dtypes={key: str(array.dtype) for key, array in exported.arrays.items()},
        depth=exported.depth,
        baseline=exported.baseline,
        calibration=exported.calibration,
        sha256={ARRAYS: digest.hexdigest(), GOLDEN: hashlib.sha256(rows).hexdigest()},
        data_sha256=data_sha256,
        data=data,
        libraries={
            **{library: version(library) for library in ("numpy", "scikit-learn", "scipy")},
            "machine": platform.machine(),
        },
        metrics=dict(metrics),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARRAYS).write_bytes(arrays)
    (folder / GOLDEN).write_bytes(rows)
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{key: arrays[key] for key in sorted(arrays)})
    return buffer.getvalue()
