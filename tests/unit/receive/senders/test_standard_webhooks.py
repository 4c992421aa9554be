"""Standard Webhooks: the vectors of its libraries, both schemes, and senders that are a file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.receive.senders._standard_webhooks import StandardWebhooks
from tests.worlds.receiving import NOW, SECRET, World, request

SENDER = load_senders(["standard_webhooks"])["standard_webhooks"]
AT = 1614265330
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SEED = bytes(range(32))
PRIVATE = b"whsk_" + base64.b64encode(SEED)
PUBLIC, OTHER = (
    b"whpk_"
    + base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())
    for seed in (SEED, SEED[::-1])
)


def verify(
    *secrets: bytes,
    given: str = VECTOR,
    body: bytes = VECTOR_BODY,
    now: int = AT,
    prefix: str = "webhook-",
    **headers: str,
) -> None:
    sent = {"id": VECTOR_ID, "timestamp": str(AT), "signature": given, **headers}
    named = {prefix + name: value for name, value in sent.items()}
    asked = WebhookRequest("standard_webhooks", named, body)
    SENDER.verify(asked, body, secrets or (VECTOR_SECRET,), now * 1000)


def test_the_published_vector_holds() -> None:
    verify()
    verify(VECTOR_SECRET.removeprefix(b"whsec_"))
    verify(prefix="svix-")
    assert SENDER.sign(
        WebhookRequest("standard_webhooks", {"webhook-id": VECTOR_ID}, VECTOR_BODY),
        VECTOR_SECRET,
        AT * 1000,
    ) == {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": VECTOR,
    }


def test_one_good_signature_among_several_and_one_good_secret_of_two() -> None:
    bad = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    verify(b"whsec_AAAA", VECTOR_SECRET, given=f"v1,{bad} v2,{bad} {VECTOR} v1,{bad}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"given": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="},
        {"given": VECTOR.replace("v1,", "v2,")},
        {"given": VECTOR.replace("v1,", "v1a,")},
        {"given": VECTOR.removeprefix("v1,")},
        {"given": "v1"},
        {"given": ""},
        {"given": "v1,\u00e9"},
        {"body": VECTOR_BODY + b"\n"},
        {"body": b"\xff"},
        {"id": "msg_other"},
        {"id": ""},
        {"id": "\ud800"},
        {"timestamp": str(AT + 1)},
        {"timestamp": "hello"},
        {"timestamp": ""},
    ],
)
def test_what_is_not_signed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(**wrong)
    assert refused.value.status == 401


@pytest.mark.parametrize("seconds", [-301, 301])
def test_five_minutes_both_ways(seconds: int) -> None:
    verify(now=AT + 300)
    verify(now=AT - 300)
    with pytest.raises(RefusedError, match="stale"):
        verify(now=AT + seconds)


def test_a_public_key_verifies_what_its_private_key_signed() -> None:
    signed = SENDER.sign(
        WebhookRequest("standard_webhooks", {"webhook-id": VECTOR_ID}, VECTOR_BODY),
        PRIVATE,
        AT * 1000,
    )["webhook-signature"]

    assert signed.startswith("v1a,")
    verify(PUBLIC, given=signed)
    verify(VECTOR_SECRET, PUBLIC, given=f"v1,AAAA {signed}")
    verify(OTHER, PUBLIC, given=f"v1a,AAAA {signed}")
    with pytest.raises(RefusedError, match="forged"):
        verify(PUBLIC, given=signed.replace("v1a,", "v1,"))
    for wrong in (PUBLIC[:-8] + b"AAAAAAA=", b"whpk_", b"whpk_!", VECTOR_SECRET):
        with pytest.raises(RefusedError, match="forged"):
            verify(wrong, given=signed)
    with pytest.raises(RefusedError, match="forged"):
        verify(PUBLIC, given=signed, body=b"{}")
    with pytest.raises(ValueError, match="public key"):
        SENDER.sign(WebhookRequest("standard_webhooks", {}, b"{}"), PUBLIC, NOW)


def test_a_public_key_is_no_shared_secret() -> None:
    """Everybody knows it: an HMAC with it proves nothing."""
    import hashlib
    import hmac

    signed = f"{VECTOR_ID}.{AT}.".encode() + VECTOR_BODY
    for key in (PUBLIC, base64.b64decode(PUBLIC.removeprefix(b"whpk_"))):
        forged = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        with pytest.raises(RefusedError, match="forged"):
            verify(PUBLIC, given=f"v1,{forged}")


def test_an_event_is_its_webhook_id_whenever_it_is_signed_and_whatever_else_it_says() -> None:
    world = World()
    body = orjson.dumps({"type": "demo.requested", "data": {"user_id": "u1"}})
    for at, message_id in ((NOW, "msg_1"), (NOW - 60_000, "msg_1"), (NOW, "msg_2")):
        headers = {"webhook-id": message_id}
        asked = WebhookRequest("standard_webhooks", headers, body)
        world.receive(WebhookRequest("standard_webhooks", SENDER.sign(asked, SECRET, at), body))
    one, again, other = world.events()
    assert one.event_id == again.event_id != other.event_id


def test_a_file_is_a_sender_of_its_own(tmp_path: Path) -> None:
    """Given two, each has its name, its words for its secret and its own places of things."""
    for name, call in (("acme_forms", "type"), ("parcel", "kind")):
        words = {
            "sender": name,
            "scheme": "standard_webhooks",
            "secret": f"the key of {name}",
            "deadline": 3,
            "message": {
                "call": call,
                "time": "at",
                "aliases": {"user": "who.id"},
                "account": "team",
                "role": "role",
                "properties": "more",
                "person_traits": "who",
            },
            "mappings": [{"call": "x", "as": "form_submitted"}],
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(words))
    found = load_senders(["acme_forms", "parcel", "stripe"], folder=tmp_path)
    acme, parcel, stripe = found.values()

    assert isinstance(acme, StandardWebhooks)
    assert isinstance(parcel, StandardWebhooks)
    assert not isinstance(stripe, StandardWebhooks)
    assert (acme.name, acme.mapped_as, acme.secret) == ("acme_forms",) * 2 + (
        "the key of acme_forms",
    )
    assert (parcel.name, parcel.deadline, parcel.keeps_unreadable) == ("parcel", 3, True)

    who = {"id": "u1", "name": "Ada"}
    message = {"kind": "x", "at": 1_700_000_000, "who": who, "team": "acme", "role": "owner"}
    asked = WebhookRequest("parcel", {"webhook-id": "msg_1"}, b"")
    (reported,) = parcel.messages({**message, "more": {"path": "/a"}}, asked)
    assert (reported.id, reported.call, reported.event) == ("msg_1", "x", None)
    assert reported.occurred_at == 1_700_000_000_000
    assert list(reported.aliases) == [(AliasType.USER, "u1")]
    assert list(reported.accounts) == [("group:acme", AccountRole.OWNER)]
    assert reported.properties == {"path": "/a"}
    assert reported.person_traits == who


def test_a_file_with_a_scheme_and_no_places_is_refused(tmp_path: Path) -> None:
    text = "sender: half\nscheme: standard_webhooks\nmappings: []\n"
    (tmp_path / "half.yaml").write_text(text)
    with pytest.raises(ValueError, match="message"):
        load_senders(["half"], folder=tmp_path)


def test_a_source_without_a_scheme_is_no_webhook(tmp_path: Path) -> None:
    """A topic of the company's own has a file with places too."""
    words = {"sender": "topic", "message": {"call": "x", "aliases": {}}, "mappings": []}
    (tmp_path / "topic.yaml").write_text(yaml.safe_dump(words))
    with pytest.raises(ValueError, match="Unknown sender 'topic'"):
        load_senders(["topic"], folder=tmp_path)


def test_a_sender_whose_webhook_ids_change_may_name_an_id_of_its_own(tmp_path: Path) -> None:
    message = {"call": "type", "id": "data.id", "aliases": {"user": "data.user"}}
    words = {"sender": "own", "scheme": "standard_webhooks", "message": message, "mappings": []}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(words))
    sender = load_senders(["own"], folder=tmp_path)["own"]
    asked = WebhookRequest("own", {"webhook-id": "msg_1"}, b"")
    found = [next(iter(sender.messages({"data": {"id": i}}, asked))).id for i in ("e1", 7, None)]
    assert found == ["e1", "7", "msg_1"]


def test_each_sender_of_the_scheme_has_a_secret_of_its_own() -> None:
    """Signed with another's secret, a webhook is forged."""
    body = orjson.dumps({"type": "demo.requested", "data": {"user_id": "u1"}})
    world = World()
    assert world.receive(request("standard_webhooks", body, b"of another")).status == 401
