"""Resolve: the function that keeps identity and folded state."""

from __future__ import annotations

from constructs import Construct

from desireline.contracts import CONSUMED_TOPICS, Function, Table, Topic
from desireline.rows import SealedIdsRow, StateRow
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import KafkaEventSource
from infra.building_blocks.table import Operation as Do
from infra.building_blocks.table import rows_of, table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer


class ResolveStack(DeploymentStack):
    """events.received -> resolve_identity -> identity, states, events.resolved."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "resolve", deployment=deployment)
        self.function = PythonFunction(
            self,
            Function.RESOLVE_IDENTITY,
            description="Folds events into their fragments' state and joins people",
            layers=[Layer.KAFKA],
            environment={
                "DEPLOYMENT": deployment.name,
                **table_environment(self, Table.IDENTITY, Table.STATES),
            },
            produces=[Topic.EVENTS_RESOLVED, Topic.EVENTS_QUARANTINED],
            reads_journey_time=True,
        )
        self.function.allow(
            *use_rows(self, Do.BATCH_GET, Do.PUT, Do.CHECK, rows=rows_of(Table.IDENTITY)),
            *use_rows(self, Do.GET, Do.BATCH_GET, Do.PUT, rows=[StateRow, SealedIdsRow]),
        )
        for topic in CONSUMED_TOPICS[Function.RESOLVE_IDENTITY]:
            KafkaEventSource(self, self.function, topic)
