"""The tracking plan as a document that people keep: rendered, checked, compared, released."""
