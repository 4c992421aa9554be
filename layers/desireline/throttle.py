"""Throttle: limit the events of each sender and write key with a token bucket (docs/adr/0015).

The bucket is a row that all environments share. An environment leases tokens from the row, about as
many as it used in its last lease, and spends them from memory. So most requests make no call. At
the next lease, the environment returns its unspent tokens.

A request passes if one token is left, whatever its size. The balance may then go negative, so that
a batch can pass among single events (docs/adr/0028). All environments together accept at most
`burst + rate * time` events, and one batch.
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
"""The longest time that an environment does not read the row after a refusal."""

TRIES = 3
LARGEST_SHARE = 10
"""A lease has at most a tenth of a burst, or the current request's events if they are more."""

LONGEST_WAIT = 50
"""Seconds. Zendesk retries only if `Retry-After` is less than a minute."""

THOUSAND = 1_000


class Limit(BaseModel):
    """A limit. rate: events per second. burst: size of the bucket, at least the largest batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Annotated[int, Field(ge=1)]
    burst: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _takes_a_batch(self) -> Self:
        if self.burst < EVENTS_LIMIT:
            raise ValueError(
                f"burst must be at least {EVENTS_LIMIT}, the events of the largest batch"
            )
        return self


@dataclass(slots=True)
class _Lease:
    """An environment's lease of a bucket. used: tokens spent since its begin. until: its end. shut:
    the end of a refusal. Times are in epoch ms. unasked: the tokens do not come from the row, which
    could not be written."""

    tokens: int = 0
    used: int = 0
    until: int = 0
    shut: int = 0
    unasked: bool = False


class Throttle:
    """Throttles senders. limits: by sender, or by 'sender/key' for a write key; '*' applies to the
    senders without an own limit. Without a limit all requests pass. wall: the wall clock."""

    def __init__(
        self, store: Store, limits: Mapping[str, Limit], wall: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._limits = limits
        self._wall = wall
        self._metrics = metrics
        self._leases: dict[str, _Lease] = {}

    def take(self, sender: str, key: str | None, events: int) -> None:
        """Count a request's events. Raises RefusedError (429) if the bucket is empty.

        If the row cannot be read or written, the request passes, and a metric counts it. Losing
        events would be worse than exceeding a limit."""
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
                # Other environments wrote first, TRIES times. This request passes.
                self._metrics.count("throttle_contended")
                lease.tokens, lease.until, lease.unasked = cost, now, True
            except RetryableError:
                self._metrics.count("throttle_unavailable")
                # Make no calls for SHUT_MS, so that retries do not add load.
                lease.tokens, lease.until = limit.burst // LARGEST_SHARE + cost, now + SHUT_MS
                lease.unasked = True
        lease.tokens -= cost
        lease.used += cost

    def _renew(self, name: str, limit: Limit, lease: _Lease, cost: int, now: int) -> None:
        """Return the unspent tokens to the row, and lease those that will probably be used."""
        likely = lease.used * 2 if now < lease.until else lease.used
        left_over = 0 if lease.unasked else lease.tokens
        target = min(likely, limit.burst // LARGEST_SHARE)
        for tried in range(1, TRIES + 1):
            row = self._store.get(BucketRow.ref_to(name)) or BucketRow(
                name=name, tokens=limit.burst * THOUSAND, filled_at=now
            )
            # The row counts thousandths of tokens. One token per second is 1/1000 per ms.
            grown = row.tokens + max(0, now - row.filled_at) * limit.rate
            filled = min(limit.burst * THOUSAND, grown + left_over * THOUSAND)
            if filled < THOUSAND:
                wait = -(-(THOUSAND - filled) // limit.rate)
                lease.shut = now + min(wait, SHUT_MS)
                raise _busy(name, wait)
            granted = max(cost, min(target, filled // THOUSAND))
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
    """Return the refusal of a request. name: of the bucket. wait: until the next token, in ms."""
    seconds = min(LONGEST_WAIT, max(1, -(-wait // 1000)))
    return RefusedError(
        429,
        "throttled",
        f"too many events of {name}: retry after the time in Retry-After",
        retry_after=seconds,
    )
