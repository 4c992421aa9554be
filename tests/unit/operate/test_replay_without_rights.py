"""A replay that is not let in says so, and has done nothing."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

import boto3
import pytest
import typer
from botocore.stub import Stubber

from desireline.adapters.clock import WallClock
from desireline.recover.replay_webhooks import Selection
from desireline_operate.cli.replay import Origin, _new_replay
from desireline_operate.deployment import Deployment


def test_a_missing_right_is_told_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    session = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    with ExitStack() as stack:
        clients: dict[str, Any] = {}
        for service in ("ssm", "s3"):
            client: Any = session.client(service)  # type: ignore[call-overload]
            clients[service] = stack.enter_context(closing(client))
        ssm = stack.enter_context(Stubber(clients["ssm"]))
        ssm.add_response("get_parameter", {"Parameter": {"Value": "bucket"}})
        s3 = stack.enter_context(Stubber(clients["s3"]))
        s3.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)
        deployment = Deployment(
            name="d",
            bootstrap="nobody:9",
            auth="plaintext",
            region="us-east-1",
            client=lambda service, **_: clients[service],
            clock=WallClock(),
        )

        with pytest.raises(typer.Exit) as ended:
            _new_replay(deployment, Origin.ARCHIVE, None, None, Selection())

    assert ended.value.exit_code == 1
    assert "nothing was produced: AccessDenied" in capsys.readouterr().err
