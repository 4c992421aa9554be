"""Sample bodies of every sender, as its documentation publishes them.

Each sender has one JSON file, named as its module. `desireline send SENDER --sample` sends the
samples. Tests compare the result of each sample with its `expects`. docs/adding_a_sender.md is the
guide.
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
"""The address in samples without a call_url."""


class UnknownSampleError(ValueError):
    """The sample does not exist; the message lists the existing ones."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Part):
    """The expected numbers of accepted, quarantined and ignored events."""

    accepted: int = Field(ge=0)
    quarantined: int = Field(default=0, ge=0)
    ignored: int = Field(default=0, ge=0)


class Sample(_Part):
    """One request. call_url: the called address; empty for the plain webhook. body: JSON, or a text
    that is sent unchanged. headers: the headers besides the signature."""

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
        """Return the sample with another address; its own query stays."""
        _, mark, query = self.call_url.partition("?")
        return self.model_copy(update={"call_url": f"{url}{mark}{query}"})

    def signed(self, sender: str, secret: bytes, now: int) -> WebhookRequest:
        """Return the signed request. now: wall time, epoch ms."""
        url = self.call_url or f"{CALLED}{sender}"
        own_headers = {name.lower(): value for name, value in self.headers.items()}
        headers = sign(sender, self.content, secret, now, url=url, headers=own_headers)
        return WebhookRequest(sender, headers, self.content, url=url)


class Samples(_Part):
    """The samples of one sender. source_url: the page that publishes them."""

    source_url: str
    samples: tuple[Sample, ...] = Field(min_length=1)

    def named(self, name: str | None) -> tuple[Sample, ...]:
        """Return the sample of that name, or without a name all. Raises UnknownSampleError."""
        chosen = tuple(sample for sample in self.samples if name is None or sample.name == name)
        if not chosen:
            names = ", ".join(sample.name for sample in self.samples)
            raise UnknownSampleError(f"unknown sample {name!r}: the samples are {names}")
        return chosen


def load(sender: str) -> Samples:
    """Read the samples of a sender. Raises ValueError for an unload_senders sender, and OSError or
    pydantic.ValidationError if its file is missing or invalid."""
    load_senders([sender])
    return Samples.model_validate_json((FOLDER / f"{sender}.json").read_bytes())
