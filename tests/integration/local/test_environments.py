"""Invocations at once share a few environments, and still never wait for one another for ever."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import Notes, create_function, invoke

ENOUGH = 4
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
