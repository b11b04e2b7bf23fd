"""Measure side by side.

    python -m bench run S1 S3 S4 --rounds 5            full sizes, five rounds after one warm-up
    python -m bench run --quick                        every scenario, small: is the bench itself in order?
    python -m bench run S1 --targets logd,null,floor   some of the targets
    python -m bench report                             docs/BENCHMARKS.md from the newest results

bench/README.md says what each scenario is and how to read its figures.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from bench import report, results
from bench.page_cache import PageCache, gives_memory_back
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Options
from bench.targets import Targets


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure and save")
    run.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all if none"
    )
    run.add_argument("--rounds", type=int, default=5, help="measured rounds, after one that is thrown away")
    run.add_argument("--quick", action="store_true", help="small sizes: figures are not for publication")
    run.add_argument("--targets", default="", help="comma separated; all of the scenario if not given")
    run.add_argument("--directory", help="where brokers keep their data; a temporary directory if not given")
    run.add_argument("--logd-command", default=f"{sys.executable} -m logd", help="how to start logd")
    run.add_argument(
        "--logd-property", action="append", default=[], metavar="NAME=VALUE", help="as for logd serve -X"
    )
    run.add_argument(
        "--cold-memory", action="store_true", help="do not fill the page cache, see bench/page_cache.py"
    )
    commands.add_parser("report", help="write docs/BENCHMARKS.md and its chart")
    options = parser.parse_args()
    if options.command == "report":
        for path in report.write():
            print(path)
        return 0
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return _run(options)


def _run(arguments: argparse.Namespace) -> int:
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.directory))
    options = Options(
        rounds=arguments.rounds,
        quick=arguments.quick,
        only=frozenset(filter(None, arguments.targets.split(","))),
        directory=directory,
        logd_command=shlex.split(arguments.logd_command),
    )
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"note: the load average is {load:.1f}; other work on the machine spoils the figures")
    filled = gives_memory_back() and not arguments.cold_memory
    page_cache = PageCache(directory) if filled else None
    properties = dict(pair.split("=", 1) for pair in arguments.logd_property)
    targets = Targets(directory, options.logd_command, properties)
    try:
        for name in arguments.scenarios or SCENARIOS:
            scenario = SCENARIOS[name](options, targets, page_cache)
            print(f"{name}: {scenario.title}", flush=True)
            machine = results.machine()
            samples = scenario.run()
            settings = {**scenario.settings(), "rounds": options.rounds, "quick": options.quick}
            settings |= {"page_cache_filled": filled, "logd_properties": properties}
            path = results.save(name, machine, settings, samples)
            print(report.table(results.load(path)))
            print(f"saved {path}", flush=True)
    finally:
        if page_cache is not None:
            page_cache.close()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
