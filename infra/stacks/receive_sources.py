"""Sources: what is taken besides webhooks. Made only where cdk.json configures some."""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from desireline.adapters.mixpanel import SECRET
from desireline.contracts import Function, Table, Topic
from desireline.rows import PullRow, SuppressionLogRow
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.source_topic import TopicMapping
from infra.building_blocks.stack_key import key_use
from infra.building_blocks.table import Operation, table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer
from infra.source_settings import MixpanelExport

KEY_STAGE = "receive"
"""The stage whose key encrypts the senders' secrets."""


class SourcesStack(DeploymentStack):
    """The company's topics -> receive_topic -> Kafka; Mixpanel -> pull_exports -> our webhook."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "sources", deployment=deployment)
        sources = deployment.settings.sources
        if sources.topics:
            self._receive_topics()
        if sources.mixpanel_export:
            self._pull(sources.mixpanel_export)

    def _receive_topics(self) -> None:
        topics = self.deployment.settings.sources.topics
        function = PythonFunction(
            self,
            Function.RECEIVE_TOPIC,
            description="Maps the records of the company's own topics",
            layers=[Layer.KAFKA],
            environment={
                "DEPLOYMENT": self.deployment.name,
                "TOPICS": json.dumps({one.topic: one.source for one in topics}, sort_keys=True),
                **table_environment(self, Table.ADMISSION),
            },
            produces=[Topic.WEBHOOKS_RAW, Topic.EVENTS_RECEIVED, Topic.EVENTS_QUARANTINED],
            driven=True,
        )
        function.allow(
            *self._read_secrets(self.learn("secrets", "identity")),
            *use_rows(self, Operation.QUERY, rows=[SuppressionLogRow]),
        )
        for source in topics:
            TopicMapping(self, function, source)

    def _pull(self, export: MixpanelExport) -> None:
        account = self._service_account()
        function = PythonFunction(
            self,
            Function.PULL_EXPORTS,
            description="Posts what Mixpanel's export has that is new",
            environment={
                "DEPLOYMENT": self.deployment.name,
                "WEBHOOKS_URL": self._webhooks_url(),
                "MIXPANEL_EXPORT": self.to_json_string(self._export_settings(export)),
                **table_environment(self, Table.SOURCES),
            },
        )
        function.allow(
            *use_rows(self, Operation.GET, Operation.PUT, rows=[PullRow]),
            *self._read_secrets(self.learn("secrets", "mixpanel_export"), account.secret_arn),
        )
        self._schedule(function, export)

    def _export_settings(self, export: MixpanelExport) -> dict[str, Any]:
        """Return the export in the form of the function's settings. The local cloud serves a
        stand-in of Mixpanel."""
        return {
            "url": self.learn("mixpanel", "url") if self.deployment.local else export.url,
            "project": export.project,
            "time_zone": export.time_zone,
            "first_day": export.first_day.isoformat(),
            "window_days": export.window_days,
            "requests": export.requests,
            "account_property": export.account_property,
        }

    def _webhooks_url(self) -> str:
        if not self.deployment.local:
            return self.learn("receive", "url")
        # The local cloud's API has one address for all.
        return "/".join(
            [
                self.learn("local", "aws"),
                "_aws/execute-api",
                self.learn("receive", "api"),
                "$default/webhooks",
            ]
        )

    def _service_account(self) -> secretsmanager.Secret:
        """A placeholder until an operator stores what Mixpanel has issued."""
        key = kms.Key.from_key_arn(self, "SecretsKey", self.learn(KEY_STAGE, "key"))
        secret = secretsmanager.Secret(
            self,
            "ServiceAccount",
            secret_name=f"{self.deployment.name}/{SECRET}",
            description="Mixpanel service account, role consumer: username and secret",
            encryption_key=key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"username": ""}),
                generate_string_key="secret",
                password_length=48,
                exclude_punctuation=True,
            ),
            removal_policy=self.deployment.removal,
        )
        acknowledge(
            secret,
            {
                "SMG4": "Mixpanel issues it and has no way of taking another one from us: it is "
                "replaced by hand"
            },
        )
        return secret

    def _read_secrets(self, *arns: str) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[*arns]),
            key_use(self, self.learn(KEY_STAGE, "key"), service="secretsmanager"),
        ]

    def _schedule(self, function: PythonFunction, export: MixpanelExport) -> None:
        """Once in a while. A run that failed needs no repetition: the next one goes on."""
        rule = events.CfnRule(
            self,
            "Schedule",
            name=self.deployment.named("pull-exports"),
            description="When the next part of Mixpanel's export is pulled",
            schedule_expression=_rate(export.interval_minutes),
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="pull-exports",
                    arn=function.lambda_function.function_arn,
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=0, maximum_event_age_in_seconds=300
                    ),
                )
            ],
        )
        lambda_.CfnPermission(
            self,
            "ScheduleMayInvoke",
            action="lambda:InvokeFunction",
            function_name=function.lambda_function.function_arn,
            principal="events.amazonaws.com",
            source_arn=rule.attr_arn,
        )
        lambda_.CfnEventInvokeConfig(
            self,
            "NoRepetition",
            function_name=function.lambda_function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=0,
            maximum_event_age_in_seconds=300,
        )


def _rate(minutes: int) -> str:
    if minutes % 60 == 0:
        hours = minutes // 60
        return f"rate({hours} hour{'s' if hours > 1 else ''})"
    return f"rate({minutes} minutes)"
