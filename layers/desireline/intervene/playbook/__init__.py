"""What a playbook is, as data: triggers, conditions, durations, schedule, texts."""
