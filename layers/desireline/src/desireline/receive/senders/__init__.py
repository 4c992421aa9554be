"""One module a sender: how it signs, and where in its messages things are."""
