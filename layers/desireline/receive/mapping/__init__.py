"""Map senders' reports to canonical events, by the tracking plan."""
