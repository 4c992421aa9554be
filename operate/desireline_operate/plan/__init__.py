"""The tracking plan as a document that people edit: check it, compare it, release it."""
