"""History import: months of past events out of files, into events.received, once each.

`files` says what a file is, `chunks` cuts it at the ends of records, `rows` reads a chunk,
`sources` say how a row becomes a report, `worker` maps and produces, `journal` remembers what is
done, and `use_case` brings them together.
"""
