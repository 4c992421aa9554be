"""Score: the function that assesses journeys."""

from __future__ import annotations

from constructs import Construct

from desireline.contracts import CONSUMED_TOPICS, Function, Table
from desireline.rows import JourneyRow, SetAsideRow, StateRow
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import KafkaEventSource
from infra.building_blocks.table import Operation as Do
from infra.building_blocks.table import rows_of, table_environment, use_rows
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer


class ScoreStack(DeploymentStack):
    """events.resolved, identity.changed -> score_journey -> journeys."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "score", deployment=deployment)
        self.function = PythonFunction(
            self,
            Function.SCORE_JOURNEY,
            description="Scores the subjects whose state or persons have changed",
            layers=[Layer.SCORE, Layer.MODELS],
            environment={
                "DEPLOYMENT": deployment.name,
                **table_environment(
                    self, Table.IDENTITY, Table.STATES, Table.JOURNEYS, Table.QUARANTINE
                ),
            },
        )
        self.function.allow(
            *use_rows(self, Do.GET, Do.BATCH_GET, rows=rows_of(Table.IDENTITY)),
            *use_rows(self, Do.GET, Do.BATCH_GET, rows=[StateRow]),
            *use_rows(self, Do.GET, Do.BATCH_GET, Do.PUT, rows=[JourneyRow]),
            *use_rows(self, Do.PUT, rows=[SetAsideRow]),
        )
        for topic in CONSUMED_TOPICS[Function.SCORE_JOURNEY]:
            KafkaEventSource(self, self.function, topic)
