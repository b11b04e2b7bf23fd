"""Measure side by side.

    python -m bench                                    everything at full size: five rounds after one warm-up
    python -m bench --quick                            in three minutes, small: is the bench itself in order?
    python -m bench run S1 S3 S4 --rounds 5            some scenarios
    python -m bench run S1 --targets logd,null,floor   some of the targets
    python -m bench report                             docs/BENCHMARKS.md and its plots from the newest results

bench/README.md says what each scenario is and how to read its figures.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import results
from bench.page import publication, report
from bench.page_cache import PageCache, gives_memory_back
from bench.progress_bar import ProgressBar
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Options, Scenario
from bench.targets.registry import Targets, missing

_COMMANDS = ("run", "report")
_ROUNDS = 5
_QUICK_ROUNDS = 1
_LOGD = f"{sys.executable} -m logd"


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    helps = ("-h", "--help")
    named = arguments[:1] and arguments[0] in (*_COMMANDS, *helps)
    options = parser.parse_args(arguments if named else ["run", *arguments])
    if options.command == "report":
        return _report(options.files)
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    options.scenarios = list(dict.fromkeys(options.scenarios))
    targets = dict.fromkeys(target for each in SCENARIOS.values() for target in each.targets)
    if absent := set(_only(options)) - targets.keys():
        parser.error(f"no target {', '.join(sorted(absent))}; there are {', '.join(targets)}")
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure and save; what is done when no command is given")
    run.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all if none"
    )
    run.add_argument(
        "--rounds", type=int, help="measured rounds, after one that is thrown away; default 5, with --quick 1"
    )
    run.add_argument("--quick", action="store_true", help="small sizes: figures are not for publication")
    run.add_argument("--targets", default="", help="comma separated; all of the scenario if not given")
    run.add_argument("--directory", help="where brokers keep their data; a temporary directory if not given")
    run.add_argument("--logd-command", default=_LOGD, help="how to start logd; not for publication")
    run.add_argument(
        "--logd-property",
        action="append",
        type=_property,
        default=[],
        metavar="NAME=VALUE",
        help="as for logd serve -X; not for publication",
    )
    run.add_argument(
        "--cold-memory", action="store_true", help="do not fill the page cache, see bench/page_cache.py"
    )
    written = commands.add_parser(
        "report", help="write docs/BENCHMARKS.md and its plots from complete results"
    )
    written.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="results to take as well, whatever they lack"
    )
    return parser


def _property(pair: str) -> tuple[str, str]:
    name, separator, value = pair.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {pair}")
    return name, value


def _only(arguments: argparse.Namespace) -> frozenset[str]:
    return frozenset(filter(None, arguments.targets.split(",")))


def _report(named: Sequence[Path]) -> int:
    chosen = publication.choose(named)
    for path, why in chosen.left_out.items():
        print(f"left out {path.name}: {why}")
    for path in report.publish(chosen):
        print(path)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.directory))
    options = Options(
        rounds=arguments.rounds or (_QUICK_ROUNDS if arguments.quick else _ROUNDS),
        quick=arguments.quick,
        only=_only(arguments),
        directory=directory,
        logd_command=shlex.split(arguments.logd_command),
    )
    chosen = _chosen(arguments.scenarios, options)
    progress = ProgressBar(sum(scenario.steps(options) for scenario in chosen))
    _say_what_is_missing(progress, arguments.scenarios, chosen, options)
    page_cache = PageCache(directory) if gives_memory_back() and not arguments.cold_memory else None
    properties = dict(arguments.logd_property)
    circumstances = _circumstances(arguments, page_cache is not None)
    targets = Targets(directory, options.logd_command, properties, shared=options.quick)
    found = {}
    try:
        for each in chosen:
            done = progress.done
            scenario = each(options, targets, page_cache, progress)
            try:
                found[each.name] = _measure(scenario, progress, circumstances)
            except Exception as error:  # the others have taken hours, or will
                progress.say(f"{each.name} failed: {type(error).__name__}: {error}")
            progress.reach(done + each.steps(options))
    finally:
        progress.close()
        targets.close()
        if page_cache is not None:
            page_cache.close()
        shutil.rmtree(directory, ignore_errors=True)
    for path in report.write(results.DIRECTORY, found) if found else ():
        print(path)
    return 0 if len(found) == len(chosen) else 1


def _circumstances(arguments: argparse.Namespace, page_cache_filled: bool) -> dict[str, object]:
    """What beside its sizes a figure depends on."""
    return {
        "page_cache_filled": page_cache_filled,
        "logd_properties": dict(arguments.logd_property),
        **({"logd_command": arguments.logd_command} if arguments.logd_command != _LOGD else {}),
        **({"cold_memory": True} if arguments.cold_memory else {}),
    }


def _measure(
    scenario: Scenario, progress: ProgressBar, circumstances: Mapping[str, object]
) -> results.Result:
    options = scenario.options
    progress.say(f"{scenario.name}: {scenario.title}")
    machine = results.machine()
    samples = scenario.run()
    if scenario.other_cores:
        machine["other_cores"] = round(median(scenario.other_cores), 2)
    settings = {**scenario.settings(), "rounds": options.rounds, "quick": options.quick}
    settings |= circumstances
    if scenario.left_out:
        settings["left_out"] = scenario.left_out
    path = results.save(scenario.name, machine, settings, samples, scenario.promises)
    result = results.load(path)
    progress.say(report.table(result))
    progress.say(f"saved {path}")
    return result


def _chosen(names: Sequence[str], options: Options) -> list[type[Scenario]]:
    """Those named, or all that fit; without those that cannot be measured here."""
    wanted = [SCENARIOS[name] for name in names or SCENARIOS]
    if options.quick and not names:
        wanted = [each for each in wanted if each.is_quick]
    return [each for each in wanted if each.missing() is None and each.names(options)]


def _say_what_is_missing(
    progress: ProgressBar, names: Sequence[str], chosen: Sequence[type[Scenario]], options: Options
) -> None:
    load = os.getloadavg()[0]
    if load > 0.5:
        progress.say(f"note: the load average is {load:.1f}; other work on the machine spoils the figures")
    wanted = [SCENARIOS[name] for name in names or SCENARIOS]
    for target in dict.fromkeys(target for each in wanted for target in each.targets):
        if (reason := missing(target)) and (not options.only or target in options.only):
            progress.say(f"without {target}: {reason}")
    for each in wanted:
        if each not in chosen:
            reason = each.missing() or ("too long for --quick" if options.quick else "none of its targets")
            progress.say(f"without {each.name}: {reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
