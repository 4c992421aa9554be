"""Quarantine: what could not be taken further is indexed, shown, repaired and replayed.

Nothing is lost: the raw body lies in its topic and archive, and here is what it broke on.
"""
