"""Layers: what the locks say, for the platform they are for, small, and built when needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import boto3
import pytest

from bench.functions import layers_of
from desireline.contracts import Function
from infra.building_blocks import function as building_block
from infra.layers import (
    ROOT,
    Built,
    Layer,
    NotBuiltError,
    Platform,
    build,
    fingerprint,
    size,
    stamp,
)
from tests.infrastructure.assembly import Assembly

LIMIT_MB = 100
THIRD_PARTY = [layer for layer in Layer if not layer.is_ours]
OURS = [layer for layer in Layer if layer.is_ours]


@pytest.fixture(scope="session")
def arm64() -> dict[Layer, Built]:
    return {built.layer: built for built in build(Platform.ARM64)}


@pytest.fixture(scope="session")
def host() -> dict[Layer, Built]:
    return {built.layer: built for built in build(Platform.HOST)}


def pins(text: str) -> dict[str, str]:
    return dict(
        line.split(" ")[0].split("==")
        for line in text.splitlines()
        if "==" in line and line[0].isalnum()
    )


@pytest.mark.parametrize("layer", THIRD_PARTY)
def test_a_layer_holds_the_versions_that_the_tests_run_with(layer: Layer) -> None:
    locked = {
        package["name"]: package.get("version")
        for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    pinned = pins((layer.source / "requirements.txt").read_text())
    assert pinned
    assert {name: locked[name] for name in pinned} == pinned


@pytest.mark.parametrize("layer", THIRD_PARTY)
def test_a_lock_names_what_is_asked_for_with_hashes(layer: Layer) -> None:
    text = (layer.source / "requirements.txt").read_text()
    asked = {
        line.partition("[")[0]
        for line in (layer.source / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert asked <= set(pins(text))
    assert text.count("--hash=sha256:") >= len(pins(text))


def test_no_package_is_in_two_layers_or_in_the_runtime_already() -> None:
    names = [set(pins((layer.source / "requirements.txt").read_text())) for layer in THIRD_PARTY]
    assert sum(map(len, names)) == len(set().union(*names))
    assert not set().union(*names) & {"boto3", "botocore", "s3transfer", "urllib3"}


def attached(assembly: Assembly, function: Function) -> list[Layer]:
    """The layers of a function, out of the template."""
    by_name = {r.name: r for r in assembly.of_type("AWS::Lambda::LayerVersion")}
    return [
        Layer(by_name[version.strip("<>")].properties["LayerName"].rpartition("-")[2])
        for version in assembly.functions()[function].properties["Layers"]
    ]


def test_what_is_measured_is_what_is_deployed(dev: Assembly) -> None:
    for function in Function:
        assert set(layers_of(function)) == set(attached(dev, function))


def test_functions_and_their_layers_are_small(
    dev: Assembly, arm64: dict[Layer, Built], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for function in Function:
        used = attached(dev, function)
        code = size(ROOT / "functions" / function)
        megabytes = (code + sum(arm64[layer].size for layer in used)) / 1e6
        lines.append(f"{function:20} {megabytes:6.1f} MB  {' '.join(used)}")
        assert megabytes < LIMIT_MB, lines[-1]
        assert len(used) <= 5
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


def test_layers_for_graviton_hold_its_machine_code_and_no_other(arm64: dict[Layer, Built]) -> None:
    machines = set()
    for layer in THIRD_PARTY:
        for library in arm64[layer].folder.rglob("*.so*"):
            header = library.read_bytes()[:20]
            assert header[:4] == b"\x7fELF", library
            machines.add(int.from_bytes(header[18:20], "little"))
    assert machines == {183}  # EM_AARCH64


def test_public_keys_verify_with_the_layers_of_receive_alone(
    local: Assembly, host: dict[Layer, Built], tmp_path: Path
) -> None:
    """The library is only imported by the first such webhook."""
    used = attached(local, Function.RECEIVE_WEBHOOK)
    done = subprocess.run(
        [sys.executable, "-S", "-c", _SIGN_AND_VERIFY],
        env={"PYTHONPATH": os.pathsep.join(str(host[u].folder / "python") for u in used)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


_SIGN_AND_VERIFY = """
import sys
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders

sender = load_senders(["sendgrid"])["sendgrid"]
assert "cryptography" not in sys.modules
request = WebhookRequest("sendgrid", {}, b"[]")
headers = sender.sign(request, b"secret", 1_700_000_000_000)
signed = WebhookRequest("sendgrid", headers, b"[]")
sender.verify(signed, b"[]", [b"secret"], 1_700_000_000_000)
"""


def test_on_the_host_every_function_starts_from_its_layers_alone(
    local: Assembly, host: dict[Layer, Built], tmp_path: Path
) -> None:
    """As Lambda does it: layers on the path, boto3 from the runtime, nothing of this repository."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    packages = Path(boto3.__file__).parents[1]
    for name in ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six.py"):
        (runtime / name).symlink_to(packages / name)
    for function in Function:
        used = attached(local, function)
        path = [str(building_block.FUNCTIONS), *(str(host[u].folder / "python") for u in used)]
        done = subprocess.run(
            [sys.executable, "-S", "-c", f"import {function}.handler"],
            env={
                "PYTHONPATH": os.pathsep.join([*path, str(runtime)]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "POWERTOOLS_SERVICE_NAME": function,
                "POWERTOOLS_METRICS_NAMESPACE": "Desireline",
                "POWERTOOLS_TRACE_DISABLED": "true",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (function, done.stderr[-2000:])


def test_byte_code_lies_beside_the_source_and_is_never_checked(host: dict[Layer, Built]) -> None:
    tag = sys.implementation.cache_tag
    package = host[Layer.DESIRELINE].folder / "python" / "desireline"
    compiled = package / "__pycache__" / f"contracts.{tag}.pyc"
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01  # by hash, unchecked


def test_data_files_are_copies_in_the_layer(host: dict[Layer, Built]) -> None:
    resources = host[Layer.DESIRELINE].folder / "python" / "desireline" / "resources"
    for name in ("playbooks", "tracking_plan"):
        assert not (resources / name).is_symlink()
        packed = {path.name for path in (resources / name).iterdir()}
        assert packed == {path.name for path in (ROOT / name).iterdir()}
        assert packed


@pytest.mark.parametrize("layer", OURS)
def test_a_second_build_does_nothing(layer: Layer, tmp_path: Path) -> None:
    (first,) = build(Platform.HOST, tmp_path, [layer])
    (second,) = build(Platform.HOST, tmp_path, [layer])
    assert (first.rebuilt, second.rebuilt) == (True, False)
    assert first.size == second.size > 0


def test_a_layer_older_than_its_sources_is_not_deployed(tmp_path: Path) -> None:
    # Given a layer that was built
    build(Platform.HOST, tmp_path, [Layer.MODELS])
    assert fingerprint(Layer.MODELS, Platform.HOST, tmp_path)
    # When its sources are no longer those that it was built from
    (tmp_path / "host" / "models.stamp").write_text("0" * 64 + " compiled\n")
    # Then nobody gets it
    with pytest.raises(NotBuiltError, match="python -m infra.layers --platform host"):
        fingerprint(Layer.MODELS, Platform.HOST, tmp_path)


def test_a_missing_layer_is_not_deployed(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="layer kafka for arm64"):
        fingerprint(Layer.KAFKA, Platform.ARM64, tmp_path)


def test_platforms_are_told_apart() -> None:
    assert stamp(Layer.BASE, Platform.HOST) != stamp(Layer.BASE, Platform.ARM64)
