"""What `logd serve` says once the broker answers.

One line a script can wait for, with `bootstrap.servers=HOST:PORT` in it; then where the data is and what an
acknowledgement promises. Durability is never lowered silently: whatever is in force is printed at every start.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from logd import __version__
from logd.config import BrokerConfig
from logd.console import say


def announce_ready(
    config: BrokerConfig, endpoints: Sequence[tuple[str, str, int]], *, started: float
) -> None:
    """`endpoints`: (listener name, advertised host, advertised port), in the order of `listeners`.

    `started`: time.perf_counter() when the process began.
    """
    elapsed = time.perf_counter() - started
    name, host, port = endpoints[0]
    say(f"logd {__version__} ready in {elapsed:.3f} s: bootstrap.servers={format_address(host, port)}")
    for name, host, port in endpoints[1:]:
        say(f"listener {name}: {format_address(host, port)}")
    say(f"node.id={config.node_id} log.dirs={','.join(config.log_dirs)}")
    say(f"durability: {config.durability()}")


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
