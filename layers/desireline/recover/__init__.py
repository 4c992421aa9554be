"""Recover: process failed events again, so that each event counts at most once."""
