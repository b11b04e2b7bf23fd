"""Compaction of a log: which records go, and new segments without them.

`cleaner.py` reads a log's inactive segments and writes new ones beside them; it may run in another process. `swap.py`
puts those in the place of the old ones, on the thread that owns the log. `dirtiness.py` says which log is worth it.
"""
