"""A small plan in a folder, right as it stands, for tests that make it wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import Sender, SenderReport

FILES = {
    "plan.yaml": """\
version: "1.0.0"
traits:
  person: {name: name, first: first_name, last: last_name, email: email, url: contact_url}
  account: {name: account_name, plan: account_plan, csm: csm, segment: segment}
""",
    "events/product.yaml": """\
category: product
events:
  trial_signup:
    description: A trial began.
    conversion: macro
    parameters:
      plan: {type: string}
  limit_reached:
    description: No more of something.
    parameters:
      limit: {type: string, required: true, values: [seats, projects]}
      used: {type: number, unit: "%", minimum: 0, maximum: 100, sum: true}
      count: {type: integer, minimum: 1}
      final: {type: boolean}
""",
    "senders/tool.yaml": """\
sender: tool
mappings:
  - {call: track, event: Trial Started, as: trial_signup}
  - call: track
    event: Limit
    as: limit_reached
    where: "starts_with(path || '', '/limit')"
    properties: {limit: what, used: share}
  - {call: track, event: Limit, as: trial_signup}
""",
}


class Tool(Sender):
    """A sender of nothing, whose events have no properties of their own."""

    name = "tool"
    secret = "none"
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        raise NotImplementedError

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        raise NotImplementedError

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        raise NotImplementedError


def write(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """The files in the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace what stands in the file once."""
    text = (folder / file).read_text()
    assert text.count(old) == 1, (file, old)
    (folder / file).write_text(text.replace(old, new))
