"""The puller over real sockets: Mixpanel on one side, our own receive on the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from desireline.adapters.inbox import WebhookInbox
from desireline.adapters.memory import MemoryStore
from desireline.adapters.mixpanel import SECRET, MixpanelExports
from desireline.errors import TerminalError, ThrottledError, UnavailableError
from desireline.receive import pull_exports
from desireline.receive.pull_exports import PullExport, PullPlan
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import mixpanel_export
from desireline.rows.sources import PullRow
from desireline_local.kafka.broker import free_port
from desireline_local.sender_side.mixpanel import PASSWORD, PROJECT, USER
from tests.worlds.failing_mixpanel import FailingMixpanel
from tests.worlds.receiving import NOW, World
from tests.worlds.receiving import SECRET as SIGNING

DAY = "2026-01-04"
TODAY = "2026-01-05"
"""NOW is its first moment."""


class Vault:
    """Secrets; `stale`: what is held until they are read again."""

    def __init__(self) -> None:
        self.account = f'{{"username": "{USER}", "secret": "{PASSWORD}"}}'.encode()
        self.stale: bytes | None = None
        self.refreshes = 0

    def current(self, name: str) -> tuple[bytes, ...]:
        return (self.stale or self.account,) if name == SECRET else (SIGNING,)

    def refresh(self, name: str) -> bool:
        self.refreshes += 1
        held, self.stale = self.stale, None
        return held is not None


class OurWebhook:
    """receive behind a socket. answers: statuses to give first, without looking."""

    def __init__(self) -> None:
        self.world = World()
        self.answers: list[int] = []
        self.requests = 0
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802 — the base class' name
                ours.requests += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                if ours.answers:
                    status = ours.answers.pop(0)
                else:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    source = self.path.rpartition("/")[2]
                    status = ours.world.receive(WebhookRequest(source, headers, body)).status
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhooks"

    @property
    def events(self) -> list[str]:
        return [event.name for event in self.world.events()]


@pytest.fixture
def ours() -> Iterator[OurWebhook]:
    ours = OurWebhook()
    thread = threading.Thread(target=ours.server.serve_forever, daemon=True)
    thread.start()
    yield ours
    ours.server.shutdown()
    ours.server.server_close()
    thread.join()


@pytest.fixture
def mixpanel() -> Iterator[FailingMixpanel]:
    with FailingMixpanel().serving() as mixpanel:
        yield mixpanel


class Wall:
    """Wall time, moved by hand."""

    time = NOW

    def now(self) -> int:
        return self.time


class Puller:
    """The use case on real adapters, and a store in memory."""

    def __init__(
        self,
        mixpanel: FailingMixpanel,
        ours: OurWebhook,
        *,
        read_timeout: float = 60.0,
        store: MemoryStore | None = None,
    ) -> None:
        self.vault, self.store, self.wall = Vault(), store or MemoryStore(), Wall()
        self.slept: list[float] = []
        headers = {mixpanel_export.TIME_ZONE: "UTC", mixpanel_export.ACCOUNT_PROPERTY: "company_id"}
        self.exports = MixpanelExports(mixpanel.url, PROJECT, self.vault, read_timeout=read_timeout)
        self.inbox = WebhookInbox(
            ours.url,
            mixpanel_export.SENDER,
            self.vault,
            ours.world,
            headers=headers,
            sleep=self.slept.append,
        )
        self.pull = PullExport(
            PullPlan(
                source="mixpanel_export",
                project=PROJECT,
                time_zone="UTC",
                first_day=date(2026, 1, 3),
                window_days=1,
                requests=30,
            ),
            exports=self.exports,
            inbox=self.inbox,
            store=self.store,
            wall=self.wall,
            metrics=ours.world,
        )

    def __call__(self) -> str:
        return self.pull(lambda: 800.0).stopped

    @property
    def row(self) -> PullRow:
        row = self.store.get(PullRow.ref_to("mixpanel_export", PROJECT))
        assert row is not None
        return row


@pytest.fixture
def puller(mixpanel: FailingMixpanel, ours: OurWebhook) -> Puller:
    return Puller(mixpanel, ours)


def created(number: int, **more: Any) -> dict[str, Any]:
    """An event of yesterday."""
    at = NOW // 1000 - 86_400 + number
    return {
        "event": "Project Created",
        "properties": {
            "time": at,
            "$insert_id": f"i{number}",
            "$user_id": f"u{number}",
            "project_name": "p" * 40,
            "mp_processing_time_ms": at * 1000 + 900,
            **more,
        },
    }


@pytest.mark.parametrize("count", [1, 3_000])
def test_events_come_through_small_and_packed(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook, count: int
) -> None:
    mixpanel.add_events(DAY, *map(created, range(count)))

    assert puller() == ""

    assert mixpanel.requested == ["2026-01-03", DAY, TODAY]
    assert len(ours.events) == count
    assert ours.requests == -(-count // pull_exports.CHUNK_LINES)
    assert {event.source for event in ours.world.events()} == {"mixpanel_export"}


@pytest.mark.parametrize("how", ["cut", "half-gzip", "short", "early", 500, 502, 503])
def test_what_breaks_in_the_middle_is_taken_again(
    puller: Puller,
    mixpanel: FailingMixpanel,
    ours: OurWebhook,
    monkeypatch: pytest.MonkeyPatch,
    how: int | str,
) -> None:
    """Given a day of a hundred events whose answer breaks, when the next run comes, then every
    event has come through, and none has another id than before."""
    monkeypatch.setattr(pull_exports, "CHUNK_LINES", 20)
    mixpanel.add_events(DAY, *map(created, range(100)))
    mixpanel.answers = [200, how]

    assert puller() == "unavailable"
    assert puller.row.day == DAY
    before = len(ours.events)
    assert before < 100

    assert puller() == ""
    assert len({event.event_id for event in ours.world.events()}) == 100
    if how in ("cut", "half-gzip"):
        assert before >= 20, "what came before the break is durable"
        assert len(ours.events) == 100, "and is not posted again"


def test_silence_is_taken_for_a_break(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook
) -> None:
    """Given Mixpanel answers nothing any more, when the next run comes, then nothing is missing."""
    mixpanel.add_events(DAY, created(1))
    hasty = Puller(mixpanel, ours, read_timeout=0.2, store=puller.store)
    mixpanel.answers = ["hang"]

    assert hasty() == "unavailable"
    assert puller.row.day == "2026-01-03"
    assert puller() == ""
    assert len(ours.events) == 1


def test_a_rate_limit_ends_the_run_and_moves_nothing(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook
) -> None:
    mixpanel.add_events(DAY, created(1))
    mixpanel.answers = [200, 429]
    assert puller() == "rate_limited"
    assert len(mixpanel.requested) == 2, "it does not insist"
    assert puller.row.day == DAY
    assert puller() == ""
    assert len(ours.events) == 1


def test_late_events_come_through_and_repeats_count_as_one(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook
) -> None:
    mixpanel.add_events(DAY, created(1), created(2))
    puller()
    puller.wall.time = NOW + 7_200_000
    mixpanel.add_events(DAY, created(3, mp_processing_time_ms=NOW + 3_600_000))
    puller()
    assert len(ours.events) == 3

    puller.wall.time = NOW + 86_400_000 * 2
    puller()
    assert len(ours.events) == 6, "the day has left the window: all of it once more"
    assert len({event.event_id for event in ours.world.events()}) == 3
    assert len({event.fragment for event in ours.world.events()}) == 3


def test_a_line_that_is_no_event_is_set_aside_and_stops_nothing(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook
) -> None:
    mixpanel.add_events(DAY, created(1), b"garbage \xff", b"", created(2))
    assert puller() == ""
    assert len(ours.events) == 2
    assert [one.reason for one in ours.world.quarantined()] == ["unmapped"]


def test_a_last_line_without_an_end_is_taken_if_it_is_whole(
    puller: Puller, mixpanel: FailingMixpanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mixpanel.body
    mixpanel.add_events(DAY, created(1), created(2))
    monkeypatch.setattr(mixpanel, "body", lambda day: whole(day).rstrip(b"\n"))
    assert len(list(puller.exports.lines(date(2026, 1, 4)))) == 2
    monkeypatch.setattr(mixpanel, "body", lambda day: whole(day)[:-20])
    with pytest.raises(UnavailableError, match="cut off"):
        list(puller.exports.lines(date(2026, 1, 4)))


def test_credentials_that_were_replaced_are_read_again(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook
) -> None:
    mixpanel.add_events(DAY, created(1))
    puller.vault.stale = b'{"username": "old", "secret": "old"}'
    assert puller() == ""
    assert len(ours.events) == 1


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (b'{"username": "old", "secret": "old"}', "unauthorised"),
        (b"random placeholder", "no_credentials"),
        (b'{"username": "x"}', "no_credentials"),
    ],
)
def test_credentials_that_are_wrong_are_said_to_be(
    puller: Puller, account: bytes, reason: str
) -> None:
    puller.vault.account = account
    with pytest.raises(TerminalError) as raised:
        puller()
    assert raised.value.reason == reason
    assert "random" not in str(raised.value)
    assert puller.row.day == "2026-01-03"


def test_an_address_where_nobody_is_can_be_tried_again(ours: OurWebhook) -> None:
    nobody = FailingMixpanel(free_port())
    with nobody.serving():
        pass
    assert Puller(nobody, ours)() == "unavailable"


@pytest.mark.parametrize("answers", [[503], [429, 503], [500, 502, 504]])
def test_our_webhook_is_asked_again_for_a_while(
    puller: Puller, mixpanel: FailingMixpanel, ours: OurWebhook, answers: list[int]
) -> None:
    mixpanel.add_events(DAY, created(1))
    ours.answers = [*answers]
    assert puller() == ""
    assert len(ours.events) == 1
    assert puller.slept == [1.0, 2.0, 4.0][: len(answers)]


@pytest.mark.parametrize(
    ("status", "error"), [(503, UnavailableError), (429, ThrottledError), (413, TerminalError)]
)
def test_what_our_webhook_goes_on_refusing_is_told(
    puller: Puller, ours: OurWebhook, status: int, error: type[Exception]
) -> None:
    ours.answers = [status] * 10
    with pytest.raises(error):
        puller.inbox.post(b"{}\n")
    assert ours.requests == (1 if error is TerminalError else 4)


def test_a_forged_chunk_is_refused(puller: Puller, ours: OurWebhook) -> None:
    """The puller's own signature is what receive verifies: with another secret nothing passes."""
    ours.world.values = ours.world.stored = (b"another",)
    with pytest.raises(TerminalError, match="401"):
        puller.inbox.post(b"{}\n")
    assert not ours.world.durable
