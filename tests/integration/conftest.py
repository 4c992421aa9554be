"""The real broker and the local AWS, started once a session, for everything that talks to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench.read_topic import wait_for_coordinators
from desireline.adapters.aws import config
from desireline_local.aws.cloud import REGION, Control, LocalAws
from desireline_local.kafka.broker import Kafka, create_topics

HERE = Path(__file__).parent
Clients = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies here needs a real neighbour."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A running broker of one node. Who kills it makes one of their own."""
    with Kafka(tmp_path_factory.mktemp("kafka")) as broker:
        wait_for_coordinators(broker.bootstrap)
        yield broker


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A running local AWS. Names of resources must be unique; its clock is shared."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture(scope="session")
def control(local_aws: LocalAws) -> Control:
    """The local AWS' clock and faults."""
    return local_aws.control


@pytest.fixture
def table(local_aws: LocalAws) -> str:
    """A table of its own, with a key of one attribute."""
    name = f"t-{uuid4().hex[:8]}"
    local_aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def topic(kafka: Kafka) -> Callable[..., str]:
    """Makes a topic with a name of its own: topic(partitions=4)."""

    def make(*, partitions: int = 1) -> str:
        name = f"test.{uuid4().hex[:10]}"
        create_topics(kafka.bootstrap, {name: partitions})
        return name

    return make


@pytest.fixture(scope="session")
def clients(local_aws: LocalAws) -> Iterator[Clients]:
    """clients(service, attempts=…, read_timeout=…): closed when the session ends."""
    session = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    with ExitStack() as stack:

        def make(service: str, **given: Any) -> Any:
            # What is repeated for want of patience is not what a test gave it to do.
            waits = config(**{"read_timeout": 60.0, **given})
            made = session.client(service, endpoint_url=local_aws.endpoint, config=waits)
            return stack.enter_context(closing(made))

        yield make


@pytest.fixture
def unique() -> str:
    """A name that nobody else uses."""
    return f"t-{uuid4().hex[:10]}"
