"""What a round cost the process of a target, setting up included: on the record for every target and round."""

from __future__ import annotations

from collections.abc import Mapping

from bench.metric import Metric, Metrics
from bench.usage import Usage, memory_mb, usage

COST: Mapping[str, Metric] = {
    "round_cpu_s": Metric("CPU", "s", 2, ()),
    "round_switches": Metric("context switches", "thousands", 1, ()),
    "round_waited_s": Metric("waited for a core", "s", 2, ()),
    "round_written_mb": Metric("written to files", "MB", 0, ()),
    "round_read_mb": Metric("read from disk", "MB", 0, ()),
    "round_rss_mb": Metric("resident afterwards", "MB", 0, ()),
}


def cost_since(pid: int, before: Usage) -> Metrics:
    """What a process and its children have used since `before`, and what the process has in memory now."""
    used = usage(pid).since(before)
    return {
        "round_cpu_s": used.cpu_s,
        "round_switches": used.context_switches / 1000,
        "round_waited_s": used.waited_s,
        "round_written_mb": used.written_bytes / 1e6,
        "round_read_mb": used.read_bytes / 1e6,
        "round_rss_mb": memory_mb(pid)["rss_mb"],
    }
