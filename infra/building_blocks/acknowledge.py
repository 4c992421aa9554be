"""Findings of cdk-nag that are meant to be: each with its reason, at the construct concerned."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

SHORTEST_REASON = 30


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept findings on a construct and what is below it; rule id -> reason.

    Raises ValueError for a reason too short to be one.
    """
    for rule, reason in reasons.items():
        if len(reason) < SHORTEST_REASON:
            raise ValueError(f"{rule} needs a reason, not '{reason}'")
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason)
        )
