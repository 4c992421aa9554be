"""Operators and senders who report objections: of whom nothing is to be sent any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from desireline.events import Alias
from desireline.identity.aliases import Fragments
from desireline.ports import Clock, Store
from desireline.receive.suppress import Objections, aliases_of, lift, suppress
from tests.simulation.processes import Function
from tests.simulation.refusing import Order, Wish
from tests.simulation.scheduler import Scheduler

COMMAND_MS = 60_000


@dataclass(frozen=True)
class Done:
    """An order that was carried out. step: its place among all that happened."""

    order: Order
    fragment: str
    step: int


class Operators:
    """Carry out orders; an order that is interrupted is given again.

    receive has no list of the suppressed here: what is counted stays a function of what was sent.
    Events of a suppressed person thus go on to arrive, as do those that were taken before.
    """

    def __init__(
        self, scheduler: Scheduler, make: Callable[[], Store], wall: Clock, fragments: Fragments
    ) -> None:
        self.done: list[Done] = []
        self._scheduler = scheduler
        self._function = Function(scheduler, make)
        self._wall = wall
        self._fragments = fragments

    def carry_out(self, order: Order) -> None:
        """Now, and again until it is done."""
        alias = self._fragments.alias(order.type, order.value)
        assert alias is not None
        scheduler = self._scheduler

        def retry(_: BaseException) -> None:
            scheduler.after(1_000, 60_000, lambda: self.carry_out(order))

        def done(_: None) -> None:
            self.done.append(Done(order, alias.fragment, scheduler.order()))

        self._function.invoke(
            f"{order.wish}[{alias.fragment[:8]}]",
            lambda store: self._obey(store, order.wish, alias),
            done=done,
            died=retry,
            timeout=COMMAND_MS,
        )

    def _obey(self, store: Store, wish: Wish, alias: Alias) -> None:
        if wish is Wish.OBJECT:
            Objections(store, self._wall)(alias, "hubspot")
            return
        concerned = aliases_of(store, alias.type, alias.fragment)
        if wish is Wish.LIFT:
            lift(store, concerned, now=self._wall.now())
        else:
            suppress(store, concerned, reason="requested", now=self._wall.now())
