"""The path of the repository, for commands that read its files."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
"""The top folder of the repository."""
