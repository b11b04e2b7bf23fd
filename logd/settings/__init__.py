"""Settings as clients see and change them while the broker runs: of the node, of topics, of groups, of loggers.

Which properties there are is `logd/config/`; changes are decided in `replication/config_changes.py`.
"""
