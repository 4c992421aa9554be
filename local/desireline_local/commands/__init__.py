"""The commands of the laptop cloud, which `desireline` finds by entry points."""
