"""The layer versions of a stack. Each stack has its own, because exports would lock stacks."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.deployment import Deployment
from infra.layers import Layer, fingerprint

RUNTIME = lambda_.Runtime.PYTHON_3_13


class LayerVersions(Construct):
    """The layer versions of one stack, each created by the first `get`."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "Layers")
        # The layers are already built in a folder, so CDK need not copy them to cdk.out.
        self.node.set_context("aws:cdk:disable-asset-staging", True)
        self._deployment = deployment
        self._made: dict[Layer, lambda_.LayerVersion] = {}

    def get(self, layer: Layer) -> lambda_.LayerVersion:
        """Return the version of a layer. Raises NotBuiltError if it is missing or stale."""
        if layer not in self._made:
            self._made[layer] = lambda_.LayerVersion(
                self,
                layer.value.title(),
                layer_version_name=self._deployment.named("layer", layer),
                description=f"Desireline layer {layer}, {self._deployment.platform.target}",
                code=self._code(layer),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[self._deployment.architecture],
            )
        return self._made[layer]

    def _code(self, layer: Layer) -> lambda_.Code:
        if self._deployment.unbuilt_layers:
            return lambda_.Code.from_asset(
                str(layer.source),
                follow_symlinks=cdk.SymlinkFollowMode.NEVER,
                # Byte code would change the template after an import.
                exclude=["**/__pycache__"],
            )
        platform = self._deployment.platform
        return lambda_.Code.from_asset(
            str(layer.folder(platform)),
            asset_hash=fingerprint(layer, platform),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
        )
