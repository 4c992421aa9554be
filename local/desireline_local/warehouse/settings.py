"""What the smoke command reads from its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class AccountSettings(BaseSettings):
    """A real Snowflake account and a user of it with a key pair; SNOWFLAKE_ACCOUNT and so on.

    private_key_file: PKCS 8, unencrypted unless private_key_file_pwd is given.
    """

    model_config = SettingsConfigDict(env_prefix="snowflake_")
    account: str
    user: str
    private_key_file: Path
    private_key_file_pwd: str | None = None
    role: str = "SYSADMIN"
    warehouse: str
    database: str = "DESIRELINE"
