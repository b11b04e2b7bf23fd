"""A metadata store on any file system, for tests: opens it, submits commands, closes or abandons it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from logd.config.broker_config import load_config
from logd.config.rules import PropertyRules
from logd.metadata.log import MetadataLog, Shell
from logd.metadata.recovery import recover_metadata
from replication.controller import Controller
from replication.metadata_commands import RegisterBroker
from storage.fs import FileSystem
from tests.support.metadata_world import CountingEntropy, registration

T = TypeVar("T")

NODE_ID = 1

_DEFAULTS = load_config()
DEFAULT_RULES = PropertyRules(lambda: _DEFAULTS)
"""What a broker that sets nothing allows."""


class SeededEntropy(CountingEntropy):
    """Ids that no other instance of another seed gives."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def uuid(self) -> bytes:
        self.drawn += 1
        return self._seed.to_bytes(6, "big") + b"\0\0\0\0" + self.drawn.to_bytes(6, "big")


class Clock:
    """Time that a test moves."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


async def run_inline(work: Callable[[], T]) -> T:
    """Stand in for the pool: let others run, do the work, let others run."""
    await asyncio.sleep(0)
    result = work()
    await asyncio.sleep(0)
    return result


def open_store(
    fs: FileSystem,
    data_dir: str = "/data",
    *,
    clean: bool = False,
    seed: int | SeededEntropy = 0,
    clock: Clock | None = None,
    run_blocking: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]] = run_inline,
    failures: list[Exception] | None = None,
    snapshot_after_bytes: int = 20 << 20,
) -> MetadataLog:
    """Recover the store in `data_dir`; no broker is registered in this incarnation yet."""
    clock = clock or Clock()
    fs.makedirs(data_dir)
    recovered = recover_metadata(fs, data_dir, node_id=NODE_ID, clean=clean, now_ms=clock())
    controller = Controller(recovered.image, partitions=1, replication_factor=1, rules=DEFAULT_RULES)
    shell = Shell(
        run_blocking=run_blocking,
        now_ms=clock,
        entropy=SeededEntropy(seed) if isinstance(seed, int) else seed,
        on_failure=(failures if failures is not None else []).append,
    )
    return MetadataLog(fs, recovered, controller, shell, snapshot_after_bytes=snapshot_after_bytes)


async def start_store(fs: FileSystem, data_dir: str = "/data", **options: Any) -> MetadataLog:
    """Open the store and register its broker, as a start does."""
    store = open_store(fs, data_dir, **options)
    await store.submit(RegisterBroker(registration(NODE_ID)))
    return store
