"""Redrive: process dead letters again, so that each event counts exactly once (delivery rule 17).

`dead_letters` splits the objects of the on-failure bucket into records. `selection` decides the
fate of each record. `redrive` sends the selected records, and `follow_up` waits for the results.
"""
