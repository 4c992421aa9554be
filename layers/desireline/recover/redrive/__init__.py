"""Redrive: process dead letters again, so that each event counts exactly once (delivery rule 17).

`dead_letters` splits the objects of the on-failure bucket into records, `selection` decides what
happens to each, `redrive` does it and `follow_up` waits for the results.
"""
