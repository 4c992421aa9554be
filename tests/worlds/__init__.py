"""Scenes and doubles that several suites share."""
