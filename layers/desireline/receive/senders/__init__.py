"""One module a sender: how it signs, and where in its messages things are.

A module in this folder that defines SENDER is a sender, under its own name; so is a file of the
tracking plan that names the scheme its sender signs by. The guide is docs/adding_a_sender.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import yaml

from desireline.plan.tracking_plan import SenderWords, sender_words
from desireline.receive.senders.sender import Sender
from desireline.resources import TRACKING_PLAN

FILES = TRACKING_PLAN / "senders"

MODULES = frozenset(
    module.name
    for module in iter_modules([str(Path(__file__).parent)])
    if module.name != "sender" and not module.name.startswith("_")
)
"""Those with code of their own."""


def configured(folder: Path = FILES) -> dict[str, SenderWords]:
    """The senders that are a file alone, by name. Raises as `load_plan` does."""
    files = (file for file in sorted(folder.glob("*.yaml")) if file.stem not in MODULES)
    return {words.sender: words for words in map(sender_words, files) if words.scheme}


def _readable() -> Mapping[str, SenderWords]:
    """None where a file is wrong: `load_plan` stops a function then, and `desireline plan check`
    says what is wrong, for which it has to start."""
    try:
        return configured()
    except (TypeError, ValueError, yaml.YAMLError):
        return {}


_CONFIGURED = _readable()

NAMES = MODULES | _CONFIGURED.keys()
"""All senders there are."""


def known(names: Iterable[str] = NAMES, *, folder: Path = FILES) -> dict[str, Sender]:
    """The senders of these names; folder: where senders without a module are. Raises ValueError
    for a name that is none."""
    files = _CONFIGURED if folder == FILES else configured(folder)
    there = MODULES | files.keys()
    found: dict[str, Sender] = {}
    for name in sorted(names):
        if name not in there:
            raise ValueError(f"no sender {name!r}: known are {', '.join(sorted(there))}")
        found[name] = _configured(files[name]) if name in files else _of_module(name)
    return found


def _of_module(name: str) -> Sender:
    sender: Sender = import_module(f"{__name__}.{name}").SENDER
    return sender


def _configured(words: SenderWords) -> Sender:
    sender: Sender = import_module(f"{__name__}._{words.scheme}").configured(words)
    return sender
