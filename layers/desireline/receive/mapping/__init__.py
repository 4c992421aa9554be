"""Turn what a sender reports into canonical events, by the tracking plan."""
