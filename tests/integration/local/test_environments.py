"""Invocations at once share a few environments, and still never wait for one another for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import create_function, invoke

ENOUGH = 4
"""As `desireline_local.aws.tool.environments`, which only ministack's environment can import."""

TAKES_A_MOMENT = """
    def handle(event, context):
        time.sleep(event["seconds"])
        return os.getpid()
"""


def at_once(aws: LocalAws, name: str, count: int, seconds: float) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: invoke(aws, name, {"seconds": seconds}), range(count)))


def test_a_burst_is_served_by_a_few_environments(local_aws: LocalAws) -> None:
    name = create_function(local_aws, TAKES_A_MOMENT)

    processes = at_once(local_aws, name, 16, 0.05)

    assert len(processes) == 16
    assert 1 < len(set(processes)) <= ENOUGH


def test_where_none_becomes_free_another_is_started(local_aws: LocalAws) -> None:
    """As for a function that waits for itself, or whose neighbour is silent."""
    name = create_function(local_aws, TAKES_A_MOMENT)

    processes = at_once(local_aws, name, ENOUGH + 1, 5.0)

    assert len(set(processes)) == ENOUGH + 1
