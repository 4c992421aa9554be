"""Intervene: enrol subjects in playbooks, check at due times, decide at the gate, deliver.

playbook:            what a playbook is, as data
start_interventions: a trigger becomes an enrolment
check_playbook:      one checkpoint: branch, gate, claims, ledger
gate:                why a message is not sent
deliver_action:      a claim becomes at most one call to a provider
"""
