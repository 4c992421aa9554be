"""`python redrive_and_die.py BOOTSTRAP S3 BUCKET`: redrives, and is killed with -9 when records are
in Kafka and not yet marked."""

from __future__ import annotations

import os
import signal
import sys

import boto3

from desireline.adapters.clock import WallClock
from desireline.adapters.dead_letters import S3DeadLetters
from desireline.adapters.invoke import LambdaFunctions
from desireline.adapters.kafka_positions import KafkaPositions
from desireline.recover.redrive.redrive import Order, Redrive
from desireline.recover.redrive.selection import Selection


class Deadly(S3DeadLetters):
    """Kills its process where it would mark."""

    def note(self, name: str, body: bytes) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    bootstrap, endpoint, bucket = sys.argv[1:]
    session = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    redrive = Redrive(
        bucket=Deadly(session.client("s3", endpoint_url=endpoint), bucket),
        topics=KafkaPositions(bootstrap, "plaintext"),
        functions=LambdaFunctions(session.client("lambda", endpoint_url=endpoint)),
        counted=lambda _: frozenset(),
        wall=WallClock(),
    )
    found = redrive.survey(Selection())
    redrive.send(found, Order(id="killed", requested_by="a test", why="to be killed", rate=1000))


if __name__ == "__main__":
    main()
