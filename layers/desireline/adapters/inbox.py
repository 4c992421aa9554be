"""The Inbox port: post to our own webhook at its public address, with a sender's signature.

So a function that calls a tool's API needs neither the VPC nor a Kafka client. Its events take the
same path as a webhook's: verified, mapped, stored or quarantined. Like adapters.mixpanel, it uses
urllib3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from desireline.errors import TerminalError, ThrottledError, UnavailableError
from desireline.ports import Clock, Secrets
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import Sender

ATTEMPTS = 4
LONGEST_WAIT = 10.0
TIMEOUT = Timeout(connect=5.0, read=20.0)


class WebhookInbox:
    """The webhook of one sender. url: of all webhooks, without the sender's name. headers: the
    headers of every post that the sender's signature may cover."""

    def __init__(
        self,
        url: str,
        sender: Sender,
        secrets: Secrets,
        wall: Clock,
        *,
        headers: Mapping[str, str],
        http: urllib3.PoolManager | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = f"{url.rstrip('/')}/{sender.name}"
        self._sender = sender
        self._secrets = secrets
        self._wall = wall
        self._headers = dict(headers)
        self._http = http or urllib3.PoolManager()
        self._sleep = sleep

    def post(self, body: bytes) -> None:
        failure: Exception = UnavailableError("our webhook was not called")
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(min(LONGEST_WAIT, 2.0 ** (attempt - 1)))
            try:
                response = self._once(body)
            except HTTPError as error:
                failure = UnavailableError(f"our webhook did not answer: {type(error).__name__}")
                continue
            if response.status == 200:
                return
            failure = _refusal(response)
            if isinstance(failure, TerminalError) and not self._refreshed(response.status):
                raise failure
        raise failure

    def _once(self, body: bytes) -> urllib3.BaseHTTPResponse:
        secret = self._secrets.current(self._sender.name)[0]
        request = WebhookRequest(self._sender.name, self._headers, body, url=self._url)
        return self._http.request(
            "POST",
            self._url,
            body=body,
            headers={
                "content-type": "application/x-ndjson",
                **self._headers,
                **self._sender.sign(request, secret, self._wall.now()),
            },
            redirect=False,
            retries=Retry(total=0, redirect=False),
            timeout=TIMEOUT,
        )

    def _refreshed(self, status: int) -> bool:
        """Read the secret again after a refused signature. Returns whether a retry may succeed."""
        return status == 401 and self._secrets.refresh(self._sender.name)


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    detail = f"our webhook answered {response.status}"
    if response.status == 429:
        return ThrottledError(detail)
    if response.status >= 500:
        return UnavailableError(detail)
    # The reason in the answer contains nothing of the body, which may be personal data.
    return TerminalError("refused", f"{detail}: {response.data[:200].decode(errors='replace')}")
