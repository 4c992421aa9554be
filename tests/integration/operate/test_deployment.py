"""A deployment on AWS is found by its name alone."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from desireline.contracts import Table, parameter
from desireline.errors import TerminalError
from desireline.events import AliasType
from desireline.identity.aliases import Fragments
from desireline.rows import AliasRow, PersonRow, Put, SuppressionLogRow
from desireline_operate.cli.main import app
from desireline_operate.compose import Redriving
from desireline_operate.deployment import on_aws


@pytest.fixture
def deployed(clients: Any, unique: str) -> str:
    """A deployment's name: there are the parameters that the stacks write, its tables, a secret and
    a bucket."""
    ssm = clients("ssm")
    for path, value in {
        ("kafka", "bootstrap"): "broker:9098",
        ("archive", "dead-letters"): f"{unique}-letters",
        ("quarantine", "url"): "https://api.example/quarantine",
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
    return unique


def test_a_deployment_is_found_by_its_name(clients: Any, deployed: str) -> None:
    """When a command asks for the deployment, then it has Kafka's address, the dead letters, the
    secret and who is suppressed."""
    found = on_aws(deployed, clients)
    found.store().write(Put(SuppressionLogRow(target="someone", at=1)))

    assert (found.bootstrap, found.auth) == ("broker:9098", "iam")
    assert found.region == "us-east-1"
    assert found.quarantine_url() == "https://api.example/quarantine"
    assert found.secret("identity") == b"hidden"
    assert found.suppressions().current() == {"someone"}
    assert found.operator().startswith("arn:aws:")
    assert list(Redriving(found).bucket.objects()) == []
    with pytest.raises(TerminalError):
        on_aws("nobody", clients)


def test_somebody_is_suppressed_there_by_command(
    clients: Any, deployed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a deployment on AWS and a person known by two aliases, when one of them is suppressed
    by command, then both are, and again not once it is taken back."""
    made = on_aws(deployed, clients)
    monkeypatch.setattr("desireline_operate.deployment.on_aws", lambda name: made)
    fragments, store = Fragments(b"hidden"), made.store()
    ada, visitor = (
        named.fragment
        for named in (
            fragments.named(AliasType.USER, "ada"),
            fragments.named(AliasType.ANONYMOUS, "browser-1"),
        )
        if named
    )
    known = (f"user#{ada}", f"anonymous#{visitor}")
    store.write(
        Put(AliasRow(type="user", fragment=ada, root=ada)),
        Put(PersonRow(fragment=ada, subject="s", aliases=known)),
    )

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["suppress", *words, "--deployment", deployed])
        assert done.exit_code == 0, done.output
        return done.output

    assert "2 of 2" in run("add", "user:ada", "--reason", "requested")
    assert made.suppressions().current() == {ada, visitor}
    assert run("list").count("requested") == 2
    assert "2 of 2" in run("remove", "user:ada")
    assert "No person is suppressed" in run("list")
