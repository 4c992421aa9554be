"""The folders of the local cloud: its state, and its downloads."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from desireline_operate.paths import PROJECT

STATE = PROJECT / ".desireline"
"""The files of a running cloud. Its end removes them."""


def cache(*parts: str) -> Path:
    """Return a folder for downloads, which later runs use again. Creates it. Raises OSError."""
    folder = user_cache_path("desireline").joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot store downloads there ({error.strerror})"
        raise OSError(error.errno, why, str(folder)) from error
    return folder
