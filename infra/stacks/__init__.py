"""One stack for each stage of the pipeline, and two that the local cloud replaces."""
