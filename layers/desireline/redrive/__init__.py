"""Redrive: what a mapping gave up on goes its way again, exactly once counted (delivery rule 17).

`letters` splits the objects of the on-failure bucket into records, `plan` decides what becomes of
each, `use_case` does it.
"""
