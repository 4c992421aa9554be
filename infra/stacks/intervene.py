"""Intervene: enrolments, checks at their due times, claims, and what is sent."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from desireline.contracts import CONSUMED_TOPICS, Function, Table
from desireline.intervene.channels import CHANNELS
from desireline.rows import (
    ClaimRow,
    DecisionRow,
    EnrolmentRow,
    SetAsideRow,
    SlotRow,
    StateRow,
    SubjectRow,
    SuppressionRow,
)
from infra.building_blocks.channel_queue import KEY_STACK, ChannelQueue, pascal_case
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import KafkaEventSource
from infra.building_blocks.playbook_machine import PlaybookMachine, machine_arn, may_start
from infra.building_blocks.stack_key import StackKey, key_use
from infra.building_blocks.table import Operation as Do
from infra.building_blocks.table import rows_of, table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer

READS = (Do.GET, Do.BATCH_GET, Do.QUERY)
DECIDED = (DecisionRow, EnrolmentRow, SlotRow, ClaimRow)
"""The rows that a check writes: ledger, enrolments, slots and claims."""


class InterveneStack(DeploymentStack):
    """start_interventions, check_playbook and deliver_action, with the machine and the queues."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, KEY_STACK, deployment=deployment)
        self.key = StackKey(self, KEY_STACK)
        self.topics = self._topics()
        self.switches = self._switches()
        self.start = self._start()
        self.check = self._check()
        self.machine = PlaybookMachine(self, check=self.check)
        self.deliver = self._deliver()
        self.queues = {
            name: ChannelQueue(self, channel, key=self.key, handled_in=self.deliver.timeout)
            for name, channel in sorted(CHANNELS.items())
        }
        for queue in self.queues.values():
            queue.deliver_to(self.deliver)

    def _topics(self) -> dict[str, sns.Topic]:
        """Make the SNS topics of the channels that have one, by channel."""
        topics = {
            name: sns.Topic(
                self,
                f"{pascal_case(name)}Topic",
                topic_name=self.deployment.named(channel.topic),
                display_name="Desireline",
                master_key=self.key,
                enforce_ssl=True,
            )
            for name, channel in sorted(CHANNELS.items())
            if channel.topic is not None
        }
        arns = {name: topic.topic_arn for name, topic in topics.items()}
        cdk.CfnOutput(self, "AlertTopics", value=self.to_json_string(arns))
        return topics

    def _switches(self) -> ssm.StringParameter:
        """What operators turn while it runs: a constant, for CloudFormation writes the document
        again when it changes, kill switches included, and no setting may do that."""
        default: dict[str, object] = {
            "send_mode": "record",
            "allowlist": [],
            "kill": {"all": False, "playbooks": [], "channels": []},
        }
        return ssm.StringParameter(
            self,
            "Switches",
            parameter_name=self.deployment.parameter("switches"),
            description="Send mode, allowlist and kill switches; read before every send",
            string_value=json.dumps(default),
        )

    def _start(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.START_INTERVENTIONS,
            description="Enrols subjects in the playbooks that an event or a crossing triggers",
            environment={
                **table_environment(self, Table.IDENTITY, Table.INTERVENTIONS, Table.QUARANTINE),
                "STATE_MACHINE_ARN": machine_arn(self),
                "HOLDOUT_PERCENT": str(self.deployment.settings.holdout_percent),
            },
            reads_journey_time=True,
        )
        function.allow(
            # The holdout is assigned once and stored with the subject.
            *use_rows(self, Do.GET, Do.PUT, Do.CHECK, rows=[SubjectRow]),
            *use_rows(
                self, Do.GET, Do.BATCH_GET, Do.PUT, rows=[DecisionRow, EnrolmentRow, SlotRow]
            ),
            *use_rows(self, Do.PUT, rows=[SetAsideRow]),
            may_start(self),
        )
        for topic in CONSUMED_TOPICS[Function.START_INTERVENTIONS]:
            KafkaEventSource(self, function, topic)
        return function

    def _check(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.CHECK_PLAYBOOK,
            description="Decides one checkpoint of one enrolment, and says when the next is due",
            layers=[Layer.SCORE, Layer.MODELS],
            environment={
                **table_environment(
                    self, Table.IDENTITY, Table.STATES, Table.INTERVENTIONS, Table.ADMISSION
                ),
                "SWITCHES_PARAMETER": self.switches.parameter_name,
                "HOLDOUT_PERCENT": str(self.deployment.settings.holdout_percent),
            },
            reads_journey_time=True,
        )
        function.allow(
            *use_rows(self, Do.GET, Do.BATCH_GET, rows=rows_of(Table.IDENTITY)),
            *use_rows(self, Do.PUT, Do.CHECK, rows=[SubjectRow]),
            *use_rows(self, *READS, rows=[StateRow]),
            *use_rows(self, *READS, rows=DECIDED),
            *use_rows(self, Do.BATCH_GET, rows=[SuppressionRow]),
            *use_rows(self, Do.PUT, rows=DECIDED),
            self._reads_switches(),
        )
        return function

    def _deliver(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.DELIVER_ACTION,
            description="Turns a claim into at most one message",
            environment={
                **table_environment(self, Table.INTERVENTIONS, Table.ADMISSION),
                "SWITCHES_PARAMETER": self.switches.parameter_name,
                "ALERT_TOPICS": self.to_json_string(
                    {name: topic.topic_arn for name, topic in self.topics.items()}
                ),
            },
            reads_journey_time=True,
        )
        function.allow(
            *use_rows(self, Do.GET, Do.PUT, Do.CHECK, rows=[DecisionRow, EnrolmentRow, ClaimRow]),
            *use_rows(self, Do.BATCH_GET, rows=[SuppressionRow]),
            iam.PolicyStatement(
                actions=["sns:Publish"],
                resources=[topic.topic_arn for topic in self.topics.values()],
            ),
            key_use(self, self.key.key_arn, service="sns", write=True),
            self._reads_switches(),
        )
        return function

    def _reads_switches(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["ssm:GetParameter"], resources=[self.switches.parameter_arn]
        )
