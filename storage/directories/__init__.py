"""The data directories of one node, and the many logs in them: opened together, failing alone, closed together.

`manager.py` is what a node talks to. A log itself knows nothing of all this: it stands in `storage/log.py` and beside.
"""
