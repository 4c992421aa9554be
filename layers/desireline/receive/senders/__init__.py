"""The registry of senders. One module per sender verifies its signature and parses its messages.

A module in this folder that defines SENDER is a sender, and gives it its name. A file of the
tracking plan with a signature scheme is a sender too. The guide is docs/adding_a_sender.md.
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
"""The senders that have a module."""


def configured(folder: Path = FILES) -> dict[str, SenderWords]:
    """Read the senders that have a file but no module, by name. Raises as `load_plan` does."""
    files = (file for file in sorted(folder.glob("*.yaml")) if file.stem not in MODULES)
    return {words.sender: words for words in map(sender_words, files) if words.scheme}


def _configured_or_none() -> Mapping[str, SenderWords]:
    """Read the senders that have a file but no module; return none of them if a file is invalid.

    `desireline plan check` imports this module and has to start to report the invalid file.
    `load_plan` raises for it in a function."""
    try:
        return configured()
    except (TypeError, ValueError, yaml.YAMLError):
        return {}


_CONFIGURED = _configured_or_none()

NAMES = MODULES | _CONFIGURED.keys()
"""The names of all senders."""


def load_senders(names: Iterable[str] = NAMES, *, folder: Path = FILES) -> dict[str, Sender]:
    """Load senders by name. folder: holds the files of senders without a module.

    Raises ValueError for an unknown name."""
    files = _CONFIGURED if folder == FILES else configured(folder)
    available = MODULES | files.keys()
    senders: dict[str, Sender] = {}
    for name in sorted(names):
        if name not in available:
            choices = ", ".join(sorted(available))
            raise ValueError(f"Unknown sender {name!r}. Use one of: {choices}")
        senders[name] = _configured(files[name]) if name in files else _of_module(name)
    return senders


def _of_module(name: str) -> Sender:
    sender: Sender = import_module(f"{__name__}.{name}").SENDER
    return sender


def _configured(file: SenderWords) -> Sender:
    sender: Sender = import_module(f"{__name__}._{file.scheme}").configured(file)
    return sender
