"""Where the local cloud keeps what it downloads, and what it runs on."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

PROJECT = Path(__file__).parents[3]
"""The repository's top."""

STATE = PROJECT / ".desireline"
"""What a running cloud writes: gone when it is down."""


def cache(*parts: str) -> Path:
    """A folder of downloads that are kept from run to run, made if missing."""
    folder = user_cache_path("desireline").joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
