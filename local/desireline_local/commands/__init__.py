"""The commands of the local cloud, which `desireline` loads by entry points."""
