"""History import: past events from files to events.received, each counted once.

`files` recognises a file's format, `chunks` cuts it at the ends of records, `rows` parses a chunk.
`formats` turns a row into a report, `worker` maps and produces, `journal` records finished chunks.
`import_file` runs these steps for one file.
"""
