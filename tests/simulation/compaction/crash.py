"""Cleaning a log on a file system that may lose power after any operation, and again while that is being recovered."""

from __future__ import annotations

import random
from dataclasses import dataclass

from protocol.compression import Codec
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Loss, Operation
from tests.support.compaction import CONFIG, CompactedWorld, check, clean_once, reopened
from tests.support.logs import NOW_MS, flush

PRODUCERS = 3
_KEYS: list[bytes | None] = [bytes((letter,)) for letter in b"abcdefghijkl"]
_VALUES = [None, b"v", b"w" * 60, b"x" * 130]


class CrashFound(AssertionError):
    """A crash after which something did not hold; the message says where."""


@dataclass(slots=True)
class Outcome:
    """How much was looked at."""

    crashes: int = 0
    swaps: int = 0


def crash_everywhere(seed: int) -> Outcome:
    """Fills a log, cleans it twice with more written in between, and loses power after each operation of both passes.

    What each crash leaves is opened, compared with what was written, cleaned once more, and compared again; and opened
    when the recovery itself was interrupted at some point.
    Raises: CrashFound.
    """
    choose = random.Random(seed)
    fs = FaultyFileSystem(seed, NOW_MS)
    world = CompactedWorld(fs)
    for directory in ("/", "/data"):
        fs.sync_dir(directory)
    outcome = Outcome()

    def crash(operation: Operation) -> None:
        outcome.swaps += operation.path.endswith(".log.swap")
        for loss in POWER_LOSSES:
            outcome.crashes += 1
            _check_crash(world, fs, choose, operation, loss)

    for memory_bytes, segment_bytes in ((310, CONFIG.segment_bytes), (1 << 20, 3 * CONFIG.segment_bytes)):
        world.configure(segment_bytes)  # the larger one lets neighbours become one
        fill(world, choose)
        flush(world.log)
        world.now_ms += 700
        fs.after = crash
        world.clean(memory_bytes=memory_bytes)
        world.remove_replaced()
        fs.after = None
    return outcome


def fill(world: CompactedWorld, choose: random.Random) -> None:
    """Writes some batches of everything that a log may hold, ends all transactions, and rolls."""
    for _ in range(14):
        producer = choose.randint(-1, PRODUCERS - 1)
        items = [(choose.choice(_KEYS), choose.choice(_VALUES)) for _ in range(choose.randint(1, 4))]
        transactional = producer in world.open_transactions or choose.random() < 0.4
        codec = choose.choice([Codec.NONE, Codec.NONE, Codec.LZ4])
        world.write(items, producer_id=producer, transactional=transactional, codec=codec)
        if choose.random() < 0.3 and producer in world.sequences:
            world.end(producer, committed=choose.random() < 0.5)
    for producer in list(world.open_transactions):
        world.end(producer, committed=choose.random() < 0.5)
    world.roll()


def _check_crash(
    world: CompactedWorld, fs: FaultyFileSystem, choose: random.Random, operation: Operation, loss: Loss
) -> None:
    left = fs.crash(loss)
    again: list[FaultyFileSystem] = []
    left.after = lambda _: again.append(left.crash(Loss.SUBSET))
    try:
        log = reopened(left, world)
        left.after = None
        check(world, log)
        cleaned_to, removals = clean_once(left, log, None, log.log_end_offset, world.now_ms)
        for removal in removals:
            removal.run()
        check(world, log, cleaned_to=cleaned_to)
        if again:
            check(world, reopened(choose.choice(again), world))
    except Exception as error:
        raise CrashFound(
            f"{type(error).__name__}: {error}, seed {fs.seed}, operation {operation}, loss {loss.value}"
        ) from error
