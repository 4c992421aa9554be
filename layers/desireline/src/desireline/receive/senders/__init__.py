"""One module a sender: how it signs, and where in its messages things are.

A module in this folder that defines SENDER is a sender, under its own name. The guide is
docs/adding_a_sender.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from desireline.receive.senders.sender import Sender

NAMES = frozenset(
    module.name
    for module in iter_modules([str(Path(__file__).parent)])
    if module.name != "sender" and not module.name.startswith("_")
)
"""All senders there are."""


def known(names: Iterable[str] = NAMES) -> dict[str, Sender]:
    """The senders of these names. Raises ValueError for a name that is none."""
    found: dict[str, Sender] = {}
    for name in sorted(names):
        if name not in NAMES:
            raise ValueError(f"no sender {name!r}: known are {', '.join(sorted(NAMES))}")
        found[name] = import_module(f"{__name__}.{name}").SENDER
    return found
