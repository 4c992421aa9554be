"""What every function that Kafka's mapping invokes does with a batch."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from aws_lambda_powertools import Logger, Metrics

from desireline.adapters.lambda_events import kafka_answer
from desireline.records import BatchResult, Record
from tests.functional.lambda_side import kafka_event

GOOD, LATER, POISON = (
    Record("events.received", 2, n, 1, b"ada@acme.com", b"ada@acme.com") for n in range(3)
)


def test_a_batch_is_counted_and_what_was_not_taken_is_named_and_not_shown():
    """Given a record that is done, one to be tried again and one set aside, when the batch is
    answered, then only the second one is named to Lambda, and the log has both by place and reason,
    without a word of what is in them."""
    taken: list[Record] = []

    def use_case(records: Sequence[Record]) -> BatchResult:
        taken.extend(records)
        return BatchResult(
            done=(GOOD,), quarantined=((POISON, "no_json"),), failed=((LATER, "throttled"),)
        )

    log, metrics = io.StringIO(), Metrics(namespace="Test", service="test")
    logger = Logger(service="test", stream=log)

    answer = kafka_answer(kafka_event(GOOD, LATER, POISON), use_case, logger, metrics)

    assert taken == [GOOD, LATER, POISON]
    place = {"partition": "events.received-2", "offset": 1}
    assert answer == {"batchItemFailures": [{"itemIdentifier": place}]}
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(one["level"], one["message"], one["offset"], one["why"]) for one in said] == [
        ("WARNING", "to be tried again", 1, "throttled"),
        ("ERROR", "quarantined", 2, "no_json"),
    ]
    assert "ada" not in log.getvalue()
    assert metrics.serialize_metric_set()["records"] == [3.0]
    metrics.clear_metrics()
