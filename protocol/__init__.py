"""Bytes to typed values and back: the wire protocol, the record format, the words every package shares.

Pure: no IO, no clock, no event loop, no logging. Nothing here knows of a socket, a file or a partition.
"""
