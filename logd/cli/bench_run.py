"""One run of `logd bench`: a topic before and none after, progress, Ctrl-C, and failures as one line."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from logd.cli import output
from logd.cli.bench_topic import Place, delete_topic, open_topic
from logd.cli.connection import explain
from logd.cli.errors import CommandError
from logd.console import warn
from logd.load.failures import LoadFailed
from logd.load.process_cost import cpu_seconds
from logd.load.run import Figures, Run
from protocol.errors import BrokerError

INTERRUPTED = 130


@contextmanager
def topic_for(options: argparse.Namespace, *, partitions: int) -> Iterator[Place]:
    """--topic, or one that is deleted afterwards, whatever comes in between. Raises: CommandError."""
    place = open_topic(options, partitions=partitions)
    try:
        yield place
    except BaseException:
        if options.topic is None:
            _delete_after_failure(options, place.topic)
        raise
    if options.topic is None:
        delete_topic(options, place.topic)


def measure(options: argparse.Namespace, run: Run) -> Figures:
    """Let it run as `options` say; Ctrl-C ends it early with what there is. Raises: CommandError."""
    progress = output.Progress()
    with _told_as_one_line(run), _stopped_by_signal(run):
        try:
            return run.go(
                options.duration, warm_up_s=options.warm_up, progress=partial(_show, progress, options)
            )
        finally:
            progress.clear()


def fill(run: Run, payload_bytes: int) -> None:
    """Let it run until its pace has nothing more. Raises: CommandError; KeyboardInterrupt."""
    progress = output.Progress()

    def show(run: Run) -> None:
        if progress.is_due:
            done = run.figures().payload_bytes / payload_bytes
            progress.show(f"filling the topic: {done:.0%}")

    with _told_as_one_line(run):
        try:
            run.go(None, progress=show)
        finally:
            progress.clear()


def cpu_of(options: argparse.Namespace) -> Callable[[], float] | None:
    """What tells the broker's CPU time, None without --broker-pid."""
    pid: int | None = options.broker_pid
    if pid is None:
        return None

    def seconds() -> float:
        try:
            return cpu_seconds(pid)
        except OSError:
            raise LoadFailed(f"the process {pid} of --broker-pid has ended") from None

    return seconds


def told(error: BrokerError | LoadFailed) -> CommandError:
    return CommandError(explain(error) if isinstance(error, BrokerError) else str(error))


@contextmanager
def _told_as_one_line(run: Run) -> Iterator[None]:
    try:
        yield
    except (BrokerError, LoadFailed) as error:
        raise told(error) from None
    finally:
        run.close()


@contextmanager
def _stopped_by_signal(run: Run) -> Iterator[None]:
    """The first Ctrl-C ends the run in an orderly way, the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        run.stopped = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _show(progress: output.Progress, options: argparse.Namespace, run: Run) -> None:
    if not progress.is_due:
        return
    if run.is_warming_up:
        progress.show("warming up")
        return
    figures = run.figures()
    progress.show(
        f"{figures.seconds:.0f} of {options.duration:g} s: {figures.records / figures.seconds:,.0f} records/s, "
        f"{figures.payload_bytes / figures.seconds / 1e6:,.1f} MB/s, "
        f"p99 {figures.latency.percentile(99) / 1000:,.0f} µs"
    )


def _delete_after_failure(options: argparse.Namespace, topic: str) -> None:
    """What has gone wrong before is what matters, so this does not fail."""
    try:
        delete_topic(options, topic)
    except CommandError:
        warn(f"topic {topic} is still there; delete it with `logd topic delete {topic}`")
