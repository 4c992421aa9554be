"""The layers as a stack sees them. Each stack has its own: exports of layers lock stacks."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.deployment import Deployment
from infra.layers import Layer, fingerprint

RUNTIME = lambda_.Runtime.PYTHON_3_13


class LayerVersions(Construct):
    """Layer versions of one stack, made when first asked for."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "Layers")
        # The builder has laid the files out already; a copy into cdk.out would only take time.
        self.node.set_context("aws:cdk:disable-asset-staging", True)
        self._deployment = deployment
        self._made: dict[Layer, lambda_.LayerVersion] = {}

    def get(self, layer: Layer) -> lambda_.LayerVersion:
        """The version of a layer. Raises NotBuiltError when it is missing or stale."""
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
                # Compiled files would change the template when something was imported in between.
                exclude=["**/__pycache__"],
            )
        platform = self._deployment.platform
        return lambda_.Code.from_asset(
            str(layer.folder(platform)),
            asset_hash=fingerprint(layer, platform),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
        )
