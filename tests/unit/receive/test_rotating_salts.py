"""Addresses and user agents are hashed with the salt of the day, and compared over midnight."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from desireline.events import AliasType, CanonicalEvent, Context, RawPointer
from desireline.identity.aliases import Fragments
from desireline.receive.mapping.canonical import COMPARED, DAY, Canonical
from desireline.receive.senders.sender import SenderReport
from tests.worlds.receiving import PLAN

MIDNIGHT = 1_767_571_200_000
CANONICAL = Canonical(PLAN, Fragments(b"secret"))
TIMES = st.integers(MIDNIGHT - 2 * DAY, MIDNIGHT + 2 * DAY)


def context(
    at: int | None, *, arrived: int = MIDNIGHT + 3 * DAY, of: Canonical = CANONICAL
) -> Context:
    reported = SenderReport(
        "m1", "identify", None, {}, at, ((AliasType.USER, "ada"),),
        ip="203.0.113.7", user_agent="Firefox",
    )  # fmt: skip
    event: CanonicalEvent = of.event(
        "segment", reported, RawPointer(id="raw"), received_at=arrived, stamped=arrived
    )
    return event.context


def same(one: Context, other: Context) -> bool:
    """Whether the two may be compared, and are of one address and user agent."""
    addresses = ({one.ip_hash, one.earlier_ip_hash}, {other.ip_hash, other.earlier_ip_hash})
    agents = (
        {one.user_agent_hash, one.earlier_user_agent_hash},
        {other.user_agent_hash, other.earlier_user_agent_hash},
    )
    return all((left & right) - {None} for left, right in (addresses, agents))


def test_another_day_has_another_salt_and_no_hash_tells_the_address() -> None:
    days = [context(MIDNIGHT + COMPARED + day * DAY) for day in range(3)]

    assert len({one.ip_hash for one in days}) == 3
    assert len({one.user_agent_hash for one in days}) == 3
    assert not any(same(one, other) for one, other in pairwise(days))
    assert "203.0.113.7" not in repr(days)


@given(one=TIMES, span=st.integers(0, COMPARED - 1))
def test_two_events_of_one_half_hour_match_whatever_lies_between_them(one: int, span: int) -> None:
    assert same(context(one), context(one + span))


@given(one=TIMES, span=st.integers(DAY + COMPARED, 2 * DAY))
def test_events_more_than_a_day_apart_never_match(one: int, span: int) -> None:
    assert not same(context(one), context(one + span))


def test_only_a_days_first_half_hour_carries_the_day_before() -> None:
    assert context(MIDNIGHT).earlier_ip_hash == context(MIDNIGHT - 1).ip_hash
    assert context(MIDNIGHT + COMPARED - 1).earlier_user_agent_hash is not None
    assert context(MIDNIGHT + COMPARED).earlier_ip_hash is None
    assert context(MIDNIGHT - 1).earlier_ip_hash is None


def test_a_redelivery_after_the_rotation_has_the_same_hashes() -> None:
    assert context(MIDNIGHT, arrived=MIDNIGHT + 1) == context(MIDNIGHT, arrived=MIDNIGHT + 2 * DAY)


def test_another_deployment_has_other_salts() -> None:
    other = Canonical(PLAN, Fragments(b"another secret"))
    assert context(MIDNIGHT).ip_hash != context(MIDNIGHT, of=other).ip_hash
