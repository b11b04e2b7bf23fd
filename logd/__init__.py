"""logd: a Kafka-compatible log server.

Importing this package changes nothing in the process: only `python -m logd` makes the broker's own packages importable.
"""

__version__ = "0.1.0"
