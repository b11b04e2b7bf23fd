"""What the messages look like, as data: descriptors, the files they are read from, and what is generated from them.

`data/` holds one JSON file per message; `python -m protocol.schema.generate` turns them into `protocol/messages/`,
where every class carries its own descriptors. Nothing here reads a file at run time.
"""
