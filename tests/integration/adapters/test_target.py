"""A deployment on AWS is found by its name alone."""

from __future__ import annotations

from typing import Any

import pytest

from desireline.contracts import Table, parameter
from desireline.errors import TerminalError
from desireline.rows import EdgeSuppressionRow, Put
from desireline_local.redriving import Redriving
from desireline_local.target import on_aws


def test_a_deployment_is_found_by_its_name(clients: Any, unique: str) -> None:
    """Given the parameters that the stacks write, a table and a secret, when a command asks for the
    deployment, then it has Kafka's address, the dead letters, the secret and who is suppressed."""
    ssm = clients("ssm")
    for path, value in {
        ("kafka", "bootstrap"): "broker:9098",
        ("archive", "dead-letters"): f"{unique}-letters",
    }.items():
        ssm.put_parameter(Name=parameter(unique, *path), Value=value, Type="String")
    clients("secretsmanager").create_secret(Name=f"{unique}/identity", SecretString="hidden")
    for table in Table:
        clients("dynamodb").create_table(
            TableName=f"{unique}-{table}",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    clients("s3").create_bucket(Bucket=f"{unique}-letters")

    target = on_aws(unique, clients)
    target.store().write(Put(EdgeSuppressionRow(who="someone", at=1)))

    assert (target.bootstrap, target.auth) == ("broker:9098", "iam")
    assert target.region == "us-east-1"
    assert target.secret("identity") == b"hidden"
    assert target.suppressed() == {"someone"}
    assert target.who().startswith("arn:aws:")
    assert list(Redriving(target).bucket.objects()) == []
    with pytest.raises(TerminalError):
        on_aws("nobody", clients)
