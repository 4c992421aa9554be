"""Receive: verify raw bytes, map to canonical events, make durable, answer."""
