"""Recover: bring back what did not get through, each event counted at most once."""
