"""Desireline: receive, resolve, score, intervene, archive, show."""
