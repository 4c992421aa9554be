"""`desireline send`: play a sender."""

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
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|NAME",
            help="a file with the body, or with --sample the sample's name; without it, "
            "standard input, or with --sample all samples",
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="send what the sender's documentation shows")
    ] = False,
    show_curl: Annotated[
        bool, typer.Option("--curl", help="print the curl command instead of sending")
    ] = False,
) -> None:
    """Send a webhook to the local cloud, signed as its sender would sign it."""
    try:
        load_senders([source])
        addresses = the_cloud().addresses
        sent = _samples(addresses, source, what) if sample else [_own(addresses, source, what)]
    except ValueError as error:
        raise fail(str(error), 2) from error
    failed = False
    for name, request in sent:
        url = f"{addresses.webhooks}/{source}{_query(request.url)}"
        if show_curl:
            console.print(_curl(request, url, name), soft_wrap=True)
            continue
        answer = httpx.post(url, content=request.body, headers=dict(request.headers), timeout=30)
        named = f"{name}: " if sample else ""
        console.print(f"{named}{answer.status_code} {answer.text}", soft_wrap=True)
        failed = failed or answer.is_error
    if failed:
        raise typer.Exit(1)


def _own(addresses: Addresses, source: str, file: str | None) -> tuple[str, WebhookRequest]:
    """A body of the person's own."""
    body = sys.stdin.buffer.read() if file is None else Path(file).read_bytes()
    url = f"{addresses.called}/{source}"
    headers = sign(source, body, addresses.secret(source), _now(), url=url)
    where = f"@{file}" if file else "@-"
    return where, WebhookRequest(source, headers, body, url=url)


def _samples(
    addresses: Addresses, source: str, name: str | None
) -> Sequence[tuple[str, WebhookRequest]]:
    """The documented bodies of that name, or all."""
    chosen = samples.load(source).named(name)
    secret = addresses.secret(source)
    return [
        (one.name, one.at(f"{addresses.called}/{source}").signed(source, secret, _now()))
        for one in chosen
    ]


def _curl(request: WebhookRequest, url: str, where: str) -> str:
    said = [f"{name}: {value}" for name, value in request.headers.items()]
    body = where if where.startswith("@") else request.body.decode()
    words = ["curl", "-i", *(word for one in said for word in ("-H", one)), "--data-binary", body]
    return shlex.join([*words, url])


def _query(url: str) -> str:
    _, mark, query = url.partition("?")
    return mark + query


def _now() -> int:
    return time.time_ns() // 1_000_000
