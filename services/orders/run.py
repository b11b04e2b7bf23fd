"""Everything at once, for a look: a broker, topics, customers, stock, all services, shoppers, and the live grid.

    python -m services.orders.run --broker 'logd serve'                a fresh broker, gone with its data at the end
    python -m services.orders.run --bootstrap HOST:PORT                a broker that is there, topics and all

Ctrl-C stops it all in an orderly way, at any time, and so does a terminal that is closed; what does not end within
some seconds is killed. --rate says how many orders a second, --directory where logs and state stay.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from confluent_kafka import KafkaException

from services.orders import create_topics, demo, feeds
from services.orders.customer_register import Stale
from services.orders.grid import Grid
from services.orders.settings import Settings
from services.orders.supervisor import NotReady, Supervisor
from services.runtime import logs
from services.runtime.clients import error_of
from services.runtime.settings import load

_READY = re.compile(r"bootstrap\.servers=(\S+)")
_BROKER_LOG = "broker.log"
_INSTANCES = 3
_FIRST_PORT = 8081
_RATE_MOST = 1000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_START_S = 30
_STOP_S = 20

T = TypeVar("T")


class Failed(Exception):
    """Says what did not start, or ended by itself."""


class Stopped(Exception):
    """By a signal, before all was started."""


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    logs.set_up("ERROR", service="run")
    stop = _stop_on_signals()
    directory = Path(options.directory or tempfile.mkdtemp(prefix="orders-")).resolve()
    broker = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        bootstrap = options.bootstrap
        if not bootstrap:
            broker, bootstrap = _start_broker(options.broker, directory, stop)
            Thread(target=_stop_with, args=(broker, stop), name="broker", daemon=True).start()
        try:
            _run(bootstrap, directory, options.rate, stop)
        finally:
            _check(broker, directory)
        return 0
    except Stopped:
        return 0
    except (Failed, NotReady, KafkaException, OSError) as error:
        _say(f"failed: {error}")
        return 1
    finally:
        if broker is not None:
            _stop_broker(broker)
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)
        for number in _SIGNALS:  # there is nothing left to stop, and the exit code is decided
            signal.signal(number, signal.SIG_IGN)


def _run(bootstrap: str, directory: Path, rate: float, stop: Event) -> None:
    started = time.monotonic()
    settings = load(Settings, [f"bootstrap={bootstrap}"])
    created = _unless_stopped(lambda: _create_topics(settings), stop)
    _say(f"broker at {bootstrap}, {len(created)} topics created; logs in {directory / 'logs'}")
    _unless_stopped(lambda: _feed(settings), stop)
    with Supervisor(directory, {"bootstrap": bootstrap}) as supervisor:
        supervisor.start_all(_INSTANCES, first_port=_FIRST_PORT)
        urls: list[str] = []
        while len(urls) < _INSTANCES and not stop.is_set():
            urls.append(_url(supervisor, str(len(urls) + 1), stop))
        if stop.is_set():
            return
        supervisor.start("customers")
        supervisor.start("traffic", url=",".join(urls), rate=str(rate))
        title = f"API {urls[0]}  its documentation {urls[0]}/docs  broker {bootstrap}  Ctrl-C stops all"
        _say(f"{title}\nservices started in {time.monotonic() - started:.1f} s")
        Grid(settings, title).run(stop)
        _say("stopping")


def _create_topics(settings: Settings) -> list[str]:
    try:
        return create_topics.create(settings)
    except KafkaException as error:
        raise Failed(f"topics on the broker at {settings.bootstrap}: {error_of(error).str()}") from error


def _feed(settings: Settings) -> None:
    """Again at each start: the last one may have ended before. Deliveries count once, customers that are there stay."""
    with contextlib.suppress(Stale):
        feeds.feed_customers(settings, demo.customers())
    feeds.feed_goods(settings, demo.first_deliveries())


def _unless_stopped(work: Callable[[], T], stop: Event) -> T:
    """What the work comes to. It waits for a broker, and cannot be interrupted: when `stop` is set nobody waits for it,
    and the process may end. Raises Stopped, and what the work raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, name="start", daemon=True).start()
    while not wait([outcome], 0.1).done:
        if stop.is_set():
            raise Stopped
    return outcome.result()


def _url(supervisor: Supervisor, instance: str, stop: Event) -> str:
    """Where it listens; nothing when `stop` is set before it does. Raises NotReady."""
    deadline = time.monotonic() + _START_S
    while not stop.is_set():
        try:
            return supervisor.url("orders", instance, 0.2)
        except NotReady:
            if time.monotonic() > deadline:
                raise
    return ""


def _stop_on_signals() -> Event:
    """Set by SIGINT, SIGTERM, and SIGHUP unless that is ignored (nohup). More of them change nothing: what was started
    has to be stopped by somebody.
    """
    stop = Event()
    for number in _SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _stop_with(broker: subprocess.Popen[str], stop: Event) -> None:
    """Without its broker there is nothing to be seen."""
    broker.wait()
    stop.set()


def _check(broker: subprocess.Popen[str] | None, directory: Path) -> None:
    """Raises Failed when the broker has ended, which nobody has asked it to."""
    if broker is not None and broker.poll() is not None:
        raise Failed(f"the broker ended\n{_end_of(directory / _BROKER_LOG)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _stop_broker(broker: subprocess.Popen[str]) -> None:
    broker.terminate()
    try:
        broker.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        broker.kill()
        broker.wait()


def _start_broker(command: list[str], directory: Path, stop: Event) -> tuple[subprocess.Popen[str], str]:
    """In a session of its own, so that Ctrl-C reaches this program alone. Raises Failed, Stopped."""
    output = directory / _BROKER_LOG
    words = [*command, "--data-dir", str(directory / "broker"), "--port", "0"]
    with output.open("w") as log:
        broker = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True, start_new_session=True
        )
    deadline = time.monotonic() + 20
    while True:
        ready = _READY.search(output.read_text())
        if ready:
            return broker, ready.group(1)
        if stop.is_set():
            _stop_broker(broker)
            raise Stopped
        if broker.poll() is not None or time.monotonic() > deadline:
            broker.kill()
            broker.wait()
            raise Failed(f"the broker did not start\n{_end_of(output)}")
        time.sleep(0.02)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="services.orders.run", description=(__doc__ or "").split("\n", 1)[0]
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--broker", type=_command, help="command that starts a broker; it is given --data-dir and --port"
    )
    where.add_argument("--bootstrap", type=_address, metavar="HOST:PORT", help="a broker that runs")
    parser.add_argument("--rate", type=_rate, default=5, help="orders a second, default 5")
    parser.add_argument("--directory", help="keep logs and state there")
    return parser.parse_args(arguments)


def _command(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a command: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("a command is needed")
    return words


def _address(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("an address is needed")
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < rate <= _RATE_MOST:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {_RATE_MOST}")
    return rate


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
