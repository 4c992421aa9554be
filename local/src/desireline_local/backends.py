"""Ports on the running local cloud: what commands read with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.aliases import Fragments
from desireline.contracts import Table, Topic
from desireline_local.cloud import Addresses
from desireline_local.redrive import MARK
from desireline_local.warehouse.connection import connect

DEAD_LETTERS = "dead-letters"


def store(addresses: Addresses) -> DynamoStore:
    """The tables."""
    return DynamoStore(
        addresses.client("dynamodb"), {table: addresses.table(table) for table in Table}
    )


def producer(addresses: Addresses) -> KafkaProducer:
    """Kafka."""
    return KafkaProducer(addresses.kafka, "plaintext", probe=Topic.EVENTS_RECEIVED)


def fragments(addresses: Addresses) -> Fragments:
    """The namer of fragments, with the deployment's secret."""
    return Fragments(addresses.secret("identity"))


def warehouse(addresses: Addresses) -> Any:
    """A connection to the warehouse."""
    return connect(int(addresses.warehouse.rpartition(":")[2]))


class S3DeadLetters:
    """The on-failure buckets of the deployment; a tag marks what has been redriven."""

    def __init__(self, addresses: Addresses) -> None:
        self._s3 = addresses.client("s3")
        names = [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]
        self._buckets = [
            name for name in names if addresses.deployment in name and DEAD_LETTERS in name
        ]

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """'bucket/key' and body of what lies there unmarked, Kafka's dead letters only."""
        for bucket in self._buckets:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for page in pages:
                for item in page.get("Contents", ()):
                    if not self._marked(bucket, item["Key"]):
                        body = self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                        if b'"KafkaBatchInfo"' in body:
                            yield f"{bucket}/{item['Key']}", body

    def mark(self, key: str, redrive_id: str) -> None:
        """Remember that the object has been redriven."""
        bucket, _, name = key.partition("/")
        self._s3.put_object_tagging(
            Bucket=bucket, Key=name, Tagging={"TagSet": [{"Key": MARK, "Value": redrive_id}]}
        )

    def _marked(self, bucket: str, key: str) -> bool:
        tags = self._s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return any(tag["Key"] == MARK for tag in tags)
