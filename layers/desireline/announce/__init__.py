"""Announce: turn the changes of tables into messages on topics and queues."""
