"""DeliverAction: turn a claim into at most one call to a provider (delivery rules 8 and 10).

    claimed ─▶ sending ─▶ sent | refused | unknown        (throttled, denied: back to claimed)
       └─▶ recorded | cancelled | expired

Before the call, the claim is marked `sending`, if its enrolment still has the version that was
read. An attempt that finds a claim `sending` cannot know whether the provider was called. While the
attempt that marked it may still run, the message goes back to the queue. After that the outcome is
`unknown`, and the message is never sent again.

A message may wait for hours in the queue. So the suppressions are read again before the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from desireline.errors import (
    ConflictError,
    DeniedError,
    RetryableError,
    TerminalError,
    ThrottledError,
    UnavailableError,
)
from desireline.events import ClaimReference
from desireline.intervene.cancel import delivery_row
from desireline.intervene.suppressions import suppressions_of
from desireline.ports import Alert, ChannelSender, Clock, Metrics, Store, Switches
from desireline.rows import (
    Check,
    ClaimRow,
    ClaimState,
    EnrolmentRow,
    EnrolmentState,
    Outcome,
    Put,
)

ATTEMPTS = 10
SENDABLE = frozenset({EnrolmentState.RUNNING, EnrolmentState.COMPLETED})
"""The states of an enrolment whose claims are sent. Completion does not cancel claims."""
MARGIN_MS = 2_000
"""The time to write the outcome after the provider's latest possible answer."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a claim, without or after a call."""

    state: ClaimState
    reason: str
    gate: str | None = None


class DeliverAction:
    """Delivers one message of a channel's queue at a time.

    senders: by channel. read_timeout_ms: the longest wait of the provider's client, connecting
    included. function_timeout_ms: the longest run of an attempt. token: returns a new name for each
    attempt.
    """

    def __init__(
        self,
        *,
        store: Store,
        senders: Mapping[str, ChannelSender],
        switches: Switches,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        read_timeout_ms: int,
        function_timeout_ms: int,
        token: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._store = store
        self._senders = senders
        self._switches = switches
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._needed_ms = read_timeout_ms + MARGIN_MS
        self._function_timeout_ms = function_timeout_ms
        self._token = token

    def __call__(self, reference: ClaimReference, remaining_ms: Callable[[], int]) -> ClaimState:
        """Deliver the claim unless it has ended. Returns the claim's state.

        remaining_ms: returns the time left in this invocation. Raises RetryableError if the queue
        must deliver the message again, and TerminalError for an unknown claim, channel or
        enrolment.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._try(reference, remaining_ms)
            except ConflictError:
                continue
        raise ConflictError(f"claim {reference.action}: {ATTEMPTS} conflicts")

    def _try(self, reference: ClaimReference, remaining_ms: Callable[[], int]) -> ClaimState:
        claim = self._store.get(ClaimRow.ref_to(**reference.model_dump()))
        if claim is None:
            raise TerminalError("unknown_claim", f"{reference.playbook} {reference.action}")
        if claim.state is ClaimState.SENDING:
            return self._settle_attempt(claim)
        if claim.state is not ClaimState.CLAIMED:
            return claim.state
        if claim.channel not in self._senders:
            raise TerminalError("unknown_channel", claim.channel)
        enrolment = self._store.get(EnrolmentRow.ref_to(claim.enrolment))
        if enrolment is None:
            raise TerminalError("unknown_enrolment", claim.enrolment)
        end = self._end_without_call(claim, enrolment)
        if end is not None:
            return self._end(claim, end, Check(enrolment))
        if remaining_ms() < self._needed_ms:
            raise UnavailableError("the time left is shorter than the provider's timeout")
        sending = claim.but(
            state=ClaimState.SENDING,
            attempt=self._token(),
            attempted_at=self._wall.now(),
            attempts=claim.attempts + 1,
        )
        return self._call(self._mark(sending, Check(enrolment)))

    def _mark(self, sending: ClaimRow, unchanged: Check) -> ClaimRow:
        """Mark the claim with this attempt's token, and return the stored row.

        The store's answer may be lost, or be a conflict with the client's own retry. Then the token
        in the row tells whether the claim is this attempt's. If it is, no other attempt calls."""
        try:
            self._store.write(Put(sending), unchanged)
        except RetryableError:
            stored = self._store.get(sending.ref)
            if stored is None or stored.attempt != sending.attempt:
                raise
            return stored
        return sending.but(version=sending.version + 1)

    def _settle_attempt(self, claim: ClaimRow) -> ClaimState:
        """End an earlier attempt's claim as unknown. Raises UnavailableError while it may run."""
        age = self._wall.now() - (claim.attempted_at or 0)
        if age <= self._function_timeout_ms:
            raise UnavailableError("another attempt may still run")
        return self._end(claim, _End(ClaimState.UNKNOWN, "attempt_vanished"))

    def _end_without_call(self, claim: ClaimRow, enrolment: EnrolmentRow) -> _End | None:
        """Return the end of a claim whose provider must not be called, or None to call it."""
        if enrolment.state not in SENDABLE:
            return _End(ClaimState.CANCELLED, f"enrolment_{enrolment.state}")
        if self._clock.now() > claim.not_after:
            return _End(ClaimState.EXPIRED, "too_late", "stale")
        suppressed = suppressions_of(self._store, claim.concerns, (claim.channel,))
        if suppressed:
            return _End(ClaimState.CANCELLED, f"suppressed:{suppressed[0].reason}", "consent")
        return self._end_by_switch(claim)

    def _end_by_switch(self, claim: ClaimRow) -> _End | None:
        """Return the end of a claim that the operators' switches stop, or None."""
        if self._switches.killed(playbook=claim.playbook, channel=claim.channel):
            return _End(ClaimState.CANCELLED, "killed", "kill_switch")
        mode = self._switches.send_mode()
        if mode == "live":
            return None
        if mode == "allowlist" and self._switches.allowed(claim.recipient):
            return None
        reason = "not_on_allowlist" if mode == "allowlist" else "send_mode_record"
        return _End(ClaimState.RECORDED, reason, "send_mode")

    def _call(self, claim: ClaimRow) -> ClaimState:
        """Call the provider once, and write the outcome."""
        try:
            provider_id = self._senders[claim.channel].send(_alert(claim))
        except (ThrottledError, DeniedError):
            self._write_down(claim.but(state=ClaimState.CLAIMED, attempt=None), ())
            raise
        except TerminalError as error:
            return self._end(claim, _End(ClaimState.REFUSED, error.reason))
        except UnavailableError:
            return self._end(claim, _End(ClaimState.UNKNOWN, "no_answer"))
        stamps = claim.stamps.model_copy(update={"delivered": self._wall.now()})
        sent = claim.but(provider_id=provider_id, stamps=stamps)
        return self._end(sent, _End(ClaimState.SENT, "accepted"))

    def _end(self, claim: ClaimRow, end: _End, *checks: Check) -> ClaimState:
        row = delivery_row(claim, Outcome(end.state), end.reason, self._clock.now(), end.gate)
        self._write_down(claim.but(state=end.state), (Put(row), *checks))
        self._metrics.count("deliveries", outcome=end.state, channel=claim.channel)
        if end.state is ClaimState.UNKNOWN:
            self._metrics.count("sends_unknown", channel=claim.channel)
        if end.state is ClaimState.REFUSED:
            self._metrics.count("sends_refused", channel=claim.channel)
        return end.state

    def _write_down(self, claim: ClaimRow, rest: tuple[Put | Check, ...]) -> None:
        """Write the claim. After an error, read whether it was written.

        A claim whose outcome cannot be written stays `sending`. A later attempt ends it as
        `unknown`, and does not send it again."""
        for attempt in range(ATTEMPTS):
            try:
                return self._store.write(Put(claim), *rest)
            except RetryableError as error:
                stored = self._store.get(claim.ref)
                if stored is not None and _same_end(stored, claim):
                    return None
                if isinstance(error, ConflictError) or attempt == ATTEMPTS - 1:
                    raise
        return None


def _same_end(stored: ClaimRow, claim: ClaimRow) -> bool:
    return (stored.state, stored.attempt) == (claim.state, claim.attempt)


def _alert(claim: ClaimRow) -> Alert:
    """Return the claim's message. Its attributes include the stamps of the stages."""
    stamps = claim.stamps.model_dump(exclude_none=True)
    return Alert(claim.title, claim.body, {**claim.attributes, **stamps})
