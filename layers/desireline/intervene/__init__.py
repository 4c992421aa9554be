"""Intervene: enrol subjects in playbooks, check them at due times, and deliver messages.

playbook:            models of playbooks, and the rules of their schedule
start_interventions: turns a trigger into an enrolment
check_playbook:      decides one step: branch, gate, claims, ledger
gate:                refuses actions that must not be sent
deliver_action:      turns a claim into at most one call to a provider
"""
