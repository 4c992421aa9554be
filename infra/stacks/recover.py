"""Quarantine: the index of what could not be taken further, and the API that shows and repairs."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from constructs import Construct

from desireline.contracts import CONSUMED_TOPICS, Function, Table, Topic
from desireline.rows import CaseGroupRow, CasePageRow, CaseRow, SuppressionLogRow
from infra.building_blocks import kafka_access
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.api_stage import api_stage
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import KafkaEventSource
from infra.building_blocks.stack_key import key_use
from infra.building_blocks.table import Operation as Do
from infra.building_blocks.table import table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer
from infra.stacks.archive import ARCHIVE

ROUTES = {
    "/quarantine": apigateway.HttpMethod.GET,
    "/quarantine/{id}": apigateway.HttpMethod.GET,
    "/quarantine/preview": apigateway.HttpMethod.POST,
    "/quarantine/replay": apigateway.HttpMethod.POST,
}
REPLAYED = (
    Topic.EVENTS_RECEIVED,
    Topic.EVENTS_RESOLVED,
    Topic.IDENTITY_CHANGED,
    Topic.JOURNEYS_SCORED,
)
"""Where a case may go again: to the topic that its stage reads."""

CASES = (CaseRow, CaseGroupRow, CasePageRow)
"""The rows of cases. publish_changes alone reads what was set aside."""


class RecoverStack(DeploymentStack):
    """events.quarantined -> index_quarantine -> quarantine; the API -> serve_quarantine."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "recover", deployment=deployment)
        self.index = self._index()
        self.serve = self._serve()
        self.api = self._api()
        url = f"{self.api.api_endpoint}/quarantine"
        self.publish("quarantine", "url", value=url)
        cdk.CfnOutput(self, "QuarantineUrl", value=url)

    def _index(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.INDEX_QUARANTINE,
            description="Indexes what could not be taken further",
            environment=table_environment(self, Table.QUARANTINE),
        )
        function.allow(
            *use_rows(self, Do.GET, Do.BATCH_GET, Do.QUERY, Do.PUT, rows=CASES),
        )
        for topic in CONSUMED_TOPICS[Function.INDEX_QUARANTINE]:
            KafkaEventSource(self, function, topic)
        return function

    def _serve(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.SERVE_QUARANTINE,
            description="Shows, repairs and replays what is in quarantine",
            layers=[Layer.KAFKA, Layer.VERIFY],
            environment={
                "DEPLOYMENT": self.deployment.name,
                "SENDERS": json.dumps(sorted(self.deployment.settings.senders)),
                "ARCHIVE_BUCKET": self.learn("archive", "bucket"),
                **table_environment(self, Table.QUARANTINE, Table.ADMISSION),
            },
            produces=REPLAYED,
        )
        bucket = f"arn:{self.partition}:s3:::{self.deployment.bucket_name(ARCHIVE)}"
        bodies = f"{Topic.WEBHOOKS_RAW}/*"
        function.allow(
            *use_rows(self, Do.GET, Do.BATCH_GET, Do.QUERY, Do.PUT, rows=CASES),
            *use_rows(self, Do.QUERY, rows=[SuppressionLogRow]),
            *kafka_access.read(self, Topic.WEBHOOKS_RAW),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket],
                conditions={"StringLike": {"s3:prefix": [bodies]}},
            ),
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{bucket}/{bodies}"]),
            key_use(self, self.learn("archive", "key"), service="s3"),
            # Of all secrets the one that names fragments: signatures were checked on arrival.
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"],
                resources=[self.learn("receive", "identity")],
            ),
            key_use(self, self.learn("receive", "key"), service="secretsmanager"),
        )
        acknowledge(
            function.role,
            {
                f"IAM5[Resource::arn:aws:s3:::{self.deployment.named(ARCHIVE)}-<AWS::AccountId>"
                f"/{bodies}]": "Raw bodies are named by date and offsets; the prefix is the topic's"
            },
        )
        return function

    def _api(self) -> apigateway.HttpApi:
        """An API of its own: whoever may send us webhooks has no way here, and each request is
        authorised by IAM."""
        api = apigateway.HttpApi(
            self,
            "Api",
            api_name=self.deployment.named("quarantine"),
            description="What could not be taken further: shown, repaired, replayed",
            create_default_stage=False,
            default_authorizer=authorizers.HttpIamAuthorizer(),
        )
        integration = integrations.HttpLambdaIntegration(
            "ServeQuarantine", self.serve.lambda_function
        )
        routes = [
            route
            for path, method in ROUTES.items()
            for route in api.add_routes(path=path, methods=[method], integration=integration)
        ]
        throttle = self.deployment.settings.quarantine
        stage = api_stage(
            self, api, self.deployment.named("quarantine"), rate=throttle.rate, burst=throttle.burst
        )
        stage.node.add_dependency(*routes)
        return api
