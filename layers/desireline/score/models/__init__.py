"""Load packaged models, evaluate them, and explain their results."""
