"""Render the generated pages of docs/ from the code and the plan: `make docs`."""
