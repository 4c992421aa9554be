"""Texts of playbooks, with placeholders such as `$name` (string.Template).

A text needs no logic, because a playbook's conditions choose between texts. So there is no template
language with expressions, which could run code. Loading a playbook checks all placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Annotated

from pydantic import AfterValidator

TITLE_LIMIT = 99
"""Characters. SNS accepts fewer than 100, and neither line breaks nor control characters."""

PLACEHOLDERS: Mapping[str, str] = {
    "name": "the person's name, else their email, else 'Somebody'",
    "account": "the account's name, else its key, else 'no account yet'",
    "email": "the person's email, else 'unknown'",
    "score": "the score as of the due time, else 'none'",
    "tier": "hot, warm, nurture or at risk, else 'none'",
    "stage": "the stage of the journey",
    "days_in_trial": "whole days since trial_signup, else 'none'",
    "reasons": "the behaviours with the largest effect on the score, one per line",
    "integration": "yes if an integration was connected, else no",
    "projects": "number of projects created",
    "teammates": "number of team members invited",
    "last_active": "the time of the latest event, UTC",
    "link": "the contact's link",
    "owner": "the account's owner, else 'unassigned'",
    "segment": "the account's segment, else 'unknown'",
    "subject": "the subject's id, for `desireline explain`",
}
"""The placeholders that a text may use, each with its value."""


def check_template(text: str) -> str:
    """Return the text. Raises ValueError, with the valid placeholders, if it uses another one."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a single $ starts a placeholder; write $$ for a dollar sign")
    unknown = sorted(set(template.get_identifiers()) - PLACEHOLDERS.keys())
    if unknown:
        valid = ", ".join(f"${name}" for name in PLACEHOLDERS)
        raise ValueError(f"unknown placeholder ${unknown[0]}: use one of {valid}")
    return text


Text = Annotated[str, AfterValidator(check_template)]
"""A template that is checked when its playbook is loaded."""


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of a text. Control characters in values become spaces."""
    clean = {name: printable(value, keep="\n") for name, value in values.items()}
    return Template(text).substitute(clean)


def render_title(text: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of a title: one line of at most TITLE_LIMIT characters.

    A longer line is cut, and ends in an ellipsis."""
    line = " ".join(printable(Template(text).substitute(values)).split())
    return line if len(line) <= TITLE_LIMIT else line[: TITLE_LIMIT - 1].rstrip() + "…"


def printable(text: str, keep: str = "") -> str:
    """Replace unprintable characters by spaces. keep: characters to keep."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
