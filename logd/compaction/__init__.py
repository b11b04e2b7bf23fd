"""Compaction as the node does it: which log is next, and a pass over it.

What stays and what goes is decided in `storage/cleaning/`.
"""
