"""Models of playbooks: triggers, conditions, durations, schedule and texts."""
