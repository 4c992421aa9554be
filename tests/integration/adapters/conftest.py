"""Clients of the local AWS, configured as the functions' own are, but more patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any
from uuid import uuid4

import boto3
import pytest

from desireline.adapters.aws import config
from desireline_local.aws.cloud import REGION, LocalAws

Clients = Callable[..., Any]


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
