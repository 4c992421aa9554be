"""The cost of a deployment: list prices, and the bill for the counted usage of a run."""
