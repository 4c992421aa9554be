"""Watch: the alarms of the list, the topic that they go to, and one dashboard."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.building_blocks.playbook_machine import machine_arn
from infra.building_blocks.stack_key import StackKey
from infra.deployment import Deployment, DeploymentStack
from infra.watch.alarms import AlarmRow, Severity, alarm_rows
from infra.watch.dashboard import rows_of_graphs

RUNBOOK = "docs/operations.md"


class WatchStack(DeploymentStack):
    """Pages and tickets are two topics, so that each can go its own way."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "watch", deployment=deployment)
        self.key = StackKey(self, "watch", services=["cloudwatch.amazonaws.com"])
        self.topics = {severity: self._topic(severity) for severity in Severity}
        self.alarms = {
            row.name: self._alarm(row) for row in alarm_rows(deployment.settings.sources)
        }
        self._dashboard()

    def _topic(self, severity: Severity) -> sns.Topic:
        topic = sns.Topic(
            self,
            f"Ops{severity.value.title()}",
            topic_name=self.deployment.named("ops", severity),
            master_key=self.key,
            enforce_ssl=True,
        )
        cdk.CfnOutput(self, f"{severity.value.title()}Topic", value=topic.topic_arn)
        return topic

    def _alarm(self, row: AlarmRow) -> cloudwatch.Alarm:
        heading = row.runbook.lower().replace(" ", "-")
        alarm = cloudwatch.Alarm(
            self,
            row.name.replace("_", "-"),
            alarm_name=self.deployment.named(row.severity, row.name),
            alarm_description=f"{row.runbook}: {RUNBOOK}#{heading}",
            metric=self._metric(row),
            threshold=row.threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=row.periods,
            datapoints_to_alarm=row.datapoints,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topics[row.severity]))
        return alarm

    def _metric(self, row: AlarmRow) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=row.namespace,
            metric_name=row.metric,
            dimensions_map={name: self._value(value) for name, value in row.dimensions.items()},
            statistic=row.statistic,
            period=cdk.Duration.seconds(row.period),
        )

    def _value(self, value: str) -> str:
        kind, _, path = value.partition(":")
        if kind == "mapping":
            return self.learn("event_sources", *path.split("/"))
        if kind == "parameter":
            return self.learn(*path.split("/"))
        if value == "machine":
            return machine_arn(self)
        return value.replace("{deployment}", self.deployment.name)

    def _dashboard(self) -> None:
        dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self.deployment.name,
            period_override=cloudwatch.PeriodOverride.AUTO,
        )
        graphs = rows_of_graphs(
            self.deployment.name,
            region=self.deployment.settings.region,
            api=self.learn("receive", "api"),
            sources=self.deployment.settings.sources,
        )
        for row in graphs:
            dashboard.add_widgets(*row)
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(
                title="Alarms", alarms=list(self.alarms.values()), width=24, height=8
            )
        )
