"""Receive: verify raw bytes, map them to canonical events, store both in Kafka, and answer."""
