"""Data that ships with the package: in the repository links to the folders at its top."""

from __future__ import annotations

from pathlib import Path

PLAYBOOKS = Path(__file__).parent / "playbooks"
TRACKING_PLAN = Path(__file__).parent / "tracking_plan"
