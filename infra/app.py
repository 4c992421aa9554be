"""The CDK application. The CDK command runs `python -m infra.app`; you can run it too.

    python -m infra.app --context stage=prod
    python -m infra.app --context local=true       # without network and streaming
    python -m infra.app --context example_sources=true   # with a topic and an export as sources

It writes the cloud assembly to `cdk.out` (CDK_OUTDIR), without credentials, network or Docker.
Build the layers first (`make layers`); they must not be older than their sources. With
`--unbuilt-layers` it uses the layers' sources instead: such templates are for reading and tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.deployment import Deployment, DeploymentStack
from infra.layers import NotBuiltError
from infra.settings import Synthesis, context, deployment_settings
from infra.stacks.announce import AnnounceStack
from infra.stacks.archive import ArchiveStack
from infra.stacks.intervene import InterveneStack
from infra.stacks.network import NetworkStack
from infra.stacks.receive import ReceiveStack
from infra.stacks.receive_sources import SourcesStack
from infra.stacks.recover import QuarantineStack
from infra.stacks.resolve import ResolveStack
from infra.stacks.score import ScoreStack
from infra.stacks.streaming import StreamingStack
from infra.stacks.tables import TablesStack
from infra.stacks.watch import WatchStack


class InvalidRequestError(Exception):
    """cdk.json has no such settings, or they are invalid."""


def deployment_from(app: cdk.App, *, unbuilt_layers: bool) -> Deployment:
    """Return the deployment that the context names. Raises ValueError for invalid settings."""
    settings = deployment_settings(
        app.node.get_context("stages"), str(app.node.get_context("stage"))
    )
    local = str(app.node.try_get_context("local")).lower() == "true"
    name = app.node.try_get_context("deployment")
    if name:
        settings = settings.model_validate({**settings.model_dump(), "deployment": name})
    examples = str(app.node.try_get_context("example_sources")).lower() == "true"
    if local or examples:
        settings = settings.with_example_sources()
    return Deployment(
        settings=settings.without_windows() if local else settings,
        local=local,
        unbuilt_layers=unbuilt_layers,
    )


def compose(app: cdk.App, deployment: Deployment) -> None:
    """Compose all stacks, each after the stacks that it needs."""
    before: list[DeploymentStack] = []
    if not deployment.local:
        before = [
            NetworkStack(app, deployment=deployment),
            StreamingStack(app, deployment=deployment),
        ]
    stacks: list[DeploymentStack] = [
        *before,
        TablesStack(app, deployment=deployment),
        ArchiveStack(app, deployment=deployment),
        ResolveStack(app, deployment=deployment),
        ScoreStack(app, deployment=deployment),
        InterveneStack(app, deployment=deployment),
        AnnounceStack(app, deployment=deployment),
        # Deploy receive after the consumers of its events.
        ReceiveStack(app, deployment=deployment),
        *(
            [SourcesStack(app, deployment=deployment)]
            if deployment.settings.sources.functions
            else []
        ),
        QuarantineStack(app, deployment=deployment),
        WatchStack(app, deployment=deployment),
    ]
    for earlier, later in zip(stacks, stacks[1:], strict=False):
        # Stacks depend on parameters of others, which CloudFormation does not see.
        later.add_stack_dependency(earlier)


def synthesise(overrides: Mapping[str, Any], *, outdir: str, unbuilt_layers: bool = False) -> None:
    """Write the cloud assembly to `outdir`.

    Raises InvalidRequestError, NotBuiltError, and an error for each finding of cdk-nag."""
    app = cdk.App(context={**context(), **overrides}, outdir=outdir, analytics_reporting=False)
    try:
        deployment = deployment_from(app, unbuilt_layers=unbuilt_layers)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    compose(app, deployment)
    if not deployment.local:
        hold_to_rules(app)
    app.synth()


def hold_to_rules(app: cdk.App) -> None:
    """Let cdk-nag fail a synthesis if it has findings."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("--context", "-c", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--unbuilt-layers", action="store_true")
    options = parser.parse_args(arguments)
    pairs = [pair.partition("=") for pair in options.context]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        parser.error(f"--context {wrong[0]}: write KEY=VALUE")
    overrides = {key: value for key, _, value in pairs}
    try:
        synthesise(overrides, outdir=Synthesis().cdk_outdir, unbuilt_layers=options.unbuilt_layers)
    except NotBuiltError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except InvalidRequestError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
