"""What receive_webhook reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Where the brokers and the secrets are, and the journey clock's address if it is virtual."""

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    secret_identity_arn: str
    secret_segment_arn: str
    secret_stripe_arn: str
    clock_url: str | None = None

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets' ARNs by the name that the use case knows them by."""
        return {
            "identity": self.secret_identity_arn,
            "segment": self.secret_segment_arn,
            "stripe": self.secret_stripe_arn,
        }
