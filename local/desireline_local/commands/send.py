"""`desireline send`: send signed webhooks to the local cloud."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES, load_senders
from desireline_local.cloud import Addresses
from desireline_local.commands.running import the_cloud
from desireline_local.sender_side import samples
from desireline_local.sender_side.signing import sign
from desireline_operate.cli.console import console, fail


def send(
    source: Annotated[str, typer.Argument(metavar="SENDER", help=", ".join(sorted(NAMES)))],
    body: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|NAME",
            help="file of the body (default: standard input), or with --sample the name of a "
            "sample (default: all samples)",
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="send samples from the sender's documentation")
    ] = False,
    show_curl: Annotated[
        bool, typer.Option("--curl", help="print the curl command instead of sending")
    ] = False,
) -> None:
    """Send a webhook to the local cloud with its sender's signature."""
    try:
        load_senders([source])
        addresses = the_cloud().addresses
        sent = _samples(addresses, source, body) if sample else [_own(addresses, source, body)]
    except ValueError as error:
        raise fail(str(error), 2) from error
    failed = False
    for name, request in sent:
        url = f"{addresses.webhooks}/{source}{_query(request.url)}"
        if show_curl:
            console.print(_curl(request, url, name), soft_wrap=True)
            continue
        answer = httpx.post(url, content=request.body, headers=dict(request.headers), timeout=30)
        label = f"{name}: " if sample else ""
        console.print(f"{label}{answer.status_code} {answer.text}", soft_wrap=True)
        failed = failed or answer.is_error
    if failed:
        raise typer.Exit(1)


def _own(addresses: Addresses, source: str, file: str | None) -> tuple[str, WebhookRequest]:
    """Sign a body from a file or from standard input."""
    body = sys.stdin.buffer.read() if file is None else Path(file).read_bytes()
    url = f"{addresses.called}/{source}"
    headers = sign(source, body, addresses.secret(source), _now(), url=url)
    curl_data = f"@{file}" if file else "@-"
    return curl_data, WebhookRequest(source, headers, body, url=url)


def _samples(
    addresses: Addresses, source: str, name: str | None
) -> Sequence[tuple[str, WebhookRequest]]:
    """Sign the documented samples of that name, or all of them."""
    chosen = samples.load(source).named(name)
    secret = addresses.secret(source)
    return [
        (it.name, it.at(f"{addresses.called}/{source}").signed(source, secret, _now()))
        for it in chosen
    ]


def _curl(request: WebhookRequest, url: str, data: str) -> str:
    """Format a request as a curl command. data: '@FILE', or the name of a sample."""
    headers = [f"{name}: {value}" for name, value in request.headers.items()]
    body = data if data.startswith("@") else request.body.decode()
    options = [part for header in headers for part in ("-H", header)]
    return shlex.join(["curl", "-i", *options, "--data-binary", body, url])


def _query(url: str) -> str:
    _, mark, query = url.partition("?")
    return mark + query


def _now() -> int:
    return time.time_ns() // 1_000_000
