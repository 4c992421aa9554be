"""What a deployment costs: list prices, and the bill of what a run was counted to do."""
