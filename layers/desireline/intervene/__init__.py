"""Intervene: enrol subjects in playbooks, check at due times, decide at the gate, deliver.

playbooks, conditions, durations, templates: what a playbook is, as data
start:    StartInterventions, a trigger becomes an enrolment
check:    CheckPlaybook, one checkpoint: branch, gate, claims, ledger
gate:     why a message is not sent
deliver:  DeliverAction, a claim becomes at most one call to a provider
"""
