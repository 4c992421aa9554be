"""What docs/cost.md says is paid all the time is what the templates of prod hold, with a topic and
an export as sources."""

from __future__ import annotations

import math

from desireline_operate.cost.prices import list_prices
from tests.infrastructure.assembly import Assembly, Resource

POLLERS_A_UNIT = 10


def test_what_stands_is_what_the_templates_hold(prod: Assembly) -> None:
    pollers = sum(
        mapping.properties["ProvisionedPollerConfig"]["MinimumPollers"]
        for mapping in prod.of_type("AWS::Lambda::EventSourceMapping")
        if "ProvisionedPollerConfig" in mapping.properties
    )
    (cluster,) = prod.of_type("AWS::MSK::Cluster")
    interfaces = [
        endpoint
        for endpoint in prod.of_type("AWS::EC2::VPCEndpoint")
        if endpoint.properties["VpcEndpointType"] == "Interface"
    ]

    assert {one.price: one.count for one in list_prices().floor} == {
        "kafka_broker": cluster.properties["NumberOfBrokerNodes"],
        "poller_unit": math.ceil(pollers / POLLERS_A_UNIT),
        "interface_endpoint": sum(len(one.properties["SubnetIds"]) for one in interfaces),
        "kms_key": len(prod.of_type("AWS::KMS::Key")),
        "secret": len(prod.of_type("AWS::SecretsManager::Secret")),
        "alarm": sum(map(_metrics, prod.of_type("AWS::CloudWatch::Alarm"))),
    }
    assert cluster.properties["BrokerNodeGroupInfo"]["InstanceType"] == "express.m7g.large"


def _metrics(alarm: Resource) -> int:
    """How many metrics it looks at: that is what is billed, not what it computes of them."""
    listed = alarm.properties.get("Metrics")
    return 1 if listed is None else sum("MetricStat" in one for one in listed)
