"""Identity: read persons and subjects, and the aliases that name them."""
