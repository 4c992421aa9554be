"""Receive: the HTTP API, the senders' secrets, and the function that takes webhooks."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from desireline.contracts import Function, Table, Topic
from desireline.receive.senders import load_senders
from desireline.rows import AliasRow, BucketRow, PersonRow, SuppressionLogRow, SuppressionRow
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.api_stage import api_stage
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.stack_key import StackKey, key_use
from infra.building_blocks.table import Operation as Do
from infra.building_blocks.table import table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer

ROUTE = "/webhooks/{source}"
DIRECT_ROUTE = "/v1/{call}"
METHODS = {
    ROUTE: (apigateway.HttpMethod.POST, apigateway.HttpMethod.HEAD),
    DIRECT_ROUTE: (apigateway.HttpMethod.POST,),
}
PREFLIGHT_HOURS = 24
SECRET_LENGTH = 48

SHARED_SECRETS = frozenset({"identity", "mixpanel_export"})
"""What the functions of sources read as well."""


class ReceiveStack(DeploymentStack):
    """POST /webhooks/{source} and POST /v1/{call} -> receive_webhook -> Kafka. HEAD is how some
    senders ask whether there is anybody."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "receive", deployment=deployment)
        self.key = StackKey(self, "receive")
        senders = load_senders(deployment.settings.senders)
        described = {name: sender.secret for name, sender in senders.items()}
        self.secrets = {
            name: self._secret(name, f"{name}: {what}")
            for name, what in {**described, "identity": IDENTITY}.items()
        }
        self.function = self._function()
        self.api = self._api()
        url = f"{self.api.api_endpoint}/webhooks"
        self.publish("receive", "identity", value=self.secrets["identity"].secret_arn)
        self.publish("receive", "api", value=self.api.api_id)
        self.publish("receive", "url", value=url)
        for name in SHARED_SECRETS & self.secrets.keys():
            self.publish("secrets", name, value=self.secrets[name].secret_arn)
        cdk.CfnOutput(self, "WebhooksUrl", value=url)
        cdk.CfnOutput(self, "DirectUrl", value=f"{self.api.api_endpoint}/v1")

    def _secret(self, name: str, description: str) -> secretsmanager.Secret:
        """A secret with a random value: right for what we choose ourselves, and a placeholder
        that verifies nothing until an operator stores what a sender has issued."""
        secret = secretsmanager.Secret(
            self,
            f"{name.title().replace('_', '')}Secret",
            secret_name=f"{self.deployment.name}/{name}",
            description=description,
            encryption_key=self.key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=SECRET_LENGTH,
                exclude_punctuation=True,
                # The same once more, for the local cloud, which knows only the list. A colon or a
                # brace in a secret would make Basic credentials or a document of it.
                exclude_characters=string.punctuation,
            ),
            removal_policy=self.deployment.removal,
        )
        acknowledge(
            secret,
            {
                "SMG4": "The sender issues it and must be told of a new one: it is rotated by "
                "hand, with the previous version accepted meanwhile; the identity "
                "secret names all fragments and may never change"
            },
        )
        return secret

    def _function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.RECEIVE_WEBHOOK,
            description="Verifies webhooks and puts their events into Kafka",
            layers=[Layer.KAFKA, Layer.VERIFY],
            environment={
                "DEPLOYMENT": self.deployment.name,
                "SENDERS": json.dumps(sorted(self.deployment.settings.senders)),
                "LIMITS": json.dumps(
                    {
                        name: limit.model_dump()
                        for name, limit in sorted(self.deployment.settings.limits.items())
                    }
                ),
                **table_environment(self, Table.IDENTITY, Table.ADMISSION),
            },
            produces=[Topic.WEBHOOKS_RAW, Topic.EVENTS_RECEIVED, Topic.EVENTS_QUARANTINED],
            reads_journey_time=True,
        )
        function.allow(
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"],
                resources=[secret.secret_arn for secret in self.secrets.values()],
            ),
            key_use(self, self.key.key_arn, service="secretsmanager"),
            *use_rows(self, Do.GET, Do.PUT, rows=[BucketRow, SuppressionRow]),
            *use_rows(self, Do.QUERY, Do.PUT, rows=[SuppressionLogRow]),
            # A person whose data a sender had to delete is suppressed, with all known aliases.
            *use_rows(self, Do.GET, rows=[AliasRow, PersonRow]),
        )
        return function

    def _api(self) -> apigateway.HttpApi:
        api = apigateway.HttpApi(
            self,
            "Api",
            api_name=self.deployment.named("webhooks"),
            description="Where SaaS tools send their webhooks, and sites and servers their events",
            create_default_stage=False,
            cors_preflight=self._cors(),
        )
        integration = integrations.HttpLambdaIntegration(
            "ReceiveWebhook", self.function.lambda_function
        )
        routes = [
            route
            for path, methods in METHODS.items()
            for route in api.add_routes(path=path, methods=list(methods), integration=integration)
        ]
        for route in routes:
            acknowledge(
                route,
                {"APIG4": "Senders cannot carry tokens: each signature or write key is verified"},
            )
        self._stage(api, routes)
        return api

    def _cors(self) -> apigateway.CorsPreflightOptions | None:
        """What browsers are told: API Gateway answers their OPTIONS itself, and adds the headers
        to every answer."""
        origins = self.deployment.settings.direct.origins
        if not origins:
            return None
        return apigateway.CorsPreflightOptions(
            allow_origins=list(origins),
            allow_methods=[apigateway.CorsHttpMethod.POST],
            allow_headers=["authorization", "content-type", "x-retry-count"],
            max_age=cdk.Duration.hours(PREFLIGHT_HOURS),
        )

    def _stage(self, api: apigateway.HttpApi, routes: Sequence[apigateway.HttpRoute]) -> None:
        settings = self.deployment.settings
        throttles = {ROUTE: settings.webhooks, DIRECT_ROUTE: settings.direct}
        stage = api_stage(
            self,
            api,
            self.deployment.named("webhooks"),
            rate=1,
            burst=1,
            route_settings={
                f"{method.value} {path}": {
                    "DetailedMetricsEnabled": True,
                    "ThrottlingRateLimit": throttle.rate,
                    "ThrottlingBurstLimit": throttle.burst,
                }
                for path, throttle in throttles.items()
                for method in METHODS[path]
            },
        )
        # A route's settings can only be made once there is the route.
        stage.node.add_dependency(*routes)


IDENTITY = "names fragments and salts addresses: never rotate it, it is part of every id"
