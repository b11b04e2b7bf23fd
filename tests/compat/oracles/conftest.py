"""Prints, at the end of a run, which oracle has checked which version of which API."""

from __future__ import annotations

from collections import defaultdict

import pytest

from protocol.api import APIS

_checked: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
"""By message and oracle: the versions that passed. Filled from reports, which reach the main process from others."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "oracle" and isinstance(value, list):
                oracle, message, version = value
                _checked[message][oracle].add(version)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _checked:
        return
    oracles = sorted({oracle for by_oracle in _checked.values() for oracle in by_oracle})
    terminalreporter.section("codec oracles: versions checked, both ways")
    terminalreporter.write_line(
        f"{'message':30} {'served':8} " + " ".join(f"{oracle:>14}" for oracle in oracles) + "   none"
    )
    for spec in APIS.values():
        for kind in ("Request", "Response"):
            name = spec.name + kind
            versions = set(range(spec.min_version, spec.max_version + 1))
            cells = [_ranges(_checked[name][oracle]) for oracle in oracles]
            missing = _ranges(versions.difference(*_checked[name].values()))
            terminalreporter.write_line(
                f"{name:30} {_ranges(versions):8} "
                + " ".join(f"{cell:>14}" for cell in cells)
                + f"   {missing}"
            )


def _ranges(versions: set[int]) -> str:
    """Return versions as "3-9,11"; "-" for none."""
    runs: list[list[int]] = []
    for version in sorted(versions):
        if runs and version == runs[-1][1] + 1:
            runs[-1][1] = version
        else:
            runs.append([version, version])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs) or "-"
