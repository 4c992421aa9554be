"""From what a run was counted to do to dollars, by component."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from desireline.contracts import CONSUMED_TOPICS, TOPICS, Function, Topic
from desireline_operate.cost.prices import Prices

SAMPLED = 0.05
"""X-Ray's default rule: a trace a second, and of the rest so many."""
CROSSING = 2 / 3
"""Of what goes between three zones without regard to them, so much goes to another one."""
MONTH_DAYS = 30
FULL_CORE_MB = 1769
"""Of memory, at which Lambda gives a function one core; with less it gives a share of one."""
CALL_SECONDS = 0.005
"""For which a function waits for a call of a service: DynamoDB promises a single-digit number of
milliseconds."""
FLUSH_SECONDS = 0.01
"""For which one that produces waits for all in-sync replicas of three zones."""
PRODUCERS = frozenset(
    {
        Function.RECEIVE_WEBHOOK,
        Function.RECEIVE_TOPIC,
        Function.RESOLVE_IDENTITY,
        Function.PUBLISH_CHANGES,
    }
)
BEHIND_KAFKA = frozenset({*CONSUMED_TOPICS, Function.RECEIVE_TOPIC})
"""X-Ray traces no function that a mapping of Kafka invokes."""
QUEUE_REQUESTS = 2
"""With which a mapping takes a batch from a queue: it receives and deletes."""


class Counted(BaseModel):
    """What a run did. By function: invocations, cpu_seconds that they work without cold starts,
    milliseconds that passed in its environments, log_bytes, called: calls of services that it made;
    by table: units; by topic: kafka_bytes, as the broker keeps them. archived_bytes: of the
    archive, unpacked. calls: by service and operation, whoever made them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = 0
    transitions: int = 0
    invocations: dict[str, int] = {}
    cpu_seconds: dict[str, float] = {}
    milliseconds: dict[str, int] = {}
    log_bytes: dict[str, int] = {}
    read_units: dict[str, float] = {}
    write_units: dict[str, float] = {}
    calls: dict[str, int] = {}
    called: dict[str, int] = {}
    kafka_bytes: dict[str, int] = {}
    archived_bytes: int = 0

    @classmethod
    def of(cls, usage: Mapping[str, Any], *, deployment: str, **others: Any) -> Self:
        """Out of the launcher's count, whose names bear the deployment's.

        All invocations work as long as those that found an environment: a cold start is as rare on
        AWS as it is frequent in a short run. Raises ValueError where none was warm."""
        named = {
            name: {
                key.removeprefix(f"{deployment}-").replace("-", "_"): n for key, n in kept.items()
            }
            for name, kept in usage.items()
            if isinstance(kept, dict) and name != "calls"
        }
        warm = named.pop("warm", {})
        for function, count in named.get("invocations", {}).items():
            if not warm.get(function):
                raise ValueError(f"each of {count} invocations of {function} was a cold start")
        named["cpu_seconds"] = {
            function: seconds / warm[function] * named["invocations"][function]
            for function, seconds in named.get("cpu_seconds", {}).items()
        }
        kept = {name: usage[name] for name in ("requests", "transitions", "calls")}
        return cls(**kept, **named, **others)


def bill(counted: Counted, prices: Prices, memory_mb: Mapping[str, int]) -> dict[str, float]:
    """Dollars by component, for all that was counted. memory_mb: of each function."""
    invocations = sum(counted.invocations.values())
    traced = sum(n for name, n in counted.invocations.items() if name not in BEHIND_KAFKA)
    crossing = sum(size * (1 + _readers(topic)) for topic, size in counted.kafka_bytes.items())
    kept = sum(size * _days(topic) / MONTH_DAYS for topic, size in counted.kafka_bytes.items())
    calls = Counter(counted.calls)
    return {
        "http_api": prices.of("http_api_request", counted.requests),
        "lambda": prices.of("lambda_request", invocations)
        + prices.of("lambda_time", _gb_seconds(counted, memory_mb)),
        "dynamodb": prices.of("dynamodb_write", sum(counted.write_units.values()))
        + prices.of("dynamodb_read", sum(counted.read_units.values())),
        "step_functions": prices.of("transition", counted.transitions),
        "messages": prices.of("sns_publish", _of(calls, "sns.Publish"))
        + prices.of("sqs_request", _of(calls, "sqs.Send") + _taken(counted)),
        "logs": prices.of("log_ingestion", sum(counted.log_bytes.values())),
        "traces": prices.of("trace", SAMPLED * traced),
        "kafka": prices.of("kafka_in", sum(counted.kafka_bytes.values()))
        + prices.of("kafka_stored", kept)
        + prices.of("zone_crossing", CROSSING * crossing),
        "archive": prices.of("s3_put", calls["s3.PUT"])
        + prices.of("snowpipe", counted.archived_bytes),
        "secrets": prices.of("secrets_request", _of(calls, "secretsmanager.")),
    }


def _gb_seconds(counted: Counted, memory_mb: Mapping[str, int]) -> float:
    """What is billed as time. The time that passed here is no measure: it waits for an emulator and
    for cores that all share. So: the time that a core worked, stretched where the function has no
    whole one, and what its calls and flushes wait for in AWS."""
    worked = sum(
        seconds * max(memory_mb[function], FULL_CORE_MB)
        for function, seconds in counted.cpu_seconds.items()
    )
    flushed = sum(
        counted.invocations.get(function, 0) * FLUSH_SECONDS * memory_mb[function]
        for function in PRODUCERS
    )
    called = sum(
        calls * CALL_SECONDS * memory_mb[function] for function, calls in counted.called.items()
    )
    return (worked + flushed + called) / 1024


def _taken(counted: Counted) -> int:
    return QUEUE_REQUESTS * counted.invocations.get(Function.DELIVER_ACTION, 0)


def _of(calls: Mapping[str, int], prefix: str) -> int:
    return sum(count for name, count in calls.items() if name.startswith(prefix))


def _readers(topic: str) -> int:
    """How many functions read all of a topic."""
    return sum(topic in topics for topics in CONSUMED_TOPICS.values())


def _days(topic: str) -> int:
    return TOPICS[Topic(topic)].retention.days
