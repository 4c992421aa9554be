"""Texts with placeholders: `$name`, as string.Template reads them.

Not Jinja: what varies in a playbook is in its condition tree, where it is recorded and rehearsed,
so a text needs values and no logic. A language without expressions has nothing to break out of,
and all its placeholders are known, and checked, when the playbook is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Annotated

from pydantic import AfterValidator

TITLE_LIMIT = 99
"""SNS: fewer than 100 characters, no line break, no control character."""

PLACEHOLDERS: Mapping[str, str] = {
    "name": "the person's name, else their email, else 'Somebody'",
    "account": "the account's name, else its key, else 'no account yet'",
    "email": "the person's email, else 'unknown'",
    "score": "the score as of the due time, else 'none'",
    "tier": "hot, warm, nurture or at risk, else 'none'",
    "stage": "the stage of the journey",
    "days_in_trial": "whole days since trial_signup, else 'none'",
    "reasons": "what moved the score most, a line each",
    "integration": "yes or no: an integration is connected",
    "projects": "number of projects created",
    "teammates": "number of team members invited",
    "last_active": "when the latest event occurred, UTC",
    "link": "the contact's link",
    "owner": "who owns the account, else 'unassigned'",
    "segment": "the account's segment, else 'unknown'",
    "subject": "the subject's id, for `desireline explain`",
}
"""What a text may name."""


def check_template(text: str) -> str:
    """The text, if each placeholder is known. Raises ValueError, and says what may be written."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a single $ starts a placeholder; write $$ for a dollar sign")
    unknown = sorted(set(template.get_identifiers()) - PLACEHOLDERS.keys())
    if unknown:
        known = ", ".join(f"${name}" for name in PLACEHOLDERS)
        raise ValueError(f"unknown placeholder ${unknown[0]}; known are {known}")
    return text


Text = Annotated[str, AfterValidator(check_template)]
"""A template that is checked when it is loaded."""


def render(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled; control characters in values become spaces."""
    clean = {name: printable(value, keep="\n") for name, value in values.items()}
    return Template(text).substitute(clean)


def render_title(text: str, values: Mapping[str, str]) -> str:
    """One line of at most TITLE_LIMIT characters, cut with an ellipsis."""
    line = " ".join(printable(Template(text).substitute(values)).split())
    return line if len(line) <= TITLE_LIMIT else line[: TITLE_LIMIT - 1].rstrip() + "…"


def printable(text: str, keep: str = "") -> str:
    """The text with what cannot be printed as spaces."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
