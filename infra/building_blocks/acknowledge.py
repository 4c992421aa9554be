"""Accept findings of cdk-nag at the construct concerned, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

SHORTEST_REASON = 30


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept findings on a construct and its children. reasons: by id of the rule.

    Raises ValueError for a reason shorter than SHORTEST_REASON.
    """
    for rule, reason in reasons.items():
        if len(reason) < SHORTEST_REASON:
            raise ValueError(f"{rule} needs a reason, not '{reason}'")
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason)
        )
