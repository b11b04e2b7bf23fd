"""Goal: rounds are taken as the module of scenarios says, and every scenario fits into the page and the quick run.

Method: a scenario that measures nothing, on targets that are this process.
"""

from __future__ import annotations

import os
import re
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench import __main__ as command
from bench import results, standstill
from bench.cost import COST
from bench.other_work import OtherWork
from bench.progress_bar import ProgressBar
from bench.scenarios import SCENARIOS, base, latency
from bench.scenarios.base import Metric, Metrics, OneByOne, Options, Scenario
from bench.scenarios.latency import SynchronousProduce
from bench.scenarios.wire_produce import share_of
from bench.targets import registry as targets
from bench.targets.promise import Promise, promise_of
from bench.targets.registry import Running, Targets


class Here:
    """A target that is this process."""

    bootstrap = "127.0.0.1:1"
    pid = os.getpid()

    def __init__(self) -> None:
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1


class HereTargets(Targets):
    def __init__(self, *, shared: bool = False) -> None:
        super().__init__(Path("nowhere"), [], {}, shared=shared)
        self.started: list[Here] = []

    def _start(self, name: str, properties: object) -> Here:
        self.started.append(Here())
        self._directories[self.started[-1]] = Path("nowhere")
        return self.started[-1]

    def promise(self, name: str, target: Running) -> Promise:
        return Promise("none", name)


class Nothing(OneByOne):
    name = "S1"
    title = "nothing"
    targets: ClassVar[tuple[str, ...]] = ("null", "floor", "echo")
    metrics: ClassVar[dict[str, Metric]] = {"cpu_s_per_gb": Metric("CPU", "s", 1)}

    taken: list[tuple[int, str]]

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        self.taken = [*getattr(self, "taken", []), (round_number, name)]
        return {"cpu_s_per_gb": float(round_number)}


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two targets everything is synced: that takes as long as what others have written."""
    monkeypatch.setattr(os, "sync", lambda: None)


def _options(**changes: Any) -> Options:
    return Options(rounds=2, quick=False, only=frozenset(), directory=Path("."), logd_command=[])._replace(
        **changes
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[HereTargets]:
    """Runs of the command measure `Nothing` on this process, with results in `tmp_path`; the targets of each run."""
    of_runs: list[HereTargets] = []

    def targets_of_run(*_arguments: object, shared: bool) -> HereTargets:
        of_runs.append(HereTargets(shared=shared))
        return of_runs[-1]

    monkeypatch.setattr(results, "DIRECTORY", tmp_path)
    monkeypatch.setattr(command, "SCENARIOS", {"S1": Nothing})
    monkeypatch.setattr(command, "Targets", targets_of_run)
    monkeypatch.setattr(command, "gives_memory_back", lambda: False)
    return of_runs


def _scenario(options: Options, where: HereTargets | None = None) -> Nothing:
    return Nothing(options, where or HereTargets(), None, ProgressBar(9, StringIO()))


def test_rounds_change_their_order_and_the_first_is_thrown_away() -> None:
    scenario = _scenario(_options())
    samples = scenario.run()
    assert [name for _, name in scenario.taken] == [
        *("null", "floor", "echo"),
        *("null", "echo", "floor"),
        *("echo", "null", "floor"),
    ]
    assert len(scenario.taken) == scenario.steps(scenario.options)
    assert [sample.round for sample in samples] == [1, 1, 1, 2, 2, 2]
    assert all(COST.keys() < sample.metrics.keys() for sample in samples)
    assert scenario.promises["floor"] == Promise("none", "floor")


def test_what_runs_on_a_jvm_warms_up_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cold(Nothing):
        targets = ("kafka", "null")
        warm_ups = 3

    produced: list[Running] = []
    monkeypatch.setattr(base, "warm_up", produced.append)
    monkeypatch.setattr(base, "missing", lambda name: None)
    where = HereTargets()
    scenario = Cold(_options(rounds=1), where, None, ProgressBar(9, StringIO()))
    samples = scenario.run()
    assert produced == [where.started[0]]
    assert [name for _, name in scenario.taken] == ["kafka", "kafka", "kafka", "null", "null", "kafka"]
    assert len(scenario.taken) == scenario.steps(scenario.options)
    assert [sample.round for sample in samples] == [1, 1]


@pytest.mark.parametrize("fails_in", [None, 1])
def test_a_peer_that_fails_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, fails_in: int | None
) -> None:
    class Failing(Nothing):
        targets = ("tansu", "null")

        def prepare(self, name: str, target: Running) -> None:
            if name == "tansu" and fails_in is None:
                raise RuntimeError("no such option")

        def measure(self, name: str, target: Running, round_number: int) -> Metrics:
            if name == "tansu" and round_number == fails_in:
                raise TimeoutError("no answer")
            return super().measure(name, target, round_number)

    monkeypatch.setattr(base, "missing", lambda name: None)
    said, where = StringIO(), HereTargets()
    scenario = Failing(_options(), where, None, ProgressBar(9, said))
    samples = scenario.run()
    assert [(sample.round, sample.target) for sample in samples] == [(1, "null"), (2, "null")]
    reason = "RuntimeError: no such option" if fails_in is None else "TimeoutError: no answer"
    assert scenario.left_out == {"tansu": reason}
    assert f"without tansu from here on: {reason}" in said.getvalue()
    assert [target.stopped for target in where.started] == [1, 1]


def test_a_round_in_which_the_machine_stood_still_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [0.0]
    monkeypatch.setattr(standstill, "_apart_s", lambda: apart[0])

    class Stopped(Nothing):
        def measure(self, name: str, target: Running, round_number: int) -> Metrics:
            if (round_number, name) in ((1, "floor"), (3, "echo")):
                apart[0] += 60.0
            return super().measure(name, target, round_number)

    said = StringIO()
    scenario = Stopped(_options(rounds=3), HereTargets(), None, ProgressBar(9, said))
    assert [sample.round for sample in scenario.run()] == [2, 2, 2, 4, 4, 4, 5, 5, 5]
    assert len(scenario.other_cores) == 3
    assert said.getvalue().count("stood still for 60.0 s") == 2


def test_so_is_one_of_short_blocks_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    apart, blocks = [0.0], count(1)

    class Probe:
        def __init__(self, name: str, target: Running) -> None:
            pass

        def block(self) -> list[int]:
            if next(blocks) == 6:  # of four in a round
                apart[0] += 60.0
            return [1000]

        def close(self) -> None:
            pass

    monkeypatch.setattr(standstill, "_apart_s", lambda: apart[0])
    monkeypatch.setattr(latency, "_Probe", Probe)
    monkeypatch.setattr(SynchronousProduce, "_warm_up", lambda self: 0)
    monkeypatch.setattr(SynchronousProduce, "_requests", lambda self: 2 * latency.BLOCK)
    options = _options(rounds=2, only=frozenset({"echo", "null"}))
    said = StringIO()
    scenario = SynchronousProduce(options, HereTargets(), None, ProgressBar(9, said))
    assert [(sample.round, sample.target) for sample in scenario.run()] == [
        *((1, "echo"), (1, "null")),
        *((3, "echo"), (3, "null")),
    ]
    assert said.getvalue().count("stood still for 60.0 s") == 1


def test_rounds_are_not_taken_again_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = count()
    monkeypatch.setattr(standstill, "_apart_s", lambda: float(next(apart)))
    assert _scenario(_options(rounds=3)).run() == []


def test_a_quick_run_has_no_round_that_warms_up() -> None:
    scenario = _scenario(_options(rounds=1, quick=True, only=frozenset({"echo"})))
    assert [(sample.round, sample.target) for sample in scenario.run()] == [(1, "echo")]
    assert scenario.steps(scenario.options) == 1


def test_targets_are_stopped_after_a_scenario_or_shared_until_the_end() -> None:
    alone = HereTargets()
    for _ in range(2):
        _scenario(_options(), alone).run()
    assert [target.stopped for target in alone.started] == [1] * 6
    shared = HereTargets(shared=True)
    for _ in range(2):
        _scenario(_options(), shared).run()
    assert [target.stopped for target in shared.started] == [0] * 3
    assert shared.start("null", {"a": "b"}) is not shared.start("null")
    shared.close()
    assert [target.stopped for target in shared.started] == [1] * 4


def test_what_a_target_has_stored_goes_with_it(tmp_path: Path) -> None:
    here = Targets(tmp_path, [], {})
    floor = here.start("floor")
    assert [path.name for path in tmp_path.glob("*/*")] == ["written"]
    here.release(floor)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_scenario_fits_into_the_page(scenario: type[Scenario]) -> None:
    assert re.fullmatch(r"[\w-]+", scenario.name)
    for metric in scenario.metrics.values():
        assert set(metric.against) <= {*scenario.targets, "floor"}
    for name in scenario.targets:
        if name not in targets.OURS:
            assert promise_of(name, None, {}).validation


def test_logd_says_itself_what_it_promises() -> None:
    class Broker:
        def output(self) -> str:
            return "logd 1 ready\ndurability: synced to disk before every acknowledgement\n"

    assert promise_of("logd", Broker(), {}).durability == "synced to disk before every acknowledgement"
    assert promise_of("logd", Broker(), {}).validation.startswith("validation=header")
    assert promise_of("logd-full", Broker(), {}).validation.startswith("validation=full")
    full = {"log.record.validation": "full"}
    assert promise_of("logd", Broker(), full).validation.startswith("validation=full")


def test_connections_share_the_partitions() -> None:
    shares = [share_of(number, 64, 16) for number in range(64)]
    assert [len(share) for share in shares] == [1] * 64
    assert [share[0] for share in shares[14:18]] == [14, 15, 0, 1]
    few = [share_of(number, 8, 1000) for number in range(8)]
    assert sorted(partition for share in few for partition in share) == list(range(1000))


@pytest.mark.usefixtures("here")
def test_a_run_saves_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(OtherWork, "cores", lambda self: 0.75)
    assert command.main(["--quick", "--directory", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "33%  S1" in said and "100%  S1" in said
    assert "null: none; null" in said
    assert "**Not for publication by itself: a quick run, " in (tmp_path / "BENCHMARKS.md").read_text()
    assert (tmp_path / "benchmarks-targets.png").read_bytes().startswith(b"\x89PNG")
    (saved,) = tmp_path.glob("S1-*.json")
    assert results.load(saved).settings["quick"] is True
    assert results.load(saved).machine["other_cores"] == 0.75


def test_a_scenario_that_fails_does_not_take_the_others_along(
    here: list[HereTargets],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing(Nothing):
        name = "S3"

        def prepare(self, name: str, target: Running) -> None:
            raise RuntimeError("no disk")

    monkeypatch.setattr(command, "SCENARIOS", {"S3": Failing, "S1": Nothing})
    assert command.main(["--rounds", "1", "--directory", str(tmp_path)]) == 1
    assert "S3 failed: RuntimeError: no disk" in capsys.readouterr().out
    assert [path.name[:3] for path in tmp_path.glob("*.json")] == ["S1-"]
    (where,) = here
    assert [target.stopped for target in where.started] == [1] * 4


def test_what_cannot_be_measured_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SCENARIOS", {"S1": Nothing})
    monkeypatch.setattr(Nothing, "missing", classmethod(lambda cls: "not found: java"))
    monkeypatch.setattr(command, "missing", lambda name: "not found: floor" if name == "floor" else None)
    assert command.main(["run", "S1"]) == 0
    said = capsys.readouterr().out
    assert "without S1: not found: java" in said
    assert "without floor: not found: floor" in said


@pytest.mark.usefixtures("here")
def test_a_scenario_named_twice_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", "S1", "S1", "--rounds", "1", "--directory", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("S1: nothing") == 1


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["S99"])
    assert "no scenario S99" in capsys.readouterr().err


def test_an_unknown_target_is_refused_and_not_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["S1", "--targets", "kakfa,logd"])
    assert "no target kakfa; there are kafka, " in capsys.readouterr().err
