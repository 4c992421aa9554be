"""What holds for every sender, on every sample of its documentation.

A sender is found by its module, so a new one is held to all of this without a line here; one
without samples fails.
"""

from __future__ import annotations

import json

import orjson
import pytest

from desireline.contracts import Topic
from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES, load_senders
from desireline_local.sender_side.samples import Sample, load
from tests.worlds.receiving import NEXT, NOW, SECRET, World, request

SENDERS = load_senders()
SAMPLES = [(name, sample) for name in sorted(NAMES) for sample in load(name).samples]
EACH_SENDER = pytest.mark.parametrize("name", sorted(NAMES))
EACH_SAMPLE = pytest.mark.parametrize(
    ("name", "sample"), SAMPLES, ids=[f"{name}-{sample.name}" for name, sample in SAMPLES]
)
HOUR = 3_600_000


@EACH_SENDER
def test_a_sender_is_named_as_its_module_and_says_where_its_samples_are_from(name: str) -> None:
    samples = load(name)
    names = [one.name for one in samples.samples]

    assert SENDERS[name].name == name
    assert SENDERS[name].secret
    assert samples.source_url.startswith("https://")
    assert len(set(names)) == len(names)


@EACH_SENDER
def test_a_sender_has_a_sample_whose_events_are_taken(name: str) -> None:
    assert any(sample.expects.accepted for sample in load(name).samples)


@EACH_SENDER
def test_no_secret_is_kept_with_the_raw_body(name: str) -> None:
    kept = SENDERS[name].kept_headers
    assert all(header == header.lower() for header in kept)
    assert not {"authorization", "cookie", "x-desireline-key"} & set(kept)


@EACH_SAMPLE
def test_a_sample_is_taken_and_its_events_are_mapped(name: str, sample: Sample) -> None:
    world = World()

    answer = world.receive(sample.signed(name, SECRET, NOW))

    found = [(one.reason, one.detail, one.event_name) for one in world.quarantined()]
    assert answer.status == 200, answer
    assert (answer.accepted, answer.quarantined, answer.ignored) == (
        sample.expects.accepted,
        sample.expects.quarantined,
        sample.expects.ignored,
    ), found
    assert len(world.events()) == sample.expects.accepted
    assert len(world.of(Topic.WEBHOOKS_RAW)) == 1
    assert not world.pending


@EACH_SAMPLE
def test_only_a_sender_that_says_so_gives_properties_itself(name: str, sample: Sample) -> None:
    sender, request = SENDERS[name], sample.signed(name, SECRET, NOW)
    try:
        reports = sender.messages(sender.parse(request.body), request)
    except RefusedError:
        # A sample of what cannot be read.
        reports = []
    assert sender.gives_properties or not any(one.properties for one in reports)


@EACH_SAMPLE
def test_a_redelivery_has_the_same_ids_whenever_it_is_signed(name: str, sample: Sample) -> None:
    one, two = World(), World()
    one.receive(sample.signed(name, SECRET, NOW))
    two.receive(sample.signed(name, SECRET, NOW + 3_000))

    assert [event.event_id for event in one.events()] == [event.event_id for event in two.events()]
    assert one.events() == two.events()
    assert one.quarantined() == two.quarantined()


@EACH_SAMPLE
def test_events_of_one_body_have_distinct_ids(name: str, sample: Sample) -> None:
    world = World()
    world.receive(sample.signed(name, SECRET, NOW))
    ids = [event.event_id for event in world.events()]
    assert len(set(ids)) == len(ids)


@EACH_SAMPLE
def test_both_secrets_are_accepted_while_one_rotates(name: str, sample: Sample) -> None:
    world = World()
    world.values = world.stored = (NEXT, SECRET)

    assert world.receive(sample.signed(name, NEXT, NOW)).status == 200
    assert world.receive(sample.signed(name, SECRET, NOW)).status == 200


@EACH_SAMPLE
def test_another_secret_is_refused_and_nothing_is_kept(name: str, sample: Sample) -> None:
    world = World()

    answer = world.receive(sample.signed(name, b"of somebody else", NOW))

    assert 400 <= answer.status < 500
    assert answer.reason
    assert not (world.durable or world.pending)
    assert world.counts[f"webhooks_refused:{answer.reason}"] == 1


@EACH_SAMPLE
def test_what_a_sender_signs_with_a_secret_that_is_stored_too_late_is_not_lost(
    name: str, sample: Sample
) -> None:
    """Given a sender that never comes again after some answers, and a secret of its own that is
    not known here yet, then it is not told one of them, and is taken once the secret is stored."""
    world = World()
    refused = world.receive(sample.signed(name, NEXT, NOW))
    assert refused.status not in SENDERS[name].gives_up_on
    world.values = (NEXT, SECRET)
    assert world.receive(sample.signed(name, NEXT, NOW)).status == 200


@EACH_SAMPLE
def test_without_what_the_sender_signs_with_it_is_refused(name: str, sample: Sample) -> None:
    world = World()
    signed = sample.signed(name, SECRET, NOW)
    ours = {header: value for header, value in signed.headers.items() if header in sample.headers}

    answer = world.receive(WebhookRequest(name, ours, signed.body, url=signed.url))

    assert 400 <= answer.status < 500
    assert not (world.durable or world.pending)


@EACH_SAMPLE
def test_a_body_that_was_written_again_is_not_what_was_signed(name: str, sample: Sample) -> None:
    if not SENDERS[name].signs_body:
        return
    signed = sample.signed(name, SECRET, NOW)
    again = _written_again(signed.body)

    answer = World().receive(WebhookRequest(name, signed.headers, again, url=signed.url))

    assert 400 <= answer.status < 500


@EACH_SAMPLE
@pytest.mark.parametrize("ahead", [None, HOUR, 23 * HOUR])
def test_a_signed_time_is_checked_both_ways(name: str, sample: Sample, ahead: int | None) -> None:
    """Ahead, or older than the sender's signatures may be. A sender that signs no time sends the
    same at any time: only repeats are told apart."""
    off = -(SENDERS[name].oldest + HOUR) if ahead is None else ahead

    answer = World().receive(sample.signed(name, SECRET, NOW + off))

    if SENDERS[name].signs_time:
        assert 400 <= answer.status < 500
        assert answer.reason == "stale"
    else:
        assert answer.status == 200


@EACH_SENDER
@pytest.mark.parametrize("body", [b"{not json", b"\xff\xfe", b"", b"7", b'"text"'])
def test_a_signed_body_of_no_form_is_refused_or_set_aside(name: str, body: bytes) -> None:
    """What is refused must be repaired by the sender; what it would not repair is kept."""
    world = World()

    answer = world.receive(request(name, body))

    if SENDERS[name].keeps_unreadable:
        assert (answer.status, answer.accepted, answer.quarantined) == (200, 0, 1)
        assert [one.reason for one in world.quarantined()] == ["malformed"]
        assert len(world.of(Topic.WEBHOOKS_RAW)) == 1
    elif answer.status == 400:
        assert answer.reason == "malformed"
        assert not world.durable
    else:
        # A sender of lines sets single lines aside by itself.
        assert (answer.status, answer.accepted) == (200, 0)


@EACH_SENDER
def test_a_sender_that_only_asks_is_told_that_somebody_is_there(name: str) -> None:
    world = World()

    assert world.receive(WebhookRequest(name, {}, b"", method="HEAD")).status == 200
    assert world.receive(WebhookRequest("nobody", {}, b"", method="HEAD")).status == 404
    assert not (world.durable or world.pending)


@EACH_SAMPLE
def test_without_kafka_it_is_a_503_in_time_and_no_sender_is_told_to_stop(
    name: str, sample: Sample
) -> None:
    world = World()
    world.broken = True

    answer = world.receive(sample.signed(name, SECRET, NOW))

    assert answer.status == 503
    assert answer.retry_after is not None
    assert 0 < world.waited < SENDERS[name].deadline
    assert not world.durable


def _written_again(body: bytes) -> bytes:
    """What a proxy that parses bodies would pass on: the same content, other bytes."""
    try:
        return (json.dumps(orjson.loads(body), indent=1) + "\n").encode()
    except orjson.JSONDecodeError:
        return body + b"\n"
