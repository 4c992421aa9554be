"""Watch: the alarms and the dashboard of a deployment, as one tested list each."""
