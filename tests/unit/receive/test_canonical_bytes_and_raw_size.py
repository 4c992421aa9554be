"""Canonical bytes are what the model writes; raw bodies fit into what carries them."""

import random
import uuid
from collections.abc import Callable

import jmespath
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from desireline.errors import RefusedError
from desireline.events import CanonicalEvent, RawWebhook
from desireline.identity.aliases import Fragments, named_uuid
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import Arrival
from desireline.receive.raw_record import raw_record
from desireline.receive.request import BODY_LIMIT, STORED_LIMIT, WebhookRequest, packed
from desireline.receive.senders import load_senders
from desireline.receive.write_keys import WriteKeys
from desireline.rows import PersonRow
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.senders import segment_message, stripe_event
from desireline_learning.simulator.touches import Call

PLAN = load_plan()
TOUCHES = Company(Scenario(trials=20, days=14.0, seed=3)).touches


def test_every_simulated_event_is_mapped_to_the_bytes_that_the_model_writes():
    canonical = Canonical(PLAN, Fragments(b"secret"))
    for touch in TOUCHES:
        stripe = touch.call is Call.STRIPE
        sender = load_senders()["stripe" if stripe else "segment"]
        message = stripe_event(touch) if stripe else segment_message(touch)
        for reported in sender.messages(message, WebhookRequest(sender.name, {}, b"")):
            fragment, encoded = canonical.encoded(
                sender.name, reported, "raw", 3, received_at=touch.at + 5, stamped=9
            )
            event = CanonicalEvent.decode(encoded)
            assert (event.encode(), event.fragment) == (encoded, fragment)


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_raw_webhook_is_written_as_every_message_is(encoding):
    raw = RawWebhook(
        id="r-1", source="segment", received_at=5, headers={"a": '\u00e9"'}, body="e30="
    ).model_copy(update={"encoding": encoding})
    assert raw.encode() == raw.model_dump_json(exclude_none=True).encode()
    assert RawWebhook.decode(raw.encode()) == raw


@given(
    body=st.binary(max_size=50),
    address=st.sampled_from([None, "", "192.0.2.1"]),
    call=st.sampled_from(["", "track"]),
    withheld=st.integers(0, 2),
)
def test_a_raw_record_is_the_bytes_that_the_model_writes(body, address, call, withheld):
    request = WebhookRequest(
        "segment", {"x-a": "1", "x-b": "\u00e9"}, body, remote_address=address, call=call
    )
    arrival = Arrival("raw-1", 5, 9)
    value = raw_record(request, arrival, body=body, kept_headers={"x-b"}, withheld=withheld).value
    raw = RawWebhook.decode(value)
    assert raw.encode() == value
    assert (raw.remote_address, raw.call, raw.withheld) == (
        None if withheld else address,
        call or None,
        withheld or None,
    )


@given(st.binary(min_size=16, max_size=16), st.text())
def test_fragments_are_the_uuids_that_the_library_names(namespace, name):
    assert named_uuid(namespace, name) == str(uuid.uuid5(uuid.UUID(bytes=namespace), name))


@pytest.mark.parametrize("path", ["/pricing/x", "/", "", None, 7, [], "/docs"])
def test_conditions_without_the_interpreter_find_what_jmespath_finds(path):
    message = {"properties": {"path": path}, "context": {"page": {"path": "/docs/a"}}}
    pages = [one for one in PLAN.senders["segment"].mappings if one.call == "page" and one.where]
    assert len(pages) >= 7
    for mapping in pages:
        try:
            meant = jmespath.search(mapping.where, message) is True
        except jmespath.exceptions.JMESPathError:
            meant = False
        assert mapping.matches(message) is meant


def test_the_largest_batch_fits_twice_encoded_and_noise_is_refused():
    messages = [segment_message(t) for t in TOUCHES if t.call is not Call.STRIPE]
    batch = (messages * (4000 // len(messages) + 1))[:4000]
    rest = (BODY_LIMIT - len(orjson.dumps(batch)) - 200_000) // 4000
    source = random.Random(1)
    for number, message in enumerate(batch):
        batch[number] = {**message, "padding": source.randbytes(rest // 2).hex()}
    body = orjson.dumps({"batch": batch})
    stored, encoding = packed(body)
    assert encoding == "gzip"
    assert len(body) > 3_500_000
    assert len(stored) <= STORED_LIMIT
    assert len(stored) * 16 / 9 < 6_000_000
    with pytest.raises(RefusedError, match="413"):
        packed(source.randbytes(BODY_LIMIT))


@pytest.mark.parametrize(
    "reading",
    [
        lambda: CanonicalEvent.decode(b'{"name": {"email": "ada@acme.com"}}'),
        lambda: RawWebhook.decode(b'{"body": ["ada@acme.com"]'),
        lambda: PersonRow.model_validate({"fragment": ["ada@acme.com"]}),
        lambda: WriteKeys.model_validate_json(b'{"keys": [{"key": ["ada@acme.com"]}]}'),
    ],
)
def test_an_error_in_what_was_read_says_nothing_of_it(reading: Callable[[], object]) -> None:
    """It may end in a log as it is."""
    with pytest.raises(ValidationError) as raised:
        reading()
    assert "ada" not in str(raised.value)
