"""Configuration of the broker and its topics, by Kafka's property names.

The table is broker_keys.py, other_keys.py and topic_keys.py; sources.py reads what the user set, broker_config.py
makes typed values of it. `docs/config.md` is written from the table by `python -m logd.config_help`.
"""

from logd.config.broker_config import BrokerConfig, load_config
from logd.config.key import ConfigKey, ConfigValueError
from logd.config.listeners import Listener
from logd.config.topic_configs import log_config_for, parse_topic_configs
from logd.errors import ConfigError

__all__ = [
    "BrokerConfig",
    "ConfigError",
    "ConfigKey",
    "ConfigValueError",
    "Listener",
    "load_config",
    "log_config_for",
    "parse_topic_configs",
]
