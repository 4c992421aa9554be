"""The command `desireline`."""
