"""Throttle: a bucket of events for each sender and write key, one for all environments.

The bucket is a row. An environment takes tokens out of it in advance, as many as it used lately,
and spends them from memory: the hot path costs no call, for every token was in the row. What an
environment does not spend it puts back when it comes again. A request passes while there is a token
left, whatever its size, and what it takes beyond that is owed: so a batch comes through among
single events, and all environments together never let through more than `burst + rate * time` and
that one batch. See docs/adr/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from desireline.contracts import EVENTS_LIMIT
from desireline.errors import ConflictError, RefusedError, RetryableError
from desireline.ports import Clock, Metrics, Store
from desireline.rows import BucketRow, Put

ANY: Final = "*"
LEASE_MS = 5_000
SHUT_MS = 1_000
"""How long an environment that was refused does not ask again."""

TRIES = 3
LARGEST_SHARE = 10
"""A lease beyond what is asked for is at most this part of a burst."""

LONGEST_WAIT = 50
"""Seconds: Zendesk comes again only where it is asked to within a minute."""

THOUSAND = 1_000


class Limit(BaseModel):
    """Events a second in the long run, and how many at once: a batch of the largest size fits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Annotated[int, Field(ge=1)]
    burst: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _takes_a_batch(self) -> Self:
        if self.burst < EVENTS_LIMIT:
            raise ValueError(f"a burst takes the largest batch: at least {EVENTS_LIMIT} events")
        return self


@dataclass(slots=True)
class _Lease:
    """What an environment holds of one bucket; times in epoch ms. unasked: its tokens are not out
    of the row, which could not be reached."""

    tokens: int = 0
    used: int = 0
    until: int = 0
    shut: int = 0
    unasked: bool = False


class Throttle:
    """limits: by sender, or by 'sender/name of its key'; '*' is for senders that have none of
    their own. What has no limit is not throttled. wall: the wall clock."""

    def __init__(
        self, store: Store, limits: Mapping[str, Limit], wall: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._limits = limits
        self._wall = wall
        self._metrics = metrics
        self._leases: dict[str, _Lease] = {}

    def take(self, sender: str, key: str | None, events: int) -> None:
        """Count a request's events. Raises RefusedError (429) when there are too many.

        Where the bucket cannot be reached the request passes, and that is counted: a limit that is
        not enforced for a moment loses nothing."""
        if key is not None and (own := self._limits.get(f"{sender}/{key}")):
            self._spend(f"{sender}/{key}", own, events)
        limit = self._limits.get(sender) or self._limits.get(ANY)
        if limit is not None:
            self._spend(sender, limit, events)

    def _spend(self, name: str, limit: Limit, events: int) -> None:
        cost = max(events, 1)
        lease = self._leases.setdefault(name, _Lease())
        now = self._wall.now()
        if now < lease.shut:
            raise _busy(name, lease.shut - now)
        if lease.tokens < cost or now >= lease.until:
            try:
                self._renew(name, limit, lease, cost, now)
            except ConflictError:
                # Others were faster each time: this request passes, the next one asks again.
                self._metrics.count("throttle_contended")
                lease.tokens, lease.until, lease.unasked = cost, now, True
            except RetryableError:
                self._metrics.count("throttle_unavailable")
                # Nothing is asked for a while: whatever is wrong, this is not to make it worse.
                lease.tokens, lease.until = limit.burst // LARGEST_SHARE + cost, now + SHUT_MS
                lease.unasked = True
        lease.tokens -= cost
        lease.used += cost

    def _renew(self, name: str, limit: Limit, lease: _Lease, cost: int, now: int) -> None:
        """Put back what is left and take what is likely to be used until the lease ends."""
        likely = lease.used * 2 if now < lease.until else lease.used
        left_over = 0 if lease.unasked else lease.tokens
        wanted = min(likely, limit.burst // LARGEST_SHARE)
        for tried in range(1, TRIES + 1):
            row = self._store.get(BucketRow.ref_to(name)) or BucketRow(
                name=name, tokens=limit.burst * THOUSAND, filled_at=now
            )
            # Tokens a second are thousandths of a token a millisecond.
            grown = row.tokens + max(0, now - row.filled_at) * limit.rate
            filled = min(limit.burst * THOUSAND, grown + left_over * THOUSAND)
            if filled < THOUSAND:
                wait = -(-(THOUSAND - filled) // limit.rate)
                lease.shut = now + min(wait, SHUT_MS)
                raise _busy(name, wait)
            granted = max(cost, min(wanted, filled // THOUSAND))
            rest = filled - granted * THOUSAND
            try:
                self._store.write(Put(row.but(tokens=rest, filled_at=max(now, row.filled_at))))
            except ConflictError:
                if tried == TRIES:
                    raise
            else:
                lease.tokens, lease.used, lease.until = granted, 0, now + LEASE_MS
                lease.unasked = False
                return


def _busy(name: str, wait: int) -> RefusedError:
    """name: of the bucket. wait: milliseconds."""
    seconds = min(LONGEST_WAIT, max(1, -(-wait // 1000)))
    return RefusedError(429, "throttled", f"too many events of {name}", retry_after=seconds)
