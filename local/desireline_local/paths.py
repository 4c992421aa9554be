"""Where the local cloud keeps what it downloads, and what it runs on."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from desireline_operate.paths import PROJECT

STATE = PROJECT / ".desireline"
"""What a running cloud writes: gone when it is down."""


def cache(*parts: str) -> Path:
    """A folder of downloads that are kept from run to run, made if missing. Raises OSError."""
    folder = user_cache_path("desireline").joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"downloads cannot be kept there ({error.strerror})"
        raise OSError(error.errno, why, str(folder)) from error
    return folder
