"""Synthesis needs nothing but this repository, and says the same each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from desireline.contracts import Function
from infra.settings import LOCAL_ARCHIVE_WINDOW
from tests.infrastructure.assembly import Assembly
from tests.infrastructure.conftest import SOURCES, synthesise

STAGES = {
    "tables", "archive", "resolve", "score", "intervene", "announce", "receive",
    "receive-sources", "recover", "watch",
}  # fmt: skip


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second synthesis; `said` holds what it said."""
    folder = tmp_path_factory.mktemp("again") / "dev"
    done, _ = synthesise(folder, *SOURCES)
    assert done.returncode == 0, done.stderr[-4000:]
    (folder / "said").write_text(done.stdout + done.stderr)
    return folder


def test_nothing_is_asked_of_the_network(again: Path) -> None:
    # Given a synthesis in which every connection is refused and written down
    attempts = (again / "connections.log").read_text().splitlines()
    # Then the guards stood in both processes, and nobody tried
    assert set(attempts) == {"guarding python", "guarding node"}


def test_the_same_sources_give_the_same_templates(again: Path, dev: Assembly) -> None:
    assert Assembly(again / "out", "desireline-dev").templates == dev.templates


def test_it_warns_of_nothing(again: Path) -> None:
    """No outdated Node, nothing deprecated."""
    said = (again / "said").read_text()
    assert "end-of-life" not in said
    assert "deprecated" not in said
    assert "WARNING" not in said


def test_the_local_cloud_leaves_out_only_what_it_replaces(dev: Assembly, local: Assembly) -> None:
    assert set(dev.templates) == STAGES | {"network", "streaming"}
    assert set(local.templates) == STAGES


def test_the_local_cloud_deploys_the_same_resources(dev: Assembly, local: Assembly) -> None:
    def listed(assembly: Assembly) -> list[tuple[str, str, str]]:
        return sorted((r.stack, r.type, r.name) for r in assembly.resources if r.stack in STAGES)

    assert _without_layers(listed(local)) == _without_layers(listed(dev))


def test_the_local_cloud_can_deploy_it(local: Assembly) -> None:
    """No custom resource, no look-up, nothing in a VPC."""
    kinds = {r.type for r in local.resources}
    assert not {kind for kind in kinds if kind.startswith("Custom::") or "CustomResource" in kind}
    assert not any("VpcConfig" in f.properties for f in local.functions().values())


def test_locally_only_the_archive_waits_for_a_batch(dev: Assembly, local: Assembly) -> None:
    def windows(assembly: Assembly) -> dict[Function, set[int]]:
        return {
            function: {
                m.get("MaximumBatchingWindowInSeconds", 0) for m in assembly.mappings(function)
            }
            for function in Function
            if assembly.mappings(function)
        }

    assert windows(dev).pop(Function.ARCHIVE_HISTORY) == {60}
    hurried = windows(local)
    assert hurried.pop(Function.ARCHIVE_HISTORY) == {LOCAL_ARCHIVE_WINDOW}
    assert set().union(*hurried.values()) == {0}


def test_stacks_hold_no_exports_that_would_lock_them(dev: Assembly) -> None:
    for template in dev.templates.values():
        assert "Fn::ImportValue" not in json.dumps(template)
        assert not any("Export" in output for output in template.get("Outputs", {}).values())


def test_a_parameter_is_written_before_it_is_read(dev: Assembly) -> None:
    order = [
        "network", "streaming", "tables", "archive", "resolve", "score", "intervene", "announce",
        "receive", "receive-sources", "recover", "watch",
    ]  # fmt: skip
    written: set[str] = set()
    for stack in order:
        for parameter in dev.templates[stack].get("Parameters", {}).values():
            name = parameter["Default"]
            assert name in written or name.startswith("/cdk-bootstrap/"), (stack, name)
        written |= {r.properties["Name"] for r in dev.of_type("AWS::SSM::Parameter", stack=stack)}


def test_the_manifest_deploys_the_stacks_in_that_order(dev: Assembly) -> None:
    manifest = json.loads((dev.folder / "manifest.json").read_text())["artifacts"]
    needs = {
        name.removeprefix("desireline-dev-"): set(artifact.get("dependencies", []))
        for name, artifact in manifest.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    assert "desireline-dev-streaming" in needs["tables"]
    assert "desireline-dev-tables" in needs["archive"]
    assert "desireline-dev-announce" in needs["receive"]
    assert "desireline-dev-archive" in needs["resolve"]
    assert "desireline-dev-receive" in needs["receive-sources"]
    assert "desireline-dev-receive-sources" in needs["recover"]
    assert "desireline-dev-recover" in needs["watch"]


def test_a_deployment_may_have_another_name(synthesised: Callable[..., Assembly]) -> None:
    """A cell is another deployment beside the first."""
    cell = synthesised("cell", "cell-two", "-c", "deployment=cell-two", "-c", "local=true")
    assert set(cell.functions()) == set(Function)
    assert {r.properties["TableName"] for r in cell.of_type("AWS::DynamoDB::Table")} == {
        "cell-two-identity",
        "cell-two-states",
        "cell-two-journeys",
        "cell-two-interventions",
        "cell-two-admission",
        "cell-two-sources",
        "cell-two-quarantine",
    }
    assert "desireline-dev" not in json.dumps(list(cell.templates.values()))


def _without_layers(listed: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    # A layer's logical id holds the hash of what it was built of, which differs by platform.
    return [entry for entry in listed if entry[1] != "AWS::Lambda::LayerVersion"]
