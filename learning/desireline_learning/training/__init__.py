"""Train a model on history: replay, fit, test, export."""
