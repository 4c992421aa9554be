"""cdk-nag finds nothing that is not meant to be, and what is meant to be has a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.building_blocks.acknowledge import SHORTEST_REASON, acknowledge
from tests.infrastructure.assembly import Assembly
from tests.infrastructure.conftest import ROOT

MEANT = {"APIG4", "IAM4", "IAM5", "L1", "SMG4"}
"""Rules with an exception somewhere; a new one is a decision."""

WITHOUT_ACKNOWLEDGEMENTS = """
import json, sys
import infra.building_blocks.acknowledge as module
kept = {}
def note(construct, reasons):
    kept.update({(construct.node.path, rule): reason for rule, reason in reasons.items()})
module.acknowledge = note
import infra.app
try:
    with_sources = {"example_sources": "true"}
    infra.app.synthesise(with_sources, outdir=sys.argv[1], unbuilt_layers=True)
except RuntimeError:
    pass
print(json.dumps([[path, rule, reason] for (path, rule), reason in kept.items()]))
"""

SOMETHING_OPEN = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_sns as sns
from infra.app import hold_to_rules
app = cdk.App(outdir=sys.argv[1])
sns.Topic(cdk.Stack(app, "open"), "Topic")
hold_to_rules(app)
app.synth()
"""

Run = Callable[[str, Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run() -> Run:
    def start(script: str, outdir: Path) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return subprocess.run(
            [sys.executable, "-c", script, str(outdir)],
            cwd=ROOT,
            env={"PATH": path, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(ROOT / "build" / "jsii")},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_synthesis_says_that_nothing_is_left(dev: Assembly, prod: Assembly) -> None:
    for assembly in (dev, prod):
        report = json.loads((assembly.folder / "validation-report.json").read_text())
        found = [p["violations"] for p in report["pluginReports"]]
        assert found
        assert not any(found)


def test_synthesis_stops_at_a_finding(run: Run, tmp_path: Path) -> None:
    """So the test above is not one of rules that nobody applies."""
    done = run(SOMETHING_OPEN, tmp_path)
    assert done.returncode != 0
    assert "AwsSolutions-SNS3" in done.stdout + done.stderr


def test_findings_and_acknowledgements_are_one_to_one(run: Run, tmp_path: Path) -> None:
    # Given what is found when nothing is acknowledged
    done = run(WITHOUT_ACKNOWLEDGEMENTS, tmp_path)
    said = done.stdout + done.stderr
    found = set(re.findall(r"Acknowledge with 'AwsSolutions::AwsSolutions-([^']+)'", said))
    # When it is compared with what is acknowledged
    acknowledged = json.loads(done.stdout.strip().splitlines()[-1])
    # Then nothing is acknowledged that is not found, and each for a reason
    assert {rule for _, rule, _ in acknowledged} == found
    assert {rule.partition("[")[0] for rule in found} == MEANT
    assert all(len(reason) >= SHORTEST_REASON for _, _, reason in acknowledged)


def test_a_reason_must_be_one() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        acknowledge(None, {"S1": "because"})  # type: ignore[arg-type]
