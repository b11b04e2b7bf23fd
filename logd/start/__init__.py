"""The start of a node: what it takes over, what it says of what it found on disk, and why it does not start.

The order of a start is in `logd/broker.py`; directories and logs are opened by `storage/directories/` and
`storage/recovery/`.
"""
