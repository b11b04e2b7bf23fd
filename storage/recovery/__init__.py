"""Opening a log: what a clean stop vouches for is believed, what a crash may have left is checked and repaired.

`loader.py` says in which order; the others are its steps, and what it reports.
"""
