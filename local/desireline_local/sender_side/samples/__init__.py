"""Sample bodies of every sender, in the form that its documentation publishes.

One JSON file a sender, named as its module. They are sent by `desireline send SENDER --sample`,
and every test over all senders holds each sample to what it expects. The guide is
docs/adding_a_sender.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline_local.sender_side.signing import sign

FOLDER = Path(__file__).parent
CALLED = "https://receive.example.com/webhooks/"
"""Where senders call, as far as samples know."""


class UnknownSampleError(ValueError):
    """There is no such sample; the message says which there are."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Part):
    """How many events are taken, how many set aside, and how many are none as the plan says."""

    accepted: int = Field(ge=0)
    quarantined: int = Field(default=0, ge=0)
    ignored: int = Field(default=0, ge=0)


class Sample(_Part):
    """One request. call_url: as the sender called it, where it is not its plain webhook. body:
    JSON, or a text that is sent as it stands. headers: what it sends besides its signature."""

    name: str
    call_url: str = ""
    body: Any
    headers: dict[str, str] = {}
    expects: Expected

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body.encode() if isinstance(self.body, str) else orjson.dumps(self.body)

    def at(self, url: str) -> Sample:
        """The same, called at that address; its own query stays."""
        _, mark, query = self.call_url.partition("?")
        return self.model_copy(update={"call_url": f"{url}{mark}{query}"})

    def signed(self, sender: str, secret: bytes, now: int) -> WebhookRequest:
        """The request as the sender would send it; now: wall time, ms."""
        url = self.call_url or f"{CALLED}{sender}"
        theirs = {name.lower(): value for name, value in self.headers.items()}
        headers = sign(sender, self.content, secret, now, url=url, headers=theirs)
        return WebhookRequest(sender, headers, self.content, url=url)


class Samples(_Part):
    """What is known of one sender's bodies. source_url: where it publishes them."""

    source_url: str
    samples: tuple[Sample, ...] = Field(min_length=1)

    def named(self, name: str | None) -> tuple[Sample, ...]:
        """The sample of that name; all without one. Raises UnknownSampleError."""
        found = tuple(one for one in self.samples if name is None or one.name == name)
        if not found:
            there = ", ".join(one.name for one in self.samples)
            raise UnknownSampleError(f"no sample {name!r}: there are {there}")
        return found


def load(sender: str) -> Samples:
    """The samples of a sender. Raises ValueError for a name that is none, OSError or
    pydantic.ValidationError where its file is missing or wrong."""
    load_senders([sender])
    return Samples.model_validate_json((FOLDER / f"{sender}.json").read_bytes())
