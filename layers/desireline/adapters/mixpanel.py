"""The Exports port on Mixpanel's raw event export.

GET /api/2.0/export returns one day as JSON lines, compressed with gzip. Basic authentication uses
the name and secret of a service account. The limits are 60 requests an hour and 3 a second.
https://docs.mixpanel.com/reference/raw-event-export

The adapter uses urllib3, which the Lambda runtime includes with boto3. It decompresses the body
itself, because urllib3 does not check that a gzip body is complete.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from datetime import date

import orjson
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, make_headers

from desireline.errors import TerminalError, ThrottledError, UnavailableError
from desireline.ports import Secrets

PATH = "/api/2.0/export"
SECRET = "mixpanel_service_account"
"""The name of the secret: {"username": …, "secret": …} of the project's service account."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
"""Mixpanel may take minutes to collect a large day before it sends the first line."""

PIECE = 64 * 1024
LINE_LIMIT = 3 * 1024 * 1024
TERMINATED = (b"terminated early", b"export terminated early")
"""The last line of an export that Mixpanel ended early, with status 200."""


class MixpanelExports:
    """The exports of a project. url: of the server in the project's region."""

    def __init__(
        self,
        url: str,
        project: str,
        secrets: Secrets,
        *,
        http: urllib3.PoolManager | None = None,
        read_timeout: float = READ_SECONDS,
    ) -> None:
        self._url = url.rstrip("/") + PATH
        self._project = project
        self._secrets = secrets
        self._http = http or urllib3.PoolManager()
        self._timeout = Timeout(connect=CONNECT_SECONDS, read=read_timeout)

    def lines(self, day: date) -> Iterator[bytes]:
        try:
            with self._open(day) as response:
                pieces = response.stream(PIECE, decode_content=False)
                if response.headers.get("content-encoding", "").lower() == "gzip":
                    pieces = _unpacked(pieces)
                yield from _lines(pieces)
        except HTTPError as error:
            raise UnavailableError(f"Mixpanel: {type(error).__name__}") from error

    def _open(self, day: date) -> urllib3.BaseHTTPResponse:
        response = self._get(day)
        if response.status == 401 and self._secrets.refresh(SECRET):
            response.drain_conn()
            response = self._get(day)
        if response.status != 200:
            body = response.read(300, decode_content=False)
            response.release_conn()
            raise _refusal(response.status, body)
        return response

    def _get(self, day: date) -> urllib3.BaseHTTPResponse:
        return self._http.request(
            "GET",
            self._url,
            fields={
                "project_id": self._project,
                "from_date": day.isoformat(),
                "to_date": day.isoformat(),
            },
            headers={
                **make_headers(basic_auth=self._credentials()),
                "accept": "text/plain",
                "accept-encoding": "gzip",
            },
            preload_content=False,
            # This is the default of urllib3 2, but a Lambda runtime may include urllib3 1.
            enforce_content_length=True,
            redirect=False,
            retries=Retry(total=0, redirect=False),
            timeout=self._timeout,
        )

    def _credentials(self) -> str:
        try:
            account = orjson.loads(self._secrets.current(SECRET)[0])
            return f"{account['username']}:{account['secret']}"
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise TerminalError(
                "no_credentials", f"the secret {SECRET} must have the fields username and secret"
            ) from error


def _refusal(status: int, body: bytes) -> Exception:
    detail = f"Mixpanel answered {status}"
    if status == 429:
        return ThrottledError(detail)
    if status >= 500 or status < 400:
        return UnavailableError(detail)
    reason = "unauthorised" if status in (401, 402, 403) else "refused"
    return TerminalError(reason, f"{detail}: {body.decode(errors='replace')[:200]}")


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip members. Raises UnavailableError if the last one is incomplete."""
    unpacker = zlib.decompressobj(wbits=31)
    complete = True
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31)
                yield unpacker.decompress(rest)
                rest, complete = unpacker.unused_data, unpacker.eof
    except zlib.error as error:
        raise UnavailableError("Mixpanel's body is not valid gzip") from error
    if not complete:
        raise UnavailableError("Mixpanel's body was cut off")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not empty. Receive quarantines lines that are not events.

    Raises UnavailableError if the last line has no line break and is not JSON: it was cut off."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield from _line(line)
        if len(rest) > LINE_LIMIT:
            raise TerminalError(
                "line_too_long", f"Mixpanel sent a line of more than {LINE_LIMIT} bytes"
            )
    for line in _line(rest):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UnavailableError("Mixpanel's last line was cut off") from error
        yield line


def _line(line: bytes) -> Iterator[bytes]:
    line = line.strip()
    if line.strip(b'."[] ').lower() in TERMINATED:
        raise UnavailableError("Mixpanel terminated the export early")
    if line:
        yield line
