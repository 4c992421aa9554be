"""Invocations at once share a few environments, and still never wait for one another for ever.
Environments without work end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import Notes, create_function, eventually, invoke

ENOUGH = max(2, min(4, os.cpu_count() or 1))
"""As `desireline_local.aws.tool.environments`, which only ministack's environment can import."""

TELLS_AND_STAYS = """
    def handle(event, context):
        note("started")
        held()
        return os.getpid()
"""


@pytest.fixture(scope="module")
def patient_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Whose invocations wait for one another however long the first environments take to start."""
    with LocalAws(tmp_path_factory.mktemp("patient"), patience=3600) as aws:
        yield aws


def processes(aws: LocalAws, held: Path, *, of: int, until_started: int) -> set[int]:
    """Those that `of` invocations at once have, which all stay until so many have started."""
    held.touch()
    name = create_function(aws, TELLS_AND_STAYS, environment={"HELD": str(held)})
    with ThreadPoolExecutor(of) as pool:
        invoked = [pool.submit(invoke, aws, name, {}) for _ in range(of)]
        try:
            Notes(aws, name).wait(until_started)
        finally:
            held.unlink()
    return {one.result() for one in invoked}


def test_a_burst_is_served_by_a_few_environments(patient_aws: LocalAws, tmp_path: Path) -> None:
    found = processes(patient_aws, tmp_path / "held", of=16, until_started=ENOUGH)

    assert len(found) == ENOUGH


def test_where_none_becomes_free_another_is_started(local_aws: LocalAws, tmp_path: Path) -> None:
    """As for a function that waits for itself, or whose neighbour is silent."""
    found = processes(local_aws, tmp_path / "held", of=ENOUGH + 1, until_started=ENOUGH + 1)

    assert len(found) == ENOUGH + 1


IDLE_SECONDS = 2.0
WHICH = """
    def handle(event, context):
        time.sleep(event["seconds"])
        return os.getpid()
"""


@pytest.fixture(scope="module")
def ending_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Whose environments end after two idle seconds."""
    with LocalAws(tmp_path_factory.mktemp("ending"), idle=IDLE_SECONDS) as aws:
        yield aws


def test_an_idle_environment_ends_and_the_next_invocation_starts_another(
    ending_aws: LocalAws,
) -> None:
    """Also the only one of its function: nothing of it is left but its code."""
    name = create_function(ending_aws, WHICH)
    assert ending_aws.process is not None
    aws = psutil.Process(ending_aws.process.pid)
    first = invoke(ending_aws, name, {"seconds": 0})
    assert first in {child.pid for child in aws.children()}

    eventually(lambda: not aws.children())

    assert not psutil.pid_exists(first)
    assert invoke(ending_aws, name, {"seconds": 0}) != first


def test_an_environment_at_work_does_not_end_nor_one_that_was_used_just_now(
    ending_aws: LocalAws,
) -> None:
    """Idleness counts from the end of an invocation, however long that was."""
    name = create_function(ending_aws, WHICH)
    first = invoke(ending_aws, name, {"seconds": 0})

    until = time.monotonic() + 3 * IDLE_SECONDS
    while time.monotonic() < until:
        assert invoke(ending_aws, name, {"seconds": IDLE_SECONDS / 4}) == first
    assert invoke(ending_aws, name, {"seconds": 2 * IDLE_SECONDS}) == first
    assert invoke(ending_aws, name, {"seconds": 0}) == first


def test_a_function_starts_with_its_first_invocation(ending_aws: LocalAws) -> None:
    assert ending_aws.process is not None
    aws = psutil.Process(ending_aws.process.pid)
    eventually(lambda: not aws.children())

    name = create_function(ending_aws, WHICH)

    assert not aws.children()
    assert invoke(ending_aws, name, {"seconds": 0}) in {child.pid for child in aws.children()}
