"""What all tests share: a broker to talk to, and the rule that a required toolchain is never skipped.

`LOGD_REQUIRE` (set by .ci/run) names toolchains such as `java,go,node`: a skipped test that carries such a mark fails.
At the end passed, failed and skipped are printed for each client that took part, and what Kafka's dump tool has read.
"""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import written as written_files
from tests.support.broker import LogdBroker
from tests.support.written import written

__all__ = ["written"]  # a fixture for all tests

CLIENT_TOOLCHAINS = ("java", "go", "node")
TOOLCHAINS = (*CLIENT_TOOLCHAINS, "compiler", "mount", "quix", "services")
# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("logd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("logd")
REQUIRED = frozenset(filter(None, os.environ.get("LOGD_REQUIRE", "").split(",")))
# A shell's background job is born with Ctrl-C ignored; so would be all processes that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`: two for each CPU, for half of the tests' time is spent waiting for processes and timers."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture
def broker(tmp_path: Path, written: list[Path]) -> Iterator[LogdBroker]:
    """A fresh broker with default settings, stopped in an orderly way at the end; then its files are checked."""
    with LogdBroker(tmp_path / "broker") as running:
        yield running
    written.append(running.data_dir)


def pytest_configure(config: pytest.Config) -> None:
    unknown = REQUIRED - set(TOOLCHAINS)
    if unknown:
        raise pytest.UsageError(
            f"LOGD_REQUIRE names {', '.join(sorted(unknown))}: only {', '.join(TOOLCHAINS)}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        client = _client_of(item)
        if client:
            item.user_properties.append(("client", client))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    missing = [name for name in TOOLCHAINS if name in REQUIRED and item.get_closest_marker(name)]
    if report.skipped and missing and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although LOGD_REQUIRE names {missing[0]}: {report.longrepr}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    written_files.send_to_controller(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    written_files.receive_from_worker(node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    dumped = written_files.summary()
    if dumped is not None:
        terminalreporter.write_line(dumped)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            client = dict(getattr(report, "user_properties", ())).get("client")
            if client is not None:
                counts[str(client)][outcome] += 1
    if not counts:
        return
    terminalreporter.section("clients")
    terminalreporter.write_line(f"{'client':<24}{'passed':>8}{'failed':>8}{'skipped':>8}")
    for client, outcomes in sorted(counts.items()):
        failed = outcomes["failed"] + outcomes["error"]
        terminalreporter.write_line(f"{client:<24}{outcomes['passed']:>8}{failed:>8}{outcomes['skipped']:>8}")


def _client_of(item: pytest.Item) -> str:
    """The client whose name parametrises the test, else the toolchain of a client that it is marked with."""
    parameters = getattr(item, "callspec", None)
    chosen = parameters.params.get("client") if parameters is not None else None
    if isinstance(chosen, str):
        return chosen
    return next((name for name in CLIENT_TOOLCHAINS if item.get_closest_marker(name)), "")
