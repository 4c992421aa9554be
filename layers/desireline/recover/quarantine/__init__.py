"""Quarantine: index, show, repair and replay events that a component rejected.

The raw body stays in its topic and in the archive. A case in quarantine holds the reason.
"""
