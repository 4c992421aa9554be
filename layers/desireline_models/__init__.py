"""The packaged models: one folder each, with arrays, manifest and golden rows."""
