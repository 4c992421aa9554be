"""The tracking plan: its events, their names, and the functions that mappings may call."""
