"""Compute the bill of a run, in dollars by component, from its counted usage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from desireline.contracts import CONSUMED_TOPICS, TOPICS, Function, Topic
from desireline_operate.cost.prices import Prices

SAMPLED_SHARE = 0.05
"""The share of requests that X-Ray traces by default, besides one request a second."""
CROSSING_SHARE = 2 / 3
"""The share of traffic that goes to another zone, if clients ignore the three zones."""
MONTH_DAYS = 30
FULL_CORE_MB = 1769
"""With this much memory a function gets one core from Lambda; with less it gets a share of one."""
CALL_SECONDS = 0.005
"""The time that a function waits for one call: DynamoDB promises single-digit milliseconds."""
FLUSH_SECONDS = 0.01
"""The time that a producer waits for all in-sync replicas in three zones."""
PRODUCERS = frozenset(
    {
        Function.RECEIVE_WEBHOOK,
        Function.RECEIVE_TOPIC,
        Function.RESOLVE_IDENTITY,
        Function.PUBLISH_CHANGES,
    }
)
BEHIND_KAFKA = frozenset({*CONSUMED_TOPICS, Function.RECEIVE_TOPIC})
"""Functions that an event source mapping of Kafka invokes; X-Ray does not trace them."""
QUEUE_REQUESTS = 2
"""Requests per batch of a queue: the mapping receives it and deletes it."""


class Counted(BaseModel):
    """The counted usage of a run.

    By function: invocations, cpu_seconds (without cold starts), milliseconds (that passed in its
    environments), log_bytes, called (its calls of services). By table: units. By topic:
    kafka_bytes, as the broker stores them. archived_bytes: of the archive, uncompressed. calls:
    by service and operation, of all callers."""

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
        """Build the usage from the launcher's counts, whose names start with the deployment's.

        All invocations count with the CPU time of warm ones: cold starts are rare on AWS and
        frequent in a short run. Raises ValueError if a function had no warm invocation."""
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
                raise ValueError(
                    f"all {count} invocations of {function} were cold starts: run it for longer"
                )
        named["cpu_seconds"] = {
            function: seconds / warm[function] * named["invocations"][function]
            for function, seconds in named.get("cpu_seconds", {}).items()
        }
        kept = {name: usage[name] for name in ("requests", "transitions", "calls")}
        return cls(**kept, **named, **others)


def bill(counted: Counted, prices: Prices, memory_mb: Mapping[str, int]) -> dict[str, float]:
    """Return the dollars by component for the counted usage. memory_mb: of each function."""
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
        + prices.of("sqs_request", _of(calls, "sqs.Send") + _queue_requests(counted)),
        "logs": prices.of("log_ingestion", sum(counted.log_bytes.values())),
        "traces": prices.of("trace", SAMPLED_SHARE * traced),
        "kafka": prices.of("kafka_in", sum(counted.kafka_bytes.values()))
        + prices.of("kafka_stored", kept)
        + prices.of("zone_crossing", CROSSING_SHARE * crossing),
        "archive": prices.of("s3_put", calls["s3.PUT"])
        + prices.of("snowpipe", counted.archived_bytes),
        "secrets": prices.of("secrets_request", _of(calls, "secretsmanager.")),
    }


def _gb_seconds(counted: Counted, memory_mb: Mapping[str, int]) -> float:
    """Estimate the billed GB-seconds.

    The elapsed time on this machine includes waiting for the emulator and for shared cores, so it
    is not used. The estimate adds the CPU time, stretched for functions with less than one core,
    and the time that calls and flushes take on AWS."""
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


def _queue_requests(counted: Counted) -> int:
    return QUEUE_REQUESTS * counted.invocations.get(Function.DELIVER_ACTION, 0)


def _of(calls: Mapping[str, int], prefix: str) -> int:
    return sum(count for name, count in calls.items() if name.startswith(prefix))


def _readers(topic: str) -> int:
    """Count the functions that read all of a topic."""
    return sum(topic in topics for topics in CONSUMED_TOPICS.values())


def _days(topic: str) -> int:
    return TOPICS[Topic(topic)].retention.days
