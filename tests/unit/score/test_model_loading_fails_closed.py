"""A packaged model that is not what its manifest says is not loaded."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from desireline.adapters.packaged_models import ROOT
from desireline.errors import InvalidModelError
from desireline.score.features import FEATURE_NAMES
from desireline.score.models.package import ARRAYS, GOLDEN, GOLDEN_TOLERANCE, MANIFEST, load_model
from desireline.score.models.registry import JOURNEY_MODEL, MODELS, load_models


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(ROOT / JOURNEY_MODEL.name, tmp_path / JOURNEY_MODEL.name))


def arrays(folder, name):
    with np.load(folder / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def replace(folder, name, changed):
    """Store other arrays and state their hash truly: only what comes after the hash can object."""
    buffer = io.BytesIO()
    np.savez(buffer, **changed)
    (folder / name).write_bytes(buffer.getvalue())
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"][name] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refusal(folder, features=FEATURE_NAMES):
    with pytest.raises(InvalidModelError) as refused:
        load_model(folder, features=features)
    return refused.value.reason


def test_the_packaged_model_loads_and_agrees_with_its_golden_rows(folder):
    model = load_model(folder, features=FEATURE_NAMES)

    golden = arrays(folder, GOLDEN)

    assert len(golden["rows"]) >= 50
    assert np.isnan(golden["rows"]).any()
    assert np.ptp(golden["probability"]) > 0.8
    assert np.abs(model.probabilities(golden["rows"]) - golden["probability"]).max() <= 1e-12


@pytest.mark.parametrize("name", [ARRAYS, GOLDEN])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_byte_is_found(folder, name, place):
    data = bytearray((folder / name).read_bytes())
    data[int(len(data) * place)] ^= 1
    (folder / name).write_bytes(bytes(data))

    assert refusal(folder) == "model_hash"


def test_a_leaf_that_moved_is_found_by_the_golden_rows(folder):
    changed = arrays(folder, ARRAYS)
    changed["value"] = changed["value"] + np.where(changed["is_leaf"], 1e-8, 0.0)
    replace(folder, ARRAYS, changed)

    assert refusal(folder) == "model_golden_differs"


def test_a_golden_row_may_differ_by_the_tolerance_only(folder):
    golden = arrays(folder, GOLDEN)
    shift = np.zeros_like(golden["probability"])
    shift[3] = 0.5 * GOLDEN_TOLERANCE
    replace(folder, GOLDEN, {**golden, "probability": golden["probability"] + shift})
    load_model(folder, features=FEATURE_NAMES)

    replace(folder, GOLDEN, {**golden, "probability": golden["probability"] + 4 * shift})

    assert refusal(folder) == "model_golden_differs"


def test_a_golden_value_that_is_no_number_is_found(folder):
    golden = arrays(folder, GOLDEN)
    golden["probability"][0] = np.nan
    replace(folder, GOLDEN, golden)

    assert refusal(folder) == "model_golden_differs"


def test_no_golden_rows_are_no_proof(folder):
    golden = arrays(folder, GOLDEN)
    replace(folder, GOLDEN, {name: stored[:0] for name, stored in golden.items()})

    assert refusal(folder) == "model_golden_shape"


def test_an_index_out_of_bounds_is_found(folder):
    changed = arrays(folder, ARRAYS)
    changed["left"][0] = len(changed["left"])
    replace(folder, ARRAYS, changed)

    assert refusal(folder) == "model_index_out_of_bounds"


def test_other_dtypes_than_stated_are_found(folder):
    changed = arrays(folder, ARRAYS)
    changed["value"] = changed["value"].astype(np.float32)
    replace(folder, ARRAYS, changed)

    assert refusal(folder) == "model_array_type"


def test_pickled_objects_are_never_loaded(folder):
    changed = arrays(folder, ARRAYS)
    changed["value"] = np.array([{"any": "object"}], dtype=object)
    replace(folder, ARRAYS, changed)

    assert refusal(folder) == "model_file_unreadable"


def test_features_in_another_order_are_found(folder):
    assert refusal(folder, features=FEATURE_NAMES[::-1]) == "model_features_differ"


@pytest.mark.parametrize("name", [ARRAYS, GOLDEN])
def test_a_missing_file_is_found(folder, name):
    (folder / name).unlink()

    assert refusal(folder) == "model_file_missing"


def test_a_manifest_that_is_missing_or_of_another_format_is_found(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format": 2}))
    assert refusal(folder) == "model_format"

    (folder / MANIFEST).unlink()

    assert refusal(folder) == "model_manifest"


def test_every_packaged_model_has_an_entry_and_every_entry_a_package():
    packages = {path.parent.name for path in ROOT.glob(f"*/{MANIFEST}")}

    assert packages == set(MODELS) == set(load_models(ROOT))


def test_the_registry_loads_no_model_if_one_is_damaged(folder):
    (folder / ARRAYS).write_bytes(b"")

    with pytest.raises(InvalidModelError) as refused:
        load_models(folder.parent)
    assert refused.value.reason == "model_hash"


def test_a_model_in_the_folder_of_another_is_found(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "name": "other"}))

    with pytest.raises(InvalidModelError) as refused:
        load_models(folder.parent)
    assert refused.value.reason == "model_name"
